/**
 * Work that is run again and again as one CUDA graph. A run is recorded, not enqueued: each kernel becomes a node, each library call a
 * graph captured on a stream of its own. What is recorded is compared with the executables of earlier runs, whose nodes get the
 * arguments that changed; then one launch does it all.
 * @module
 */
import type { CudaDriver } from "../../ffi/cuda.ts";
import { type CudaGraphs, KernelNodeParams } from "../../ffi/cuda_graph.ts";
import { NativeError } from "../../ffi/errors.ts";
import type { Address } from "../../ffi/types.ts";
import { BLOCK } from "../../kernels/cuda.ts";
import { debug } from "../base/debug.ts";
import { CudaBuffer, type CudaMemory, type Home } from "./cuda_memory.ts";
import type { Device, Recorder } from "./device.ts";

/** Executables kept for one piece of work: one for each combination of addresses that its library calls see. */
const KEPT_EXECUTABLES = 4;
/** Captured graphs kept for one library call. */
const KEPT_CAPTURES = 8;
/** Blocks kept for one result. */
const KEPT_RESULTS = 2;
/** A run is dear if more than one in so many of its nodes had to be captured; after so many dear runs in a row, plain launches serve. */
const DEAR_SHARE = 3, DEAR_RUNS = 8;

/** What a graph cannot hold was met while recording. Nothing of the run was enqueued. */
export class Unrecordable extends Error {
  override readonly name = "Unrecordable";
}

/** What recorders need of their device. */
export interface RecorderHost extends Device {
  /** Makes the device current. @returns its stream */
  use(): { readonly stream: Address; readonly memory: CudaMemory };
  /** How many launches and library calls it was given so far. */
  readonly enqueued: number;
  /** Its memory while it is in use. */
  readonly memory: CudaMemory | null;
  /** Sends kernels, library calls and memory to a recorder until it is called with null. */
  record(into: CudaRecorder | null): void;
  /** Copies bytes to device memory in stream order. */
  enqueueWrite(address: number, bytes: Uint8Array): void;
  /** Notes an error of something that cannot throw: the next call does. */
  failed(error: unknown): void;
}

/** A kernel at one place of the work. */
interface KernelCommand {
  readonly kind: "kernel";
  readonly params: KernelNodeParams;
}

/** A library call that was captured: what it was, and on which addresses. */
interface Capture {
  readonly what: object;
  readonly addresses: readonly Address[];
  readonly graph: Address;
}

/** A library call at one place of the work: the one of this run last. */
interface LibraryCommand {
  readonly kind: "library";
  readonly captures: Capture[];
}

type Command = KernelCommand | LibraryCommand;

/** A block that belongs to the recorder; within a run, work takes it and gives it back. */
interface Block {
  address: number;
  readonly byteLength: number;
  taken: boolean;
  /** Whether this run took it at all. */
  used: boolean;
}

/** Bytes that kernels read their arguments from, at one place of the work. */
interface Staged {
  readonly block: Block;
  readonly bytes: Uint8Array;
}

/** Blocks of one result that were given back. Taking turns, they give a variable's values the same few places. */
class ResultHome implements Home {
  readonly #kept: { readonly address: number; readonly byteLength: number }[] = [];
  #closed = false;

  take(byteLength: number): number | undefined {
    return this.#kept.at(-1)?.byteLength === byteLength ? this.#kept.pop()!.address : undefined;
  }

