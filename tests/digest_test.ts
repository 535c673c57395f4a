/** What names kernels, and what finds damaged files. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { checkSum, digest, murmur } from "../src/base/digest.ts";

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Of PyPI's mmh3: the words of hash_bytes(text, x64arch=False). */
const published = {
  "": "00000000000000000000000000000000",
  "a": "a794933c5556b01b5556b01b5556b01b",
  "hello": "2b2444a0db91def79adb31b69adb31b6",
  "0123456789abcdef": "fb7d440936aed30a48ad1d9b572b3bfd",
  "The quick brown fox jumps over the lazy dog": "2f1583c3ecee2c675d7bf66ce5e91d2c",
};

test("the digest is that of the published function", () => {
  for (const [text, sum] of Object.entries(published)) assert.equal(murmur(encode(text)), sum, text);
});

test("the borders of texts count", () => {
  const all = [["ab", "c"], ["a", "bc"], ["abc"], ["abc", ""], ["", "abc"]].map((texts) => digest(...texts));
  assert.equal(new Set(all).size, all.length);
});

test("texts that differ a little have other digests", () => {
  const text = "void tnp_kernel(const void *block) {}".repeat(3);
  const all = new Set<string>();
  for (let at = 0; at < text.length; at++) {
    for (const with_ of ["0", "1", ""]) all.add(digest(text.slice(0, at) + with_ + text.slice(at + 1)));
  }
  // Leaving one of two equal letters in a row out gives the same text.
  assert.ok(all.size > 2.9 * text.length, `${all.size}`);
});

test("a check sum finds changed, missing and added bytes, at any address", () => {
  const file = Uint8Array.from({ length: 77 }, (_, i) => i * 37), sum = checkSum(file);
  for (let at = 0; at < 8; at++) {
    const moved = new Uint8Array(128);
    moved.set(file, at);
    assert.equal(checkSum(moved.subarray(at, at + file.length)), sum, `offset ${at}`);
  }
  for (let at = 0; at < file.length; at++) {
    assert.notEqual(checkSum(file.with(at, file[at]! ^ 1)), sum, `byte ${at}`);
    assert.notEqual(checkSum(file.slice(0, at)), sum, `length ${at}`);
  }
  assert.notEqual(checkSum(Uint8Array.from([...file, 0])), sum);
  assert.notEqual(checkSum(new Uint8Array(64)), checkSum(new Uint8Array(72)));
});
