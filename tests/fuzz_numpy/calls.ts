/**
 * How the arguments of each function are drawn, by topic.
 * @module
 */
import type { Arg, Maker } from "./generate.ts";

/** Positional arguments and keywords. */
export type Call = readonly [readonly Arg[], Readonly<Record<string, Arg>>?];

/** How a function's arguments are drawn. */
export type Draw = (m: Maker) => Call;

const words = (text: string): string[] => text.split(" ");
const each = (names: string, draw: Draw): Record<string, Draw> =>
  Object.fromEntries(words(names).map((n) => [n, draw]));

const special = (draw: Draw): Draw => (m) => {
  m.special = true;
  return draw(m);
};

const reduction: Draw = (m) => [[m.array()], m.some({ axis: () => m.axes(), keepdims: () => m.r.chance(0.7) })];
const where = (m: Maker): Arg => m.fresh("bool", m.shape.map((n) => m.r.chance(0.3) ? 1 : n));
const listOf = (m: Maker): Arg[] => {
  const first = m.array();
  const { shape, dtype } = m;
  const rest = Array.from({ length: m.r.below(3) }, () => m.r.chance(0.6) ? first : m.fresh(m.type(), shape));
  [m.shape, m.dtype] = [shape, dtype];
  return [first, ...rest];
};

