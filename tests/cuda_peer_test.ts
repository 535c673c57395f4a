/** Copies between GPUs. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { emulator } from "./support/cuda.ts";
import { DeviceError } from "../src/base/errors.ts";
import { getDevice } from "../src/device/registry.ts";
import { runChild } from "./support/child.ts";

if (emulator === null) {
  test("cuda copies between GPUs need two", () => assert.throws(() => getDevice("GPU:99"), DeviceError));
} else {
  describe("cuda copies between two GPUs", () => {
    const modes: readonly (readonly [string, Readonly<Record<string, string>>])[] = [
      ["with streams that run late", { CUEMU_MODE: "lazy" }],
      ["with streams that run at once", { CUEMU_MODE: "thread", CUEMU_SEED: "3" }],
      ["without memory pools", { CUEMU_MODE: "lazy", CUEMU_NO_POOLS: "1" }],
    ];
    for (const [name, env] of modes) {
      test(`are in the order of both: ${name}`, async () => {
        const ended = await runChild("cuda_peer_child.ts", { CUEMU_DEVICES: "2", ...env });
        assert.equal(ended.code, 0, ended.err + ended.out);
        assert.equal(ended.out, "right");
      });
    }

    test("would come out wrong if one stream did not wait for the other", async () => {
      const ended = await runChild("cuda_peer_child.ts", {
        CUEMU_DEVICES: "2",
        CUEMU_MODE: "lazy",
        CUEMU_NO_WAITS: "1",
      });
      assert.match(ended.out, /^from GPU:0: wrong numbers/);
      assert.match(ended.err, /memory was freed before it was copied/);
    });
  });
}
