/**
 * The syntax of `tnp.expr`: NumPy's expressions (Python's grammar and precedence) as a tree.
 *
 * Source: The Python Language Reference, chapter 6 (Expressions). Left out: comparison chains, `and`, `or`, `not`, `if`, lambda and
 * comprehensions, which arrays cannot answer.
 * @module
 */

/** Operators of two operands. */
export type BinaryOperator =
  | "**"
  | "@"
  | "*"
  | "/"
  | "//"
  | "%"
  | "+"
  | "-"
  | "<<"
  | ">>"
  | "&"
  | "^"
  | "|"
  | "<"
  | "<="
  | ">"
  | ">="
  | "=="
  | "!=";

/** Operators of one operand. */
export type UnaryOperator = "-" | "+" | "~";

/** A subscript: a tree, or a slice whose missing ends are null. */
export type Subscript = Tree | {
  readonly is: "slice";
  readonly start: Tree | null;
  readonly stop: Tree | null;
  readonly step: Tree | null;
};

/** A parsed expression. */
export type Tree =
  | { readonly is: "hole"; readonly index: number }
  | { readonly is: "number"; readonly value: number | bigint; readonly kind: "int" | "float" | "imaginary" }
  | { readonly is: "string"; readonly value: string }
  | { readonly is: "name"; readonly name: string; readonly at: string }
  | { readonly is: "list" | "tuple"; readonly items: readonly Tree[] }
  | { readonly is: "ellipsis" }
  | { readonly is: "unary"; readonly op: UnaryOperator; readonly x: Tree }
  | { readonly is: "binary"; readonly op: BinaryOperator; readonly x: Tree; readonly y: Tree }
  | { readonly is: "attribute"; readonly x: Tree; readonly name: string }
  | { readonly is: "index"; readonly x: Tree; readonly subscripts: readonly Subscript[] }
  | {
    readonly is: "call";
    readonly f: Tree;
    readonly args: readonly Tree[];
    readonly keywords: readonly (readonly [string, Tree])[];
  };

/** How tightly binary operators bind; `**` is apart, being tighter than the sign before it and right-associative. */
const precedence: Readonly<Record<Exclude<BinaryOperator, "**">, number>> = {
  "<": 1,
  "<=": 1,
  ">": 1,
  ">=": 1,
  "==": 1,
  "!=": 1,
  "|": 2,
  "^": 3,
  "&": 4,
  "<<": 5,
  ">>": 5,
  "+": 6,
  "-": 6,
  "*": 7,
  "/": 7,
  "//": 7,
  "%": 7,
  "@": 7,
};
const comparison = 1;

interface Token {
  readonly is: "number" | "name" | "string" | "mark" | "hole" | "end";
  readonly text: string;
  readonly index: number;
  /** What stands before it, for messages. */
  readonly before: string;
}

const tokenPattern =
  /\s+|(?<number>(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][+-]?\d+)?[jJ]?)|(?<name>[A-Za-z_]\w*)|(?<string>"[^"\\]*"|'[^'\\]*')|(?<mark>\*\*|\/\/|<<|>>|<=|>=|==|!=|\.\.\.|[-+*/%@&|^~<>()[\],:.=])/y;

function tokenize(strings: readonly string[]): Token[] {
  const tokens: Token[] = [];
  let before = "";
  strings.forEach((text, i) => {
    for (let at = 0; at < text.length;) {
      tokenPattern.lastIndex = at;
      const m = tokenPattern.exec(text);
      if (m === null) throw new SyntaxError(`expr: unexpected ${JSON.stringify(text[at])} after "${before}"`);
      const is = (["number", "name", "string", "mark"] as const).find((kind) => m.groups?.[kind] !== undefined);
      if (is !== undefined) tokens.push({ is, text: m[0], index: 0, before });
      before += m[0];
      at += m[0].length;
    }
    if (i < strings.length - 1) {
      tokens.push({ is: "hole", text: "${…}", index: i, before });
      before += "${…}";
    }
  });
  tokens.push({ is: "end", text: "the end", index: 0, before });
  return tokens;
}

class Parser {
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  /** The whole text. */
  all(): Tree {
    const tree = this.#tupleOr();
    if (this.#token.is !== "end") this.#fail("an operator or the end");
    return tree;
  }

  get #token(): Token {
    return this.#tokens[this.#at]!;
  }