/** Functions by topic. */
export const topics: Readonly<Record<string, Readonly<Record<string, Draw>>>> = {
  elementwise: {
    ...each(
      "abs negative positive sign floor ceil trunc rint fix square isnan isinf isfinite signbit isneginf isposinf logical_not real imag" +
        " conjugate iscomplex isreal fabs sqrt exp sin tanh log1p arcsin log cos expm1 exp2 log2 log10 cbrt arctan sinh arccosh arctanh" +
        " deg2rad rad2deg nan_to_num sinc angle",
      special((m) => [[m.array()]]),
    ),
    ...each(
      "add subtract multiply divide floor_divide mod fmod maximum minimum fmax fmin hypot arctan2 copysign nextafter heaviside less" +
        " less_equal greater greater_equal equal not_equal logical_and logical_or logical_xor logaddexp divmod isclose float_power",
      special((m) => {
        const dtype = m.some(
          { dtype: () => m.r.pick(["bool", "int8", "uint16", "int64", "float32", "complex128"]) },
          0.1,
        );
        return m.r.chance(0.2) ? [[m.scalar(), m.array()], dtype] : [[m.array(), m.other()], dtype];
      }),
    ),
    ...each("bitwise_and bitwise_or bitwise_xor gcd lcm", special((m) => [[m.array("biu"), m.other("biu")]])),
    ...each("left_shift right_shift", (m) => [[m.array("iu"), m.r.between(0, 6)]]),
    ...each("invert bitwise_count", special((m) => [[m.array("biu")]])),
    power: (m) => [[m.array(), m.r.chance(0.6) ? m.r.between(0, 4) : m.r.pick<Arg>([0.5, 2.5, -1, -2, true])]],
    clip: (m) => [[m.array("iuf"), m.r.pick<Arg>([null, -2, 0.5, 1]), m.r.pick<Arg>([null, 3, 2.5, 7])]],
    round: (m) => [[m.array(), m.r.pick([0, 0, 1, 2, -1])]],
    astype: (m) => {
      m.array("biu");
      return [[m.array("biu"), m.type()]];
    },
    where: (m) => {
      const c = m.array();
      return [[c, m.other(), m.other()]];
    },
  },
  reduction: {
    ...each("sum prod", (m) => [
      [m.array()],
      m.some({
        axis: () => m.axes(),
        keepdims: () => m.r.chance(0.7),
        initial: () => m.r.between(0, 3),
        where: () => where(m),
      }, 0.3),
    ]),
    ...each("max min amax amin", (m) => [
      [m.array()],
      m.some({ axis: () => m.axes(), keepdims: () => m.r.chance(0.7), initial: () => m.r.between(0, 3) }, 0.35),
    ]),
    ...each("mean var std", (m) => [
      [m.array()],
      m.some({ axis: () => m.axes(), keepdims: () => m.r.chance(0.7), where: () => where(m) }, 0.35),
    ]),
    ...each("any all", (m) => [
      [m.array()],
      m.some({ axis: () => m.axes(), keepdims: () => m.r.chance(0.7), where: () => where(m) }, 0.35),
    ]),
    ...each("ptp count_nonzero nansum nanprod nanmean nanmax nanmin nanvar nanstd median", reduction),
    ...each("argmax argmin nanargmax nanargmin", (m) => [
      [m.array()],
      m.some({ axis: () => m.axis(), keepdims: () => m.r.chance(0.7) }),
    ]),
    ...each("cumsum cumprod nancumsum nancumprod", (m) => [[m.array()], m.some({ axis: () => m.axis() }, 0.6)]),
    average: (m) => [
      [m.array()],
      m.some({ axis: () => m.axis(), keepdims: () => true, weights: () => m.fresh(m.type("iuf"), m.shape) }),
    ],
    diff: (m) => [[m.array()], m.some({ n: () => m.r.between(0, 3), axis: () => m.axis() })],
    ediff1d: (m) => [[m.array()]],
    quantile: (m) => [
      [m.array("iuf"), m.r.pick<Arg>([0.5, [0.25, 0.75], 0, 1])],
      m.some({
        axis: () => m.axes(),
        keepdims: () => true,
        method: () => m.r.pick(["linear", "lower", "higher", "midpoint", "nearest"]),
      }),
    ],
    percentile: (m) => [[m.array("iuf"), m.r.pick<Arg>([50, [25, 75], 10])], m.some({ axis: () => m.axes() })],
  },
  shape: {
    reshape: (m) => {
      const x = m.array();
      return [[x, m.reshaped()], m.some({ order: () => m.r.pick(["C", "F"]) }, 0.3)];
    },
    ravel: (m) => [[m.array()], m.some({ order: () => m.r.pick(["C", "F"]) }, 0.3)],
    transpose: (m) => {
      const x = m.array();
      if (m.r.chance(0.4)) return [[x]];
      return [[x, m.shape.map((_, i) => i).sort(() => m.r.below(3) - 1)]];
    },
    ...each("swapaxes", (m) => [[m.array(), m.axis(), m.axis()]]),
    moveaxis: (m) => [[m.array(), m.axis(), m.axis()]],
    rollaxis: (m) => [[m.array(), m.axis(), m.axis()]],
    expand_dims: (m) => {
      const x = m.array();
      return [[x], { axis: m.r.chance(0.5) ? m.r.between(-m.shape.length - 1, m.shape.length) : [0, -1] }];
    },
    squeeze: (m) => [[m.array()], m.some({ axis: () => m.axes() }, 0.3)],
    ...each("atleast_1d atleast_2d atleast_3d matrix_transpose fliplr flipud", (m) => [[m.array()]]),
    broadcast_to: (m) => {
      const x = m.array();
      return [[x, [...m.shape.map((n) => n === 1 ? m.r.pick([1, 3]) : n).slice(0)].toSpliced(0, 0, m.r.pick([1, 2]))]];
    },
    broadcast_arrays: (m) => [[m.array(), m.other()]],
    flip: (m) => [[m.array()], m.some({ axis: () => m.axes() }, 0.7)],
    rot90: (m) => [[m.array()], m.some({ k: () => m.r.between(-3, 5), axes: () => [m.axis(), m.axis()] }, 0.5)],
    roll: (m) => {
      const x = m.array();
      if (m.r.chance(0.4)) return [[x, m.r.between(-7, 7)]];
      return [[x, m.r.between(-7, 7)], { axis: m.axes() }];
    },
    tile: (m) => [[m.array(), m.r.pick<Arg>([2, 0, [2], [1, 2], [2, 1, 2], [0, 2]])]],
    repeat: (m) => {
      const x = m.array();
      if (m.r.chance(0.4)) return [[x, m.r.between(0, 3)]];
      const axis = m.axis();
      const n = m.shape.at(axis) ?? 1;
      return [[x, Array.from({ length: n }, () => m.r.between(0, 3))], { axis }];
    },
    pad: (m) => {
      const x = m.array();
      const mode = m.r.pick(words("constant edge reflect symmetric wrap maximum minimum mean linear_ramp"));
      const width = m.r.pick<Arg>([1, 2, [1, 2], m.shape.map(() => [m.r.below(3), m.r.below(3)])]);
      if (mode === "constant") return [[x, width], m.some({ constant_values: () => m.r.pick<Arg>([1, [0, 1]]) })];
      return [[x, width], { mode }];
    },
    resize: (m) => [[m.array(), m.r.pick<Arg>([3, [2, 3], [0], [4, 4], []])]],
    ...each("tril triu", (m) => [[m.array()], m.some({ k: () => m.r.between(-2, 3) })]),
    diagonal: (m) => [
      [m.array()],
      m.some({ offset: () => m.r.between(-2, 2), axis1: () => m.axis(), axis2: () => m.axis() }, 0.3),
    ],
    trace: (m) => [[m.array()], m.some({ offset: () => m.r.between(-2, 2) })],
    diag: (m) => [[m.array("biufc", [1, 2])], m.some({ k: () => m.r.between(-2, 2) })],
    diagflat: (m) => [[m.array()], m.some({ k: () => m.r.between(-2, 2) })],
    ...each("zeros_like ones_like", (m) => [[m.array()], m.some({ dtype: () => m.type() })]),
    full_like: (m) => [[m.array(), m.r.pick<Arg>([1, 0, true])], m.some({ dtype: () => m.type() })],
    ...each("ndim size", (m) => [[m.array()]]),
  },
  joining: {
    concatenate: (m) => [[listOf(m)], m.some({ axis: () => m.r.chance(0.15) ? null : m.axis() }, 0.6)],
    stack: (m) => [[listOf(m)], m.some({ axis: () => m.r.between(-m.shape.length - 1, m.shape.length) }, 0.6)],
    ...each("vstack hstack dstack column_stack", (m) => [[listOf(m)]]),
    append: (m) => [[m.array(), m.other()], m.some({ axis: () => m.axis() }, 0.4)],
    split: (m) => [[m.array(), m.r.pick<Arg>([1, 2, 3, [1], [1, 2], [2, 5], [-1]])], m.some({ axis: () => m.axis() })],
    array_split: (m) => [[m.array(), m.r.pick<Arg>([1, 2, 3, 5, [1, 3]])], m.some({ axis: () => m.axis() })],
    ...each("hsplit vsplit dsplit", (m) => [[m.array(), m.r.pick<Arg>([1, 2, [1]])]]),
    unstack: (m) => [[m.array()], m.some({ axis: () => m.axis() })],
    meshgrid: (m) => [[m.array("iuf", [1, 1]), m.array("iuf", [1, 1])], m.some({ indexing: () => "ij" })],
    delete: (m) => {
      const x = m.array();
      const axis = m.axis();
      const n = m.shape.at(axis) ?? 1;
      return [[x, n === 0 ? [] : m.r.chance(0.4) ? m.r.between(-n, n - 1) : [m.r.between(-n, n - 1)]], { axis }];
    },
    insert: (m) => {
      const x = m.array();
      const axis = m.axis();
      const n = m.shape.at(axis) ?? 1;
      return [[x, m.r.between(-n, n), m.r.pick<Arg>([0, 1, true])], { axis }];
    },
  },
  indexing: {
    at: (m) => {
      const x = m.array();
      return [[x, ...m.index()]];
    },
    with: (m) => {
      const x = m.array();
      const { shape, dtype } = m;
      const mode = m.r.pick(["add", "min", "max", "multiply", null, null, null]);
      const index = m.index();
      const value = m.r.chance(0.5)
        ? m.r.pick<Arg>([0, 1, 2])
        : m.fresh(dtype, m.r.pick([[], [1], [3], shape.slice(1), [2]]));
      return [[x, index, value], mode === null ? {} : { mode }];
    },
    take: (m) => {
      const x = m.array();
      const flat = m.r.chance(0.3);
      const axis = flat ? null : m.axis();
      const n = axis === null ? m.shape.reduce((a, b) => a * b, 1) : m.shape.at(axis) ?? 1;
      const mode = m.r.pick(["raise", "wrap", "clip"]);
      const reach = mode === "raise" && m.r.chance(0.95) ? n : n + 3;
      if (n === 0) return [[x, []], { axis }];
      return [[x, m.positions(m.r.pick([[], [2], [2, 2], [0]]), reach)], { axis, mode }];
    },
    compress: (m) => {
      const x = m.array();
      const axis = m.axis();
      return [[Array.from({ length: m.shape.at(axis) ?? 1 }, () => m.r.chance(0.5)), x], { axis }];
    },
    extract: (m) => {
      const x = m.array();
      return [[m.fresh("bool", m.shape), x]];
    },
    take_along_axis: (m) => {
      const x = m.array("biufc", [1, 3]);
      const axis = m.axis();
      const n = m.shape.at(axis) ?? 1;
      if (n === 0) return [[x, []], { axis }];
      const shape = m.shape.map((k, i) => i === axis || i === axis + m.shape.length ? m.r.between(1, 3) : k).map((k) =>
        Math.max(k, 1)
      );
      return [[x, m.positions(shape, n)], { axis }];
    },
    ...each("nonzero flatnonzero argwhere", (m) => [[m.array()]]),
    where: (m) => m.r.chance(0.2) ? [[m.array()]] : [[m.array("b"), m.other(), m.other()]],
    ...each("sort argsort", (m) => {
      m.special = m.r.chance(0.3);
      const x = m.array();
      const options = m.some({ axis: () => m.r.chance(0.15) ? null : m.axis() });
      return [[x], { ...options, kind: "stable" }];
    }),
    searchsorted: (m) => {
      const sorted = m.r.pick<Arg>([[], [1], [-4, -1.5, 0, 0, 2, 2.5, 7], [-3, -3, 0, 1, 5], [0, 3, 3, 3, 9]]);
      return [[sorted, m.array("iuf")], m.some({ side: () => m.r.pick(["left", "right"]) })];
    },
    select: (m) => {
      const x = m.array();
      const c = m.fresh("bool", m.shape), d = m.fresh("bool", m.shape);
      return [[[c, d], [x, x]], m.some({ default: () => m.r.pick([0, 1, 2.5]) })];
    },
  },
  products: {
    ...each("matmul dot inner", (m) => {
      const x = m.array("biufc", [0, 3]);
      const { shape, dtype } = m;
      const n = shape.at(-1) ?? 1;
      const type = m.r.chance(0.6) ? dtype : m.type();
      const y = m.r.pick([[n], [n, 2], [2, n], [1, n, 3], [n, n], [...shape]]);
      return [[x, m.fresh(type, y)]];
    }),
    ...each("outer kron", (m) => {
      const x = m.array("biufc", [0, 2]);
      const { dtype } = m;
      return [[x, m.fresh(m.r.chance(0.6) ? dtype : m.type(), m.r.pick([[], [2], [3], [0], [2, 2]]))]];
    }),
    vdot: (m) => {
      const x = m.array("biufc", [0, 2]);
      return [[x, m.fresh(m.r.chance(0.6) ? m.dtype : m.type(), m.shape)]];
    },
    tensordot: (m) => {
      const x = m.array("biufc", [0, 3]);
      const { shape } = m;
      const k = m.r.below(shape.length + 1);
      if (k === 1 && m.r.chance(0.5)) {
        const axis = m.r.below(shape.length);
        return [[x, m.fresh(m.dtype, [2, shape[axis]!])], { axes: [[axis], [1]] }];
      }
      return [[x, m.fresh(m.dtype, [...shape.slice(shape.length - k), m.r.pick([1, 2])])], { axes: k }];
    },
    vecdot: (m) => {
      const x = m.array("biufc", [1, 3]);
      return [[x, m.fresh(m.r.chance(0.6) ? m.dtype : m.type(), m.r.chance(0.7) ? m.shape : [m.shape.at(-1)!])]];
    },
    cross: (m) => {
      const x = m.fresh(m.type("iuf"), [...[[], [2], [2, 1]][m.r.below(3)]!, 3]);
      return [[x, m.fresh(m.dtype, m.r.pick([[3], [1, 3], [2, 3]]))]];
    },
    einsum: (m) => {
      const x = m.fresh(m.type("iuf"), [2, 3]), y = m.fresh(m.dtype, [3, 2]), z = m.fresh(m.dtype, [2, 2, 3]);
      return m.r.pick<Call>([
        [["ij,jk->ik", x, y]],
        [["ij,jk", x, y]],
        [["ij->ji", x]],
        [["ij->", x]],
        [["aij,jk->aik", z, y]],
        [["...ij,jk->...ik", z, y]],
        [["aij->aj", z]],
        [["iij->j", z]],
        [["ij,ij->i", x, x]],
        [["ij,kj->ik", x, x]],
        [["i...->...", x]],
        [["ij,jk,kl->il", x, y, x]],
      ]);
    },
    vander: (m) => [[m.array("iuf", [1, 1])], m.some({ N: () => m.r.below(4), increasing: () => true })],
    polyval: (m) => [[m.array("iuf", [1, 1]), m.r.pick<Arg>([2, [1, 2], 0.5])]],
  },
  creation: {
    asarray: (m) => [
      [m.r.pick<Arg>([
        [],
        [[]],
        [1, 2.5],
        [true, 2],
        [true, false],
        [[1, 2], [3]],
        [[1, 2], [3, 4.5]],
        [{ re: 1, im: 2 }, 3],
        300,
        -1,
        true,
        0.5,
        [{ num: "nan" }, 1],
      ])],
      m.some({ dtype: () => m.type("bfc") }),
    ],
    result_type: (m) => [[m.array(), m.scalar(), m.array()]],
    promote_types: (m) => [[m.type("biufc"), m.type("biufc")]],
    can_cast: (m) => [[m.type(), m.type()], m.some({ casting: () => m.r.pick(["no", "safe", "same_kind", "unsafe"]) })],
    broadcast_shapes: (
      m,
    ) => [[m.r.pick<Arg>([[2, 3], [1], [], 3, [2, 1], [0]]), m.r.pick<Arg>([[3], [2, 3], 1, [0], [4, 1, 1]])]],
    ...each("logspace geomspace", (m) => [
      [m.r.pick([1, 2, 0.5]), m.r.pick([3, 4, 8]), m.r.below(6)],
      m.some({ endpoint: () => false }, 0.3),
    ]),
    identity: (m) => [[m.r.below(4)], m.some({ dtype: () => m.type() })],
    ...each("copy shape iscomplexobj isrealobj", (m) => [[m.array()]]),
    ...each("array_equal array_equiv allclose", (m) => [[m.array(), m.other()]]),
    ...each(
      "zeros ones",
      (m) => [[m.r.pick<Arg>([3, [], [2, 3], [0], [2, 0], [-1]])], m.some({ dtype: () => m.type() })],
    ),
    full: (m) => [[m.r.pick<Arg>([3, [], [2, 3]]), m.r.pick<Arg>([1, 0.5, true, m.array()])], {}],
    ...each("eye tri", (m) => [[m.r.below(4)], m.some({ M: () => m.r.below(5), k: () => m.r.between(-3, 3) })]),
    arange: (m) => [
      m.r.pick<readonly Arg[]>([
        [m.r.between(-2, 6)],
        [m.r.between(-5, 5), m.r.between(-5, 8)],
        [0, 2, 0.25],
        [3, -2, -1],
        [
          0,
          m.r.between(-6, 9),
          m.r.pick([1, 2, -1, 3]),
        ],
        [0.5, 4],
        [5, 1, -0.75],
      ]),
      m.some({ dtype: () => m.type("iuf") }, 0.2),
    ],
    linspace: (m) => [
      [m.r.between(-3, 3), m.r.between(-3, 8), m.r.below(7)],
      m.some({ endpoint: () => false, dtype: () => m.type("f") }, 0.3),
    ],
    indices: (m) => [[m.r.pick<Arg>([[2, 3], [0], [4], []])]],
    ...each(
      "tril_indices triu_indices",
      (m) => [[m.r.below(4)], m.some({ k: () => m.r.between(-2, 2), m: () => m.r.below(5) })],
    ),
    diag_indices: (m) => [[m.r.below(4)], m.some({ ndim: () => m.r.between(1, 3) })],
  },
};
