/** The thread of native calls: who waits for it sleeps, and is woken. */
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { cpu } from "../src/device/cpu.ts";
import { WorkQueue } from "../src/device/cpu_queue.ts";
import { entryOf, nativeSource, toolchain } from "../src/device/native.ts";
import { type NativeThread, nativeThread, recording } from "../src/device/native_thread.ts";
import { platform } from "../ffi/runtime.ts";
import { sortRoutine } from "./support/device.ts";

/** Sleeps for so many microseconds. */
const sleepText = `#include <unistd.h>
void tnp_kernel(long long *x) { usleep(x[0]); }
`;

describe("the thread of native calls", { skip: platform !== "linux" || !toolchain().ok }, () => {
  let thread: NativeThread, sleeper: number;
  const blocks = new Set<BigInt64Array>();
  const sleep = (us: number): BigInt64Array => {
    const block = new BigInt64Array(new ArrayBuffer(8)).fill(BigInt(us));
    blocks.add(block);
    return block;
  };
  /** Pushes a sleep; gives its ticket. */
  const push = (us: number): number => {
    thread.push(sleeper, sleep(us));
    return thread.pushed;
  };
  /** Waits for a ticket; gives how often it was looked. */
  const finished = async (ticket: number): Promise<number> => {
    let looks = 0;
    for (; thread.done < ticket; looks++) assert.ok(await thread.until(ticket));
    return looks;
  };

  before(async () => {
    while (nativeThread() === undefined) await setTimeout(10);
    thread = nativeThread()!;
    sleeper = entryOf(nativeSource({ key: null, text: () => sleepText }, true, "a sleep")!);
  });

  test("wakes its reader when the call is finished, not later", async () => {
    let best = Infinity;
    for (let i = 0; i < 20; i++) {
      const start = performance.now();
      await finished(push(2000));
      best = Math.min(best, performance.now() - start);
    }
    // By itself a reader looks after 10 ms.
    assert.ok(best >= 2 && best < 6, `${best} ms`);
  });

  test("lets its reader sleep meanwhile", async () => {
    const looks = await finished(push(200_000));
    assert.ok(looks >= 1 && looks <= 25, `${looks} looks`);
  });

  test("wakes many readers in the order of their calls", async () => {
    const order: number[] = [], tickets = Array.from({ length: 30 }, (_, i) => push(i % 3 * 500));
    await Promise.all(
      tickets.toReversed().map(async (ticket) => {
        await finished(ticket);
        assert.ok(thread.done >= ticket);
        order.push(ticket);
      }),
    );
    assert.deepEqual(order.toSorted((a, b) => a - b), tickets);
    assert.equal(thread.done, thread.pushed);
  });

  test("is not waited for where all is finished", async () => {
    await finished(push(0));
    assert.equal(await thread.until(thread.pushed), true);
    assert.equal(await thread.until(thread.pushed - 5), true);
  });

  test("may be waited for at once and by a reader", async () => {
    const ticket = push(20_000), waiting = finished(ticket);
    thread.wait();
    assert.equal(thread.done, ticket);
    await waiting;
    await finished(push(1000));
  });

  test("tells what fails in a call to whoever reads its result, and goes on", async () => {
    const queue = new WorkQueue(() => thread), n = 1 << 20;
    const [from, failed, fine] = [0, 1, 2].map(() => cpu.allocate(8 * n));
    const whole = { offset: 0, strides: [1], shape: [n] };
    let checked = 0;
    const submit = (output: typeof fine, check: () => void) =>
      queue.routine(
        sortRoutine,
        {
          inputs: [{ ...whole, buffer: from! }],
          output: { ...whole, buffer: output! },
          operands: [],
          scalars: [],
        },
        () => recording()!.call(sleeper, sleep(3000), check),
        () => true,
      );
    queue.defer(() => {
      submit(failed, () => {
        throw new RangeError("no luck");
      });
      submit(fine, () => void checked++);
    });
    assert.equal(checked, 0);
    await queue.finishAsync();
    assert.equal(checked, 1);
    assert.throws(() => queue.check(failed!), /no luck/);
    queue.check(fine!);
    for (const buffer of [from, failed, fine]) buffer!.release();
  });
});
