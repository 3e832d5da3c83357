/**
 * A checksum inside of the file that it protects: the SHA-256 of all bytes, taken while sixty-four zeros stand in its place.
 *
 * The text `"sha256":"…"` occurs once before anything that the content could repeat, so that any program can check it:
 * replace its digits by zeros and take the SHA-256 of the file.
 */
import { createHash } from "node:crypto";

/** The value of `sha256` before the digits are known. */
export const openSeal = "0".repeat(64);

const before = '"sha256":"';

/** Returns the parts of a file with the digits of their checksum. The first part that holds an open seal gets them. */
export function sealed(parts: readonly Uint8Array[]): Uint8Array[] {
  const digits = digest(parts);
  let isOpen = true;
  return parts.map((part) => {
    const at = isOpen ? Buffer.from(part.buffer, part.byteOffset, part.byteLength).indexOf(before + openSeal) : -1;
    if (at < 0) return part;
    isOpen = false;
    return withDigits(part, at, digits);
  });
}

/** Whether a file is as it was sealed. */
export function isIntact(bytes: Uint8Array, digits: string): boolean {
  const at = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).indexOf(before + digits);
  if (digits.length !== openSeal.length || at < 0) return false;
  const digitsAt = at + before.length;
  const parts = [
    bytes.subarray(0, digitsAt),
    new TextEncoder().encode(openSeal),
    bytes.subarray(digitsAt + digits.length),
  ];
  return digest(parts) === digits;
}

function withDigits(part: Uint8Array, at: number, digits: string): Uint8Array {
  const copy = part.slice();
  copy.set(new TextEncoder().encode(digits), at + before.length);
  return copy;
}

function digest(parts: readonly Uint8Array[]): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest("hex");
}
