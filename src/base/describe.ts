/**
 * Values as messages show them.
 * @module
 */

/** A value as messages show it: plain values as they are written, everything else by its kind. */
export function describe(value: unknown): string {
  switch (typeof value) {
    case "string":
      return JSON.stringify(value);
    case "bigint":
      return `${value}n`;
    case "function":
      return "a function";
    case "symbol":
      return "a symbol";
    case "object":
      break;
    default:
      return String(value);
  }
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  const maker = (value as { constructor?: { name?: unknown } }).constructor?.name;
  return typeof maker !== "string" || maker === "" || maker === "Object" ? "an object" : `a value of ${maker}`;
}