  keep(address: number, byteLength: number): boolean {
    if (this.#closed || this.#kept.length >= KEPT_RESULTS) return false;
    this.#kept.push({ address, byteLength });
    return true;
  }

  /** Gives the blocks to whoever takes them, and keeps none from now on. */
  close(memory: CudaMemory | null): void {
    this.#closed = true;
    for (const { address, byteLength } of this.#kept.splice(0)) memory?.unclaim(address, byteLength);
  }
}

/** The graphs of one GPU: its recorders, and the stream on which library calls are captured. */
export class CudaRecorders {
  readonly host: RecorderHost;
  readonly driver: CudaDriver;
  readonly graphs: CudaGraphs;
  readonly #all = new Set<CudaRecorder>();
  readonly #dropped: FinalizationRegistry<CudaRecorder>;
  #capturing: Address | null = null;

  constructor(host: RecorderHost, driver: CudaDriver, graphs: CudaGraphs) {
    this.host = host;
    this.driver = driver;
    this.graphs = graphs;
    this.#dropped = new FinalizationRegistry((recorder) => this.#forget(recorder));
  }

  /** A new recorder. What it keeps is given back when it is disposed or collected. */
  make(): Recorder {
    const recorder = new CudaRecorder(this);
    this.#all.add(recorder);
    const handle: Recorder = {
      allocate: (result, byteLength) => recorder.allocateResult(result, byteLength),
      run: (work) => recorder.run(work),
      dispose: () => {
        this.#dropped.unregister(handle);
        this.#forget(recorder);
      },
    };
    this.#dropped.register(handle, recorder, handle);
    return handle;
  }

  /** Gives back what all recorders keep for their next runs, except for one in the middle of a run. */
  release(except: CudaRecorder | null): void {
    for (const recorder of this.#all) if (recorder !== except) recorder.release();
  }

  /** Gives everything back; what is run afterwards begins anew. */
  close(): void {
    for (const recorder of this.#all) recorder.reset();
    this.#endStream();
  }

  /** The graph of a library call. @throws Unrecordable */
  capture(call: (stream: Address) => void): Address {
    const { graphs } = this;
    let stream: Address, graph: Address | null = null;
    try {
      stream = this.#capturing ??= this.driver.createStream();
      graphs.beginCapture(stream);
    } catch (error) {
      throw new Unrecordable(`no capture: ${textOf(error)}`, { cause: error });
    }
    let failure: unknown = null;
    try {
      call(stream);
    } catch (error) {
      failure = error;
    }
    try {
      graph = graphs.endCapture(stream);
    } catch (error) {
      failure ??= error;
      // It may go on capturing.
      this.#endStream();
    }
    if (failure === null) return graph!;
    if (graph !== null) this.attempt(() => graphs.destroy(graph));
    throw new Unrecordable(`a library call: ${textOf(failure)}`, { cause: failure });
  }

  /** Does what gives something back, whatever becomes of it. */
  attempt(step: () => void): void {
    try {
      step();
    } catch (error) {
      this.host.failed(error);
    }
  }

  #forget(recorder: CudaRecorder): void {
    this.#all.delete(recorder);
    recorder.release();
  }

  #endStream(): void {
    const stream = this.#capturing;
    this.#capturing = null;
    if (stream === null) return;
    this.attempt(() => this.driver.check("cuStreamDestroy_v2", this.driver.f.cuStreamDestroy_v2(stream)));
  }
}

/** One piece of work with its graphs. */
export class CudaRecorder {
  readonly #owner: CudaRecorders;
  /** What the last run was made of, in its first `#count` places. */
  readonly #commands: Command[] = [];
  #count = 0;
  #captured = 0;
  /** Least recently used first. */
  readonly #executables: Executable[] = [];
  #blocks: Block[] = [];
  readonly #results: ResultHome[] = [];
  readonly #staged: Staged[] = [];
  #stagedCount = 0;
  /** Whether the work ran: kernels are compiled and libraries have chosen their ways. */
  #warm = false;
  /** Whether graphs were given up. */
  #plain = false;
  #dearRuns = 0;

  constructor(owner: CudaRecorders) {
    this.#owner = owner;
  }

  run(work: () => void): void {
    if (this.#plain) return work();
    const { host, graphs } = this.#owner;
    if (!this.#warm) {
      const before = host.enqueued;
      work();
      this.#warm = true;
      // Less than two launches are not worth a graph.
      this.#plain = host.enqueued - before < 2;
      return;
    }
    const { stream } = host.use();
    try {
      this.#record(work);
      graphs.launch(this.#executable().exec, stream);
    } catch (error) {
      if (!(error instanceof Unrecordable)) {
        this.release();
        throw error;
      }
      this.#giveUp(error.message);
      return work();
    }
    this.#dearRuns = DEAR_SHARE * this.#captured > this.#count ? this.#dearRuns + 1 : 0;
    if (this.#dearRuns >= DEAR_RUNS) this.#giveUp("its library calls are on other arrays each time");
  }

  /** Memory for a result of the next run. */
  allocateResult(result: number, byteLength: number): CudaBuffer {
    const { memory } = this.#owner.host.use();
    if (this.#plain || !this.#warm) return memory.allocate(byteLength);
    return memory.allocate(byteLength, this.#results[result] ??= new ResultHome());
  }

  /** A block for the work. The same run after run, if the work asks for the same. */
  allocate(byteLength: number): CudaBuffer {
    let block = this.#blocks.find((b) => !b.taken && b.byteLength === byteLength);
    if (block === undefined) {
      block = this.#claim(byteLength);
      this.#blocks.push(block);
    }
    block.taken = block.used = true;
    return new CudaBuffer(this.#owner.host, this, block);
  }

  /** Takes back a block that `allocate` or `stage` gave. */
  free(buffer: CudaBuffer): void {
    (buffer.block as Block).taken = false;
  }

  /** Memory with these bytes when the graph runs. They are written before it is launched: nothing else may use the memory. */
  stage(bytes: Uint8Array): CudaBuffer {
    const at = this.#stagedCount++;
    let staged = this.#staged[at];
    const fresh = staged === undefined || staged.bytes.length !== bytes.length;
    if (fresh) {
      const block = this.#claim(bytes.byteLength);
      if (staged !== undefined) this.#unclaim(staged.block);
      this.#staged[at] = staged = { block, bytes: new Uint8Array(bytes.length) };
    }
    const { block, bytes: before } = staged!;
    if (fresh || before.some((byte, i) => byte !== bytes[i])) {
      before.set(bytes);
      this.#owner.host.enqueueWrite(block.address, before);
    }
    return new CudaBuffer(this.#owner.host, this, block);
  }

  /** Records a kernel. */
  launch(fn: Address, blocks: number, args: Uint32Array): void {
    let command = this.#commands[this.#count];
    if (command?.kind !== "kernel") command = this.#place({ kind: "kernel", params: new KernelNodeParams() });
    command.params.set(fn, blocks, BLOCK, args);
    this.#count++;
  }

  /** Records a call of a library; what it was captured on is kept for the next time. */
  enqueue(what: object, addresses: readonly Address[], call: (stream: Address) => void): void {
    let command = this.#commands[this.#count];
    if (command?.kind !== "library") command = this.#place({ kind: "library", captures: [] });
    const { captures } = command;
    const at = captures.findIndex((c) => c.what === what && c.addresses.every((a, i) => a === addresses[i]));
    if (at >= 0) captures.push(...captures.splice(at, 1));
    else {
      captures.push({ what, addresses, graph: this.#owner.capture(call) });
      this.#captured++;
      if (captures.length > KEPT_CAPTURES) this.#discard(captures.shift()!);
    }
    this.#count++;
  }

  /** Gives back what is kept for the next run. */
  release(): void {
    for (const executable of this.#executables.splice(0)) this.#destroy(executable);
    for (const command of this.#commands.splice(0)) this.#clear(command);
    for (const block of this.#blocks.splice(0)) this.#unclaim(block);
    for (const { block } of this.#staged.splice(0)) this.#unclaim(block);
    for (const home of this.#results.splice(0)) home.close(this.#owner.host.memory);
    this.#count = 0;
  }

  /** Gives everything back, as the device is closed. */
  reset(): void {
    this.release();
    this.#warm = false;
    this.#dearRuns = 0;
  }

  /** Runs the work such that what it enqueues comes here. */
  #record(work: () => void): void {
    this.#count = this.#captured = this.#stagedCount = 0;
    for (const block of this.#blocks) block.taken = block.used = false;
    const { host } = this.#owner;
    host.record(this);
    try {
      work();
    } finally {
      host.record(null);
    }
    for (const command of this.#commands.splice(this.#count)) this.#clear(command);
    for (const { block } of this.#staged.splice(this.#stagedCount)) this.#unclaim(block);
    const unused = this.#blocks.filter(({ used }) => !used);
    if (unused.length === 0) return;
    this.#blocks = this.#blocks.filter(({ used }) => used);
    for (const block of unused) this.#unclaim(block);
  }

  /** An executable with the arguments of this run. @throws Unrecordable where none can be made */
  #executable(): Executable {
    const commands = this.#commands, kept = this.#executables;
    let best: Executable | null = null, most = -1;
    for (const executable of kept) {
      const alike = executable.alike(commands);
      if (alike > most) [best, most] = [executable, alike];
    }
    const libraries = commands.reduce((sum, { kind }) => sum + Number(kind === "library"), 0);
    const { graphs } = this.#owner;
    if (best !== null && (most === libraries || kept.length >= KEPT_EXECUTABLES)) {
      kept.splice(kept.indexOf(best), 1);
      try {
        best.update(graphs, commands);
        kept.push(best);
        return best;
      } catch (error) {
        // What it holds now is not known; a new one is made of what was recorded.
        this.#destroy(best);
        if (!(error instanceof NativeError)) throw error;
        debug("engines", `${this.#owner.host.name}: a graph was not updated: ${error.message}`);
      }
    }
    while (kept.length >= KEPT_EXECUTABLES) this.#destroy(kept.shift()!);
    const made = this.#instantiate();
    kept.push(made);
    return made;
  }

  /** A graph of the commands, each after the one before it. @throws Unrecordable */
  #instantiate(): Executable {
    const { graphs } = this.#owner;
    let graph: Address | null = null;
    try {
      graph = graphs.create();
      const nodes: Address[] = [];
      for (const command of this.#commands) {
        const after = nodes.at(-1) ?? null;
        nodes.push(
          command.kind === "kernel"
            ? graphs.addKernel(graph, after, command.params)
            : graphs.addChild(graph, after, command.captures.at(-1)!.graph),
        );
      }
      return new Executable(graph, graphs.instantiate(graph), nodes, this.#commands);
    } catch (error) {
      if (graph !== null) this.#owner.attempt(() => graphs.destroy(graph!));
      if (!(error instanceof NativeError)) throw error;
      throw new Unrecordable(textOf(error), { cause: error });
    }
  }

  #place<C extends Command>(command: C): C {
    const before = this.#commands[this.#count];
    if (before !== undefined) this.#clear(before);
    this.#commands[this.#count] = command;
    return command;
  }

  #clear(command: Command): void {
    if (command.kind === "library") { for (const capture of command.captures.splice(0)) this.#discard(capture); }
  }

  #discard({ graph }: Capture): void {
    this.#owner.attempt(() => this.#owner.graphs.destroy(graph));
  }

  #destroy({ exec, graph }: Executable): void {
    const { graphs } = this.#owner;
    this.#owner.attempt(() => graphs.destroyExecutable(exec));
    this.#owner.attempt(() => graphs.destroy(graph));
  }

  #claim(byteLength: number): Block {
    return { address: this.#owner.host.memory!.claim(byteLength), byteLength, taken: false, used: true };
  }

  #unclaim({ address, byteLength }: Block): void {
    this.#owner.host.memory?.unclaim(address, byteLength);
  }

  /** Runs by plain launches from now on. */
  #giveUp(reason: string): void {
    debug("engines", `${this.#owner.host.name}: a traced function runs by plain launches: ${reason}`);
    this.#plain = true;
    this.release();
  }
}

const textOf = (error: unknown): string => error instanceof Error ? error.message : String(error);

/** What a node of an executable has now. */
interface Node {
  readonly at: Address;
  fn: Address;
  blocks: number;
  args: Uint32Array | null;
  child: Capture | null;
}

/** A graph that can be launched, with what its nodes have now. */
class Executable {
  /** Names the executable's nodes as long as it lives. */
  readonly graph: Address;
  readonly exec: Address;
  readonly #nodes: Node[];

  constructor(graph: Address, exec: Address, nodes: readonly Address[], commands: readonly Command[]) {
    this.graph = graph;
    this.exec = exec;
    this.#nodes = commands.map((command, i): Node => {
      const at = nodes[i]!;
      if (command.kind === "library") {
        return { at, fn: 0, blocks: 0, args: null, child: command.captures.at(-1)! };
      }
      const { fn, blocks, args } = command.params;
      return { at, fn, blocks, args: args.slice(), child: null };
    });
  }

  /** How many of the library calls it has as they are recorded; -1 where it has other nodes. */
  alike(commands: readonly Command[]): number {
    const nodes = this.#nodes;
    if (nodes.length !== commands.length) return -1;
    let same = 0;
    for (let i = 0; i < nodes.length; i++) {
      const command = commands[i]!, { child } = nodes[i]!;
      if (command.kind === "kernel") {
        if (child !== null) return -1;
      } else if (child === null) return -1;
      else if (child === command.captures.at(-1)) same++;
    }
    return same;
  }

  /** Gives nodes the arguments that changed. */
  update(graphs: CudaGraphs, commands: readonly Command[]): void {
    for (let i = 0; i < commands.length; i++) {
      const command = commands[i]!, node = this.#nodes[i]!;
      if (command.kind === "library") {
        const child = command.captures.at(-1)!;
        if (child === node.child) continue;
        graphs.setChild(this.exec, node.at, child.graph);
        node.child = child;
        continue;
      }
      const { params } = command;
      if (params.fn === node.fn && params.blocks === node.blocks && sameWords(params.args, node.args!)) continue;
      graphs.setKernel(this.exec, node.at, params);
      node.fn = params.fn;
      node.blocks = params.blocks;
      if (node.args!.length === params.args.length) node.args!.set(params.args);
      else node.args = params.args.slice();
    }
  }
}

function sameWords(a: Uint32Array, b: Uint32Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
