/** What the tests of the GPU run in processes of their own; CUDA_CHILD tells which part. */
import process from "node:process";

if (process.env["CUDA_CHILD"] === "missing") {
  const { tnp } = await import("../../mod.ts");
  console.log(tnp.config.list_physical_devices().map((d) => d.name).join());
  console.log(tnp.add(1, 2).item());
  try {
    tnp.device("GPU:0", () => tnp.zeros([2]));
  } catch (error) {
    console.log((error as Error).message);
  }
} else if (process.env["CUDA_CHILD"] !== "program") {
  const { tnp } = await import("../../mod.ts");
  const x = tnp.device("GPU:0", () => tnp.arange(4));
  const y = tnp.device(process.env["CUDA_CHILD"] === "two" ? "GPU:1" : "GPU:0", () => tnp.sum(tnp.copy(x)));
  console.log(y.device, y.item());
} else {
  const { closeCuda } = await import("../../src/device/cuda.ts");
  const { tnp } = await import("../../mod.ts");
  const { program } = await import("./cuda_program.ts");
  const { openEmulator } = await import("./cuda_emulator.ts");
  try {
    const [cpu, gpu] = ["CPU:0", "GPU:0"].map((name) => tnp.device(name, program));
    const close = cpu!.every((x, i) => Math.abs(x - gpu![i]!) <= 1e-12 * (1 + Math.abs(x)));
    console.log(close && cpu!.length === gpu!.length ? "right" : `wrong: ${cpu!.join()} and ${gpu!.join()}`);
    closeCuda();
    const emulator = openEmulator(process.env["TNP_CUDA"]!);
    const kinds = [
      "stream",
      "event",
      "module",
      "function",
      "context",
      "cublas",
      "cublasLt",
      "ltDesc",
      "ltLayout",
      "program",
    ];
    const left = kinds.filter((kind) => emulator.live(kind) > 0).map((kind) => `${emulator.live(kind)} ${kind}`);
    if (emulator.blocks() > 0) left.push(`${emulator.blocks()} blocks`);
    console.log(left.length === 0 ? "nothing left" : left.join(", "));
  } catch (error) {
    console.log(`${(error as Error).name}: ${(error as Error).message}`);
  }
}
