import { system } from "./system.ts";
import type { Files } from "./types.ts";

/** Files through `node:fs`, for Node and Bun. */
export const nodeFiles: Files = {
  read: (path) => system.fs.readFileSync(path),
  head(path, bytes) {
    const file = system.fs.openSync(path, "r"), head = new Uint8Array(bytes);
    try {
      return head.subarray(0, system.fs.readSync(file, head));
    } finally {
      system.fs.closeSync(file);
    }
  },
  info(path, followLinks) {
    const stat = system.fs[followLinks ? "statSync" : "lstatSync"](path, { throwIfNoEntry: false });
    if (stat === undefined) return null;
    const kind = stat.isFile() ? "file" : stat.isDirectory() ? "folder" : stat.isSymbolicLink() ? "link" : "other";
    return { kind, mode: stat.mode & 0o777, user: stat.uid, size: stat.size, modified: Math.floor(stat.mtimeMs) };
  },
  real: (path) => system.fs.realpathSync(path),
  create: (path, text) => system.fs.writeFileSync(path, text, { mode: 0o600, flag: "wx" }),
  rename: (from, to) => system.fs.renameSync(from, to),
  remove: (path) => system.fs.rmSync(path, { force: true }),
  receive: (descriptor, into) =>
    new Promise((resolve, reject) => {
      system.fs.read(
        descriptor,
        into,
        0,
        into.length,
        null,
        (error, count) => error === null ? resolve(count) : reject(error),
      );
    }),
};