  #fail(expected: string): never {
    const { text, before } = this.#token;
    throw new SyntaxError(`expr: unexpected ${text} after "${before.trim()}", expected ${expected}`);
  }

  #is(mark: string): boolean {
    return this.#token.is === "mark" && this.#token.text === mark;
  }

  #take(mark: string): boolean {
    if (!this.#is(mark)) return false;
    this.#at++;
    return true;
  }

  #expect(mark: string): void {
    if (!this.#take(mark)) this.#fail(mark);
  }

  /** Items up to a closing mark, with a comma allowed after the last. */
  #items<T>(close: string, item: () => T): T[] {
    const items: T[] = [];
    while (!this.#is(close)) {
      items.push(item());
      if (!this.#take(",")) break;
    }
    this.#expect(close);
    return items;
  }

  #tupleOr(): Tree {
    const first = this.#binary(1);
    if (!this.#is(",")) return first;
    const items = [first];
    while (this.#take(",")) {
      if (this.#token.is === "end" || this.#is(")")) break;
      items.push(this.#binary(1));
    }
    return { is: "tuple", items };
  }

  #binary(least: number): Tree {
    let x = this.#unary();
    for (;;) {
      const op = this.#token.text as keyof typeof precedence;
      const level = this.#token.is === "mark" ? precedence[op] : undefined;
      if (level === undefined || level < least) return x;
      this.#at++;
      const y = this.#binary(level + 1);
      x = { is: "binary", op, x, y };
      const next = precedence[this.#token.text as keyof typeof precedence];
      if (level === comparison && this.#token.is === "mark" && next === comparison) {
        this.#fail("no second comparison; write (a < b) & (b < c)");
      }
    }
  }

  #unary(): Tree {
    for (const op of ["-", "+", "~"] as const) {
      if (this.#take(op)) return { is: "unary", op, x: this.#unary() };
    }
    const x = this.#postfix();
    return this.#take("**") ? { is: "binary", op: "**", x, y: this.#unary() } : x;
  }

  #postfix(): Tree {
    let x = this.#primary();
    for (;;) {
      if (this.#take("(")) x = this.#call(x);
      else if (this.#take("[")) {
        const subscripts = this.#items("]", () => this.#subscript());
        if (subscripts.length === 0) this.#fail("an index");
        x = { is: "index", x, subscripts };
      } else if (this.#take(".")) {
        const name = this.#token;
        if (name.is !== "name") this.#fail("an attribute's name");
        this.#at++;
        x = { is: "attribute", x, name: name.text };
      } else return x;
    }
  }

  #call(f: Tree): Tree {
    const keywords: (readonly [string, Tree])[] = [];
    const args: Tree[] = [];
    this.#items(")", () => {
      const next = this.#tokens[this.#at + 1];
      if (this.#token.is === "name" && next?.is === "mark" && next.text === "=") {
        const name = this.#token.text;
        this.#at += 2;
        keywords.push([name, this.#binary(1)]);
      } else if (keywords.length > 0) this.#fail("a keyword argument after a keyword argument");
      else args.push(this.#binary(1));
    });
    return { is: "call", f, args, keywords };
  }

  #subscript(): Subscript {
    const end = () => this.#is(":") || this.#is(",") || this.#is("]");
    const part = () => end() ? null : this.#binary(1);
    const start = part();
    if (!this.#take(":")) return start ?? this.#fail("an index");
    const stop = part();
    const step = this.#take(":") ? part() : null;
    return { is: "slice", start, stop, step };
  }

  #primary(): Tree {
    const token = this.#token;
    this.#at++;
    switch (token.is) {
      case "hole":
        return { is: "hole", index: token.index };
      case "number":
        return numberOf(token);
      case "string":
        return { is: "string", value: token.text.slice(1, -1) };
      case "name":
        return { is: "name", name: token.text, at: token.before.trim() };
      case "mark":
        if (token.text === "(") {
          if (this.#take(")")) return { is: "tuple", items: [] };
          const tree = this.#tupleOr();
          this.#expect(")");
          return tree;
        }
        if (token.text === "[") return { is: "list", items: this.#items("]", () => this.#binary(1)) };
        if (token.text === "...") return { is: "ellipsis" };
    }
    this.#at--;
    return this.#fail("a value");
  }
}

function numberOf({ text, before }: Token): Tree {
  const digits = text.replaceAll("_", "");
  if (/[jJ]$/.test(digits)) return { is: "number", value: Number(digits.slice(0, -1)), kind: "imaginary" };
  if (!/^\d+$/.test(digits)) return { is: "number", value: Number(digits), kind: "float" };
  if (/^0\d/.test(digits)) throw new SyntaxError(`expr: leading zeros in ${text} after "${before.trim()}"`);
  const value = Number(digits);
  return { is: "number", value: Number.isSafeInteger(value) ? value : BigInt(digits), kind: "int" };
}

/**
 * Parses the text around the holes of a template.
 *
 * @param strings The text; hole `i` lies after `strings[i]`
 * @returns The tree
 * @throws SyntaxError telling what came, where, and what was expected
 */
export function parse(strings: readonly string[]): Tree {
  return new Parser(tokenize(strings)).all();
}
