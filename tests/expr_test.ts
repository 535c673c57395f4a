import assert from "node:assert/strict";
import { tnp } from "../mod.ts";
import { parse, type Subscript, type Tree } from "../src/numpy/expr_parser.ts";
import { describe, test } from "./support/suite.ts";

/** A tree with all its parentheses. */
function show(t: Tree | Subscript): string {
  const part = (x: Tree | null) => x === null ? "" : show(x);
  switch (t.is) {
    case "hole":
      return `$${t.index}`;
    case "number":
      return `${t.value}${{ int: "", float: "f", imaginary: "j" }[t.kind]}`;
    case "name":
      return t.name;
    case "string":
      return JSON.stringify(t.value);
    case "ellipsis":
      return "...";
    case "unary":
      return `(${t.op}${show(t.x)})`;
    case "binary":
      return `(${show(t.x)} ${t.op} ${show(t.y)})`;
    case "attribute":
      return `${show(t.x)}.${t.name}`;
    case "list":
      return `[${t.items.map(show)}]`;
    case "tuple":
      return `(${t.items.map(show)})`;
    case "slice":
      return `${part(t.start)}:${part(t.stop)}:${part(t.step)}`;
    case "index":
      return `${show(t.x)}[${t.subscripts.map(show)}]`;
    case "call":
      return `${show(t.f)}(${[...t.args.map(show), ...t.keywords.map(([k, v]) => `${k}=${show(v)}`)]})`;
  }
}

const shown = (strings: TemplateStringsArray, ..._: unknown[]) => show(parse(strings));

describe("parse()", () => {
  test("binds as Python does", () => {
    assert.equal(shown`-2 ** -3 ** 2`, "(-(2 ** (-(3 ** 2))))");
    assert.equal(shown`${0} @ ${1}.T + b // 2 % 3`, "(($0 @ $1.T) + ((b // 2) % 3))");
    assert.equal(shown`~x & y | z ^ w << 2 == 3`, "((((~x) & y) | (z ^ (w << 2))) == 3)");
    assert.equal(shown`a - b - c`, "((a - b) - c)");
  });

  test("reads slices, calls, lists and numbers", () => {
    assert.equal(shown`f(${0}[1:, ::2, ..., None], axis=(0, 1), k=[1])`, "f($0[1::,::2,...,None],axis=(0,1),k=[1])");
    assert.equal(shown`1e-3 * .5 + 2j - 9223372036854775808`, "(((0.001f * 0.5f) + 2j) - 9223372036854775808)");
    assert.equal(shown`einsum('ij->i', x)`, 'einsum("ij->i",x)');
  });

  test("says what came and what was expected", () => {
    assert.throws(() => shown`1 +`, {
      name: "SyntaxError",
      message: /unexpected the end after "1 \+", expected a value/,
    });
    assert.throws(() => shown`a < b < c`, { name: "SyntaxError", message: /write \(a < b\) & \(b < c\)/ });
    assert.throws(() => shown`x $ y`, { name: "SyntaxError", message: /unexpected "\$" after "x "/ });
    assert.throws(() => shown`f(a=1, 2)`, {
      name: "SyntaxError",
      message: /a keyword argument after a keyword argument/,
    });
    assert.throws(() => shown`x[]`, SyntaxError);
    assert.throws(() => shown`007`, SyntaxError);
  });
});

describe("expr()", () => {
  const x = tnp.array([[1, 2, 3], [4, 5, 6]], tnp.float32);

  test("computes what the functions compute", () => {
    const long = tnp.divide(1, tnp.add(1, tnp.exp(tnp.negative(x))));
    assert.deepEqual(tnp.expr`1 / (1 + exp(-${x}))`.toArray(), long.toArray());
    assert.deepEqual(tnp.expr`${x} @ ${x}.T`.toArray(), [[14, 32], [32, 77]]);
    assert.deepEqual(tnp.expr`${x} // 2 + ${x} % 2`.toArray(), [[1, 1, 2], [2, 3, 3]]);
    assert.deepEqual(tnp.expr`(${x} > 1) & (${x} <= 4)`.toArray(), [[false, true, true], [true, false, false]]);
  });

  test("keeps Python's numbers weak and tells 1.0 from 1", () => {
    assert.equal(tnp.expr`${x} * (2 / 3)`.dtype, "float32");
    assert.equal(tnp.expr`${x} * pi`.dtype, "float32");
    const ints = tnp.array([1, 2], tnp.int32);
    assert.equal(tnp.expr`${ints} + 1`.dtype, "int32");
    assert.equal(tnp.expr`${ints} + 1.0`.dtype, "float64");
    assert.equal(tnp.expr`7 // 2`.item(), 3);
    assert.equal(tnp.expr`4 / 2`.dtype, "float64");
    assert.equal(tnp.expr`2 ** 3`.dtype, "int64");
    assert.equal(tnp.expr`-7 % 3`.item(), 2);
  });

  test("indexes, calls methods and takes keywords", () => {
    assert.deepEqual(tnp.expr`${x}[::-1, 1:]`.toArray(), [[5, 6], [2, 3]]);
    assert.deepEqual(tnp.expr`sum(${x}, axis=0, keepdims=True)`.toArray(), [[5, 7, 9]]);
    assert.deepEqual(tnp.expr`${x}.reshape(3, 2)[0]`.toArray(), [1, 2]);
    assert.deepEqual(tnp.expr`${x}[..., None, 0].shape`.toArray(), [2, 1]);
    assert.deepEqual(tnp.expr`where(${x} > 2, ${x}, [0, 0, 0])[0]`.toArray(), [0, 0, 3]);
  });

  test("knows only what tnp has", () => {
    assert.throws(() => tnp.expr`1 + foo(2)`, { name: "ReferenceError", message: /unknown name foo after "1 \+"/ });
    assert.throws(() => tnp.expr`${x}.constructor`, { name: "TypeError", message: /no attribute "constructor"/ });
    assert.throws(() => tnp.expr`${x}.nothing`, { name: "TypeError", message: /no attribute "nothing"/ });
    assert.throws(() => tnp.expr`exp.call(1)`, TypeError);
    assert.throws(() => tnp.expr`pi(1)`, TypeError);
  });
});
