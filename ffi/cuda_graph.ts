/**
 * CUDA graphs: nodes, captures, and what is made executable of them. Every status becomes an error, as elsewhere in the driver.
 * @module
 */
import type { CudaDriver, DriverFunction, DriverFunctions } from "./cuda.ts";
import { created, destroyed } from "./handles.ts";
import { addressOf, native, toNumber } from "./mem.ts";
import type { Address } from "./types.ts";

const names = [
  "cuStreamBeginCapture_v2",
  "cuStreamEndCapture",
  "cuGraphCreate",
  "cuGraphDestroy",
  "cuGraphAddKernelNode",
  "cuGraphAddChildGraphNode",
  "cuGraphInstantiateWithFlags",
  "cuGraphExecDestroy",
  "cuGraphExecKernelNodeSetParams",
  "cuGraphExecChildGraphNodeSetParams",
  "cuGraphLaunch",
] as const satisfies readonly DriverFunction[];

type GraphFunctions = { readonly [K in typeof names[number]]-?: NonNullable<DriverFunctions[K]> };

/** The capture does not forbid this thread anything. */
const RELAXED = 2;

/** Bytes of CUDA_KERNEL_NODE_PARAMS: the second version, of which the first is the beginning; the rest stays 0. */
const PARAMS_BYTES = 72;

/** What a kernel node launches: its function, grid and argument block, in memory of its own. */
export class KernelNodeParams {
  readonly #words = new Uint32Array(new ArrayBuffer(PARAMS_BYTES));
  readonly #longs = new BigUint64Array(this.#words.buffer);
  readonly #list = new BigUint64Array(new ArrayBuffer(8));
  #arguments = new Uint32Array(new ArrayBuffer(8));
  #fn: Address = 0;

  constructor() {
    this.#longs[5] = BigInt(addressOf(this.#list));
    this.#list[0] = BigInt(addressOf(this.#arguments));
  }

  /** The function. */
  get fn(): Address {
    return this.#fn;
  }

  /** Blocks of the grid. */
  get blocks(): number {
    return this.#words[2]!;
  }

  /** Copies a launch: blocks and threads along one axis. */
  set(fn: Address, blocks: number, threads: number, args: Uint32Array): void {
    if (fn !== this.#fn) this.#longs[0] = BigInt(this.#fn = fn);
    // function; grid x y z, block x y z, bytes of dynamic shared memory; parameters, extra
    const words = this.#words;
    words[2] = blocks;
    words[5] = threads;
    words[3] =
      words[4] =
      words[6] =
      words[7] =
        1;
    if (args.length !== this.#arguments.length) {
      this.#arguments = new Uint32Array(new ArrayBuffer(args.byteLength));
      this.#list[0] = BigInt(addressOf(this.#arguments));
    }
    this.#arguments.set(args);
  }

  /** The structure that the driver reads. */
  get view(): Uint32Array {
    return this.#words;
  }

  /** The argument block. */
  get args(): Uint32Array {
    return this.#arguments;
  }
}

/** The graph functions of a driver. */
export class CudaGraphs {
  readonly #driver: CudaDriver;
  readonly #f: GraphFunctions;
  readonly #out = new BigUint64Array(new ArrayBuffer(8));
  readonly #before = new BigUint64Array(new ArrayBuffer(8));

  /** The graphs of a driver; null where it is too old for them. */
  static of(driver: CudaDriver): CudaGraphs | null {
    return names.every((name) => driver.f[name] !== undefined) ? new CudaGraphs(driver) : null;
  }

  private constructor(driver: CudaDriver) {
    this.#driver = driver;
    this.#f = driver.f as GraphFunctions;
  }

  /** An empty graph. */
  create(): Address {
    this.#driver.check("cuGraphCreate", this.#f.cuGraphCreate(this.#out, 0));
    created("graph");
    return this.#handle();
  }

  /** Adds a kernel after another node. */
  addKernel(graph: Address, after: Address | null, params: KernelNodeParams): Address {
    const code = this.#f.cuGraphAddKernelNode(this.#out, graph, this.#dependency(after), count(after), params.view);
    this.#driver.check("cuGraphAddKernelNode", code);
    return this.#handle();
  }

  /** Adds a copy of a graph after another node. */
  addChild(graph: Address, after: Address | null, child: Address): Address {
    const code = this.#f.cuGraphAddChildGraphNode(this.#out, graph, this.#dependency(after), count(after), child);
    this.#driver.check("cuGraphAddChildGraphNode", code);
    return this.#handle();
  }

  /** Makes a graph executable. The graph's nodes name those of the executable from then on. */
  instantiate(graph: Address): Address {
    const code = this.#f.cuGraphInstantiateWithFlags(this.#out, graph, native(0));
    this.#driver.check("cuGraphInstantiateWithFlags", code);
    created("graph executable");
    return this.#handle();
  }

  /** Changes a kernel of an executable for the launches to come. */
  setKernel(exec: Address, node: Address, params: KernelNodeParams): void {
    const code = this.#f.cuGraphExecKernelNodeSetParams(exec, node, params.view);
    this.#driver.check("cuGraphExecKernelNodeSetParams", code);
  }

  /** Changes a child of an executable for the launches to come: a graph of the same nodes with other parameters. */
  setChild(exec: Address, node: Address, child: Address): void {
    const code = this.#f.cuGraphExecChildGraphNodeSetParams(exec, node, child);
    this.#driver.check("cuGraphExecChildGraphNodeSetParams", code);
  }

  /** Enqueues everything in an executable. */
  launch(exec: Address, stream: Address): void {
    const code = this.#f.cuGraphLaunch(exec, stream);
    if (code !== 0) throw this.#driver.error("cuGraphLaunch", code);
  }

  /** From now on a stream's work is recorded. */
  beginCapture(stream: Address): void {
    this.#driver.check("cuStreamBeginCapture_v2", this.#f.cuStreamBeginCapture_v2(stream, RELAXED));
  }

  /** The graph of what a stream was given since then. */
  endCapture(stream: Address): Address {
    this.#driver.check("cuStreamEndCapture", this.#f.cuStreamEndCapture(stream, this.#out));
    created("graph");
    return this.#handle();
  }

  /** Gives a graph back. Its executables stay. */
  destroy(graph: Address): void {
    this.#driver.check("cuGraphDestroy", this.#f.cuGraphDestroy(graph));
    destroyed("graph");
  }

  /** Gives an executable back; one that runs ends first. */
  destroyExecutable(exec: Address): void {
    this.#driver.check("cuGraphExecDestroy", this.#f.cuGraphExecDestroy(exec));
    destroyed("graph executable");
  }

  #dependency(after: Address | null): BigUint64Array | null {
    if (after === null) return null;
    this.#before[0] = BigInt(after);
    return this.#before;
  }

  #handle(): Address {
    return native(toNumber(this.#out[0]!));
  }
}

const one = native(1), none = native(0);
const count = (after: Address | null): Address => after === null ? none : one;
