/** The C preamble's functions: their loops vectorise, and their errors are what is promised. */
import { strict as assert } from "node:assert";
import process from "node:process";
import { test } from "node:test";
import { runtime } from "../ffi/runtime.ts";
import { cPieces, cPreamble } from "../kernels/preamble/c.ts";
import { b, kernel, load, memory, native64, operand, output, runC } from "./support/kernels.ts";
import { binary, isInstalled, promised, unary, Workshop } from "./support/ulp.ts";

test("ulp: a kernel's text has each function it uses, after those it calls, and no other", () => {
  for (const t of ["f32", "f64"]) {
    for (const f of [...unary, ...binary]) {
      const text = cPreamble(`${f}_${t}(x)`);
      const defined = [...text.matchAll(/^INLINE \w+ (\w+)\(/gm)].map((m) => m[1]!);
      assert.equal(defined.at(-1), `${f}_${t}`);
      assert.equal(new Set(defined).size, defined.length);
      defined.forEach((name, i) => {
        const calls = [...cPieces()[name]!.matchAll(/\b(\w+)\(/g)].map((m) => m[1]!).filter((n) =>
          Object.hasOwn(cPieces(), n)
        );
        for (const n of calls) assert.ok(defined.slice(0, i + 1).includes(n), `${name} comes before ${n}`);
      });
      for (const name of defined.slice(0, -1)) {
        assert.ok(
          defined.some((n) => n !== name && cPieces()[n]!.includes(`${name}(`)),
          `${f}_${t} does not need ${name}`,
        );
      }
    }
  }
});

// What a compiler makes of the text is the same in all runtimes.
if (native64 && (runtime.name === "bun" || process.env["TNP_CC"] !== undefined)) {
  test("ulp: loops vectorise, and errors keep their bounds", () => {
    using shop = new Workshop();
    assert.deepEqual(shop.build(), [], "loops that did not vectorise");
    if (!shop.link()) return;
    for (const [type, amount] of [["float32", 65521], ["float64", 8192]] as const) {
      const measured = shop.measure(type, amount);
      assert.equal(measured.length, 25);
      for (const m of measured) {
        assert.equal(m.wrong, 0, `${m.name} of ${type} gives the wrong kind of number at ${m.wrongAt}`);
        assert.ok(m.ulp <= promised(m.name), `${m.name} of ${type} is ${m.ulp} units off at ${m.at}`);
      }
    }
  });

  // Sources include nothing, so a compiler needs no headers of another processor.
  const x86 = process.arch === "x64" ? [] : ["--target=x86_64-linux-gnu"];
  const processors = {
    AVX2: [...x86, "-march=x86-64-v3"],
    "AVX-512": [...x86, "-march=x86-64-v4"],
    NEON: process.arch === "arm64" ? [] : ["--target=aarch64-linux-gnu"],
  } as const;
  for (const cc of ["gcc", "clang"]) {
    for (const [name, target] of Object.entries(processors)) {
      const skip = !isInstalled(cc) || cc === "gcc" && target.some((flag) => flag.startsWith("--target"));
      test(`ulp: loops vectorise by ${cc} for ${name}`, { skip }, () => {
        using shop = new Workshop(cc);
        assert.deepEqual(shop.build(target), []);
      });
    }
  }

  test("ulp: errors keep their bounds on a processor without AVX and FMA", { skip: process.arch !== "x64" }, () => {
    using shop = new Workshop();
    assert.ok(shop.build(["-march=x86-64"]) !== null);
    if (!shop.link()) return;
    for (const [type, amount] of [["float32", 655211], ["float64", 1024]] as const) {
      for (const m of shop.measure(type, amount)) {
        assert.equal(m.wrong, 0, `${m.name} of ${type} gives the wrong kind of number at ${m.wrongAt}`);
        assert.ok(m.ulp <= promised(m.name), `${m.name} of ${type} is ${m.ulp} units off at ${m.at}`);
      }
    }
  });
}

if (native64) {
  test("ulp: a far argument anywhere in a block leaves the others as they are", () => {
    for (const dtype of ["float32", "float64"] as const) {
      const n = 5000, x = memory(dtype, n), near = memory(dtype, n), far = memory(dtype, n);
      for (let i = 0; i < n; i++) x[i] = i / 7 - 300;
      const body = b.binary("add", b.unary("sin", load(0, dtype)), b.unary("tan", b.unary("cos", load(0, dtype))));
      const k = kernel({ operands: [operand(dtype)], body: [body], outputs: [output(dtype)] });
      const run = (out: typeof near) =>
        runC(k, { sizes: [n], operands: [{ data: x, strides: [1] }], outputs: [{ data: out, strides: [1] }] });
      run(near);
      for (const [i, value] of [[17, 1e30], [4500, -3e37], [4600, Infinity], [4700, NaN]] as const) x[i] = value;
      run(far);
      const want = (v: number) => Math.sin(v) + Math.tan(Math.cos(v));
      const digits = dtype === "float32" ? 1e-6 : 1e-14;
      for (let i = 0; i < n; i++) {
        const v = Number(x[i]), got = Number(far[i]);
        if (Number.isFinite(v)) assert.ok(Math.abs(got - want(v)) < digits * 4, `at ${v}: ${got}, expected ${want(v)}`);
        else assert.ok(Number.isNaN(got), `at ${v}: ${got}`);
        // The two loops round alike up to one unit.
        if (Math.abs(v) < 1e4) assert.ok(Math.abs(got - Number(near[i])) < digits, `at ${v}`);
      }
    }
  });

  test("ulp: remainders and floored quotients are exact, far arguments among near ones or not", () => {
    const values = [0, -0, 1, -1, 3, -3, 0.1, -0.1, 7, 2.5, 1e-30, -1e16, 1e30, 5e-45, Infinity, -Infinity, NaN];
    const near = values.filter((v) => !(Math.abs(v) < 1e-3) && !(Math.abs(v) > 1e3) || v === Infinity);
    for (const dtype of ["float32", "float64"] as const) {
      for (const all of [near, values]) {
        const n = all.length ** 2, x = memory(dtype, n), y = memory(dtype, n), out = memory(dtype, n);
        for (let i = 0; i < n; i++) x[i] = all[i % all.length]!, y[i] = all[Math.trunc(i / all.length)]!;
        for (const op of ["fmod", "mod", "floordiv"] as const) {
          const body = [b.binary(op, load(0, dtype), load(1, dtype))];
          const k = kernel({ operands: [operand(dtype), operand(dtype)], body, outputs: [output(dtype)] });
          const operands = [x, y].map((data) => ({ data, strides: [1] }));
          runC(k, { sizes: [n], operands, outputs: [{ data: out, strides: [1] }] });
          for (let i = 0; i < n; i++) {
            const u = Number(x[i]), v = Number(y[i]), r = u % v;
            const m = v === 0 || r !== r ? NaN : r === 0 ? v > 0 ? 0 : -0 : (r < 0) !== (v < 0) ? r + v : r;
            if (op === "floordiv") {
              const exact = Math.abs(u / v) < 2 ** 20 ? Math.floor(u / v) : NaN;
              if (exact === exact && (u / v) % 1 !== 0) assert.equal(Number(out[i]), exact, `${u} // ${v}`);
            } else {
              const want = op === "fmod" ? r : dtype === "float32" ? Math.fround(m) : m;
              assert.ok(Object.is(Number(out[i]), want), `${op} of ${dtype} ${u}, ${v}: ${out[i]}, expected ${want}`);
            }
          }
        }
      }
    }
  });
}
