/** One attempt to open a library: where, and what the loader said. */
export interface Attempt {
  readonly path: string;
  readonly message: string;
}

/** A native library could not be opened or lacks a symbol. The text lists every path tried. */
export class LibraryError extends Error {
  override readonly name: string = "LibraryError";
  readonly library: string;
  readonly attempts: readonly Attempt[];

  constructor(library: string, message: string, attempts: readonly Attempt[] = [], options?: ErrorOptions) {
    super(message, options);
    this.library = library;
    this.attempts = attempts;
  }
}

/** A symbol that a table requires is not in the library. */
export class MissingSymbolError extends LibraryError {
  override readonly name: string = "MissingSymbolError";
  readonly symbol: string;

  constructor(library: string, symbol: string, message = `${library}: symbol ${symbol} is missing`) {
    super(library, message);
    this.symbol = symbol;
  }
}

/** A native function reported a failure: its name, the code, the code's symbolic name and the library's message. */
export class NativeError extends Error {
  override readonly name: string = "NativeError";
  readonly function: string;
  readonly code: number;
  readonly symbolic: string;

  constructor(fn: string, code: number, symbolic: string, message?: string) {
    super(`${fn}: ${symbolic} (${code})${message ? `: ${message}` : ""}`);
    this.function = fn;
    this.code = code;
    this.symbolic = symbolic;
  }
}
