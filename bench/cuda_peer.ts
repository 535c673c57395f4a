// The same work in PyTorch, CuPy and JAX on the same GPU, where Python has them: seconds a step, by library and name.
import { spawnSync } from "node:child_process";
import process from "node:process";

/** Seconds by library and name of the work. */
export type PeerTimes = Readonly<Record<string, Readonly<Record<string, number>>>>;

const script = `
import json, sys, time
sizes = json.loads(sys.argv[1])
n, m, rows = sizes["elements"], sizes["matrix"], sizes["rows"]

def median(run, wait, least=0.2):
    run(); wait()
    start = time.perf_counter(); run(); wait(); once = time.perf_counter() - start
    loops = max(1, min(1000, int(least / max(once, 1e-7) / 5)))
    times = []
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(loops): run()
        wait()
        times.append((time.perf_counter() - start) / loops)
    return sorted(times)[2]

out = {}
try:
    import torch
    torch.backends.cuda.matmul.allow_tf32 = False
    wait = torch.cuda.synchronize
    x, y = torch.rand(n, device="cuda"), torch.rand(n, device="cuda")
    d = torch.rand(n // 2, device="cuda", dtype=torch.float64)
    s, bias = torch.rand(n // 1024, 1024, device="cuda"), torch.rand(1024, device="cuda")
    l = (x * 2.0 ** 40).long()
    a, b = torch.rand(m, m, device="cuda"), torch.rand(m, m, device="cuda")
    ha, hb = a.bfloat16(), b.bfloat16()
    c, hc = torch.rand(m, device="cuda"), torch.rand(m, device="cuda", dtype=torch.bfloat16)
    relu, gelu = torch.nn.functional.relu, lambda h: torch.nn.functional.gelu(h, approximate="tanh")
    sigmoid, chain = torch.compile(lambda x: 1 / (1 + torch.exp(-x))), torch.compile(lambda d: torch.sqrt(d * d + 2 * d + 3) * torch.sin(d) - torch.tanh(d))
    px, py = torch.randn(rows, 32, device="cuda"), torch.randn(rows, 2, device="cuda")
    w = [torch.randn(*z, device="cuda", requires_grad=True) for z in [(32, 64), (64,), (64, 2)]]
    def step(px, py):
        loss = ((torch.relu(px @ w[0] + w[1]) @ w[2] - py) ** 2).sum()
        return torch.autograd.grad(loss, w)
    compiled = torch.compile(step, mode="reduce-overhead")
    out["torch"] = {
        "add": median(lambda: x + y, wait), "sigmoid": median(lambda: sigmoid(x), wait), "chain": median(lambda: chain(d), wait),
        "sum": median(lambda: x.sum(), wait), "sum rows": median(lambda: s.sum(1), wait), "sum columns": median(lambda: s.sum(0), wait),
        "row bias": median(lambda: s + bias, wait), "cast": median(lambda: x.half(), wait), "compare": median(lambda: x < y, wait),
        "cumsum": median(lambda: x.cumsum(0), wait), "sort": median(lambda: torch.sort(x, stable=True), wait),
        "argsort": median(lambda: torch.argsort(x, stable=True), wait), "sort int64": median(lambda: torch.sort(l, stable=True), wait),
        "sort rows": median(lambda: torch.sort(s, 1, stable=True), wait),
        "matmul float32": median(lambda: a @ b, wait), "matmul bfloat16": median(lambda: ha @ hb, wait),
        "dense float32": median(lambda: torch.addmm(c, a, b), wait), "dense bfloat16": median(lambda: torch.addmm(hc, ha, hb), wait),
        "dense relu float32": median(lambda: relu(torch.addmm(c, a, b)), wait),
        "dense relu bfloat16": median(lambda: relu(torch.addmm(hc, ha, hb)), wait),
        "dense gelu float32": median(lambda: gelu(torch.addmm(c, a, b)), wait),
        "dense gelu bfloat16": median(lambda: gelu(torch.addmm(hc, ha, hb)), wait),
        "gradient": median(lambda: step(px, py), wait), "gradient compiled": median(lambda: compiled(px, py), wait),
    }
except Exception as e: print(f"torch: {e}", file=sys.stderr)
try:
    import cupy as cp
    wait = cp.cuda.Device().synchronize
    x, y = cp.random.rand(n, dtype=cp.float32), cp.random.rand(n, dtype=cp.float32)
    s = x[: n // 1024 * 1024].reshape(-1, 1024)
    a = cp.random.rand(m, m, dtype=cp.float32)
    out["cupy"] = {
        "add": median(lambda: x + y, wait), "sum": median(lambda: x.sum(), wait), "sum rows": median(lambda: s.sum(1), wait),
        "sum columns": median(lambda: s.sum(0), wait), "cumsum": median(lambda: x.cumsum(), wait),
        "sort": median(lambda: cp.sort(x), wait), "argsort": median(lambda: cp.argsort(x), wait),
        "matmul float32": median(lambda: a @ a, wait),
    }
except Exception as e: print(f"cupy: {e}", file=sys.stderr)
try:
    import jax, jax.numpy as jnp
    if jax.default_backend() != "gpu": raise RuntimeError("no GPU")
    key = jax.random.PRNGKey(0)
    x = jax.random.uniform(key, (n,))
    last = []
    def keep(r): last[:] = [r]
    wait = lambda: jax.block_until_ready(last)
    sigmoid = jax.jit(lambda x: 1 / (1 + jnp.exp(-x)))
    px, py = jax.random.normal(key, (rows, 32)), jax.random.normal(key, (rows, 2))
    w = [jax.random.normal(key, z) for z in [(32, 64), (64,), (64, 2)]]
    step = jax.jit(jax.grad(lambda w, x, y: ((jax.nn.relu(x @ w[0] + w[1]) @ w[2] - y) ** 2).sum()))
    sort, total = jax.jit(jnp.sort), jax.jit(jnp.sum)
    out["jax"] = {"sigmoid": median(lambda: keep(sigmoid(x)), wait), "sort": median(lambda: keep(sort(x)), wait),
        "sum": median(lambda: keep(total(x)), wait), "gradient compiled": median(lambda: keep(step(w, px, py)), wait)}
except Exception as e: print(f"jax: {e}", file=sys.stderr)
print(json.dumps(out))
`;

/** Times the libraries that Python has; none where there is no Python. */
export function peerTimes(sizes: Readonly<Record<"elements" | "matrix" | "rows", number>>): PeerTimes {
  const python = process.env["PYTHON"] ?? "python3";
  const ended = spawnSync(python, ["-c", script, JSON.stringify(sizes)], { encoding: "utf8", timeout: 300_000 });
  try {
    return JSON.parse(ended.stdout.trim().split("\n").at(-1)!) as PeerTimes;
  } catch {
    return {};
  }
}
