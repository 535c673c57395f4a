/**
 * Debug output, in one place. `TNP_DEBUG` is a level: 1 tells which engine runs and why one is missing, 2 each evaluation (kernels,
 * bytes, time), 3 the kernels' expressions, 4 their generated text. It goes to standard error.
 * @module
 */
/** The levels. */
export const levels = { off: 0, engines: 1, evaluations: 2, kernels: 3, source: 4 } as const;

/** The level a message belongs to. */
export type Level = Exclude<keyof typeof levels, "off">;

let level = 0;
const told = new Set<string>();

/** Tells whether messages of a level are shown; cheap enough to guard the making of the message. */
export function debugging(of: Level): boolean {
  return level >= levels[of];
}

/** Sets the level, as a number or as the text of `TNP_DEBUG`; anything else is 0. `mod.ts` calls it with the environment's. */
export function setDebug(to: number | string | undefined): void {
  const number = Number(to ?? 0);
  level = Number.isFinite(number) ? number : 0;
}

/** Writes a message of a level; a function is called only if it is shown. */
export function debug(of: Level, message: string | (() => string)): void {
  if (debugging(of)) console.error(`tnp: ${typeof message === "string" ? message : message()}`);
}

/** Writes a warning once a process, at every level. */
export function warnOnce(message: string): void {
  if (told.has(message)) return;
  told.add(message);
  console.warn(`tnp: ${message}`);
}
