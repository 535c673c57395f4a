/**
 * The errors of tnp. Each names the function, what came and what was expected.
 * @module
 */

/** Shapes that do not fit together or a size that does not match (NumPy raises ValueError). */
export class ShapeError extends RangeError {
  /** The name of the class. */
  override name = "ShapeError";
}

/** An index outside its axis, or of a kind that cannot index (NumPy raises IndexError). */
export class IndexError extends RangeError {
  /** The name of the class. */
  override name = "IndexError";
}

/** An axis outside the array's dimensions, or given twice (NumPy raises AxisError). */
export class AxisError extends RangeError {
  /** The name of the class. */
  override name = "AxisError";
}

/** Two dtypes with no common dtype under the promotion mode in force. */
export class DTypePromotionError extends TypeError {
  /** The name of the class. */
  override name = "DTypePromotionError";
}

/** A linear-algebra routine that found no answer, such as a singular matrix (numpy.linalg.LinAlgError). */
export class LinAlgError extends Error {
  /** The name of the class. */
  override name = "LinAlgError";
}

/** A device ran out of memory; the message tells what is live. */
export class OutOfMemoryError extends Error {
  /** The name of the class. */
  override name = "OutOfMemoryError";
}

/** A device that is not there, mixed devices in one expression, or a device that failed. */
export class DeviceError extends Error {
  /** The name of the class. */
  override name = "DeviceError";
}

/** A value that was read after `dispose()`. */
export class DisposedError extends Error {
  /** The name of the class. */
  override name = "DisposedError";
}

/** A traced value (inside `tnp.function` or `tnp.vectorized_map`) that was read as if it were known. */
export class TracerError extends TypeError {
  /** The name of the class. */
  override name = "TracerError";
}

/**
 * Runs what a public function is made of, so that errors from inside carry its name instead of theirs.
 * @param name the function that messages name
 */
export function within<T>(name: string, fn: () => T): T {
  try {
    return fn();
  } catch (error) {
    throw inTheNameOf(name, error);
  }
}

/** An error from inside with the function's name in place of the name it begins with. */
export function inTheNameOf(name: string, error: unknown): unknown {
  if (error instanceof Error) {
    const { message } = error;
    const text = message.replace(/^[a-z_]\w*: /, `${name}: `);
    if (text !== message) {
      const { stack } = error;
      error.message = text;
      if (stack !== undefined) error.stack = stack.replace(message, () => text);
    }
  }
  return error;
}
