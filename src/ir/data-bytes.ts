/** Bytes of files, which need not be in memory, and bytes put together. */

/** A file's bytes, in memory or read on demand. A Uint8Array is one. */
export interface DataBytes {
  readonly length: number;
  /** The bytes from `begin` up to `end`, which nobody else writes. */
  subarray(begin: number, end: number): Uint8Array;
}

/** A range of a file's bytes, which is not read yet. */
export function rangeOf(file: DataBytes, offset: number, length: number): DataBytes {
  return { length, subarray: (begin, end) => file.subarray(offset + begin, offset + Math.min(end, length)) };
}

const blockBytes = 2 ** 16;

/** Reads single bytes of a file, a block at a time. */
export function byteReader(file: DataBytes): (position: number) => number {
  let block: Uint8Array = new Uint8Array(0);
  let first = 0;
  return (position) => {
    if (position < first || position >= first + block.length) {
      first = position;
      block = file.subarray(first, Math.min(file.length, first + blockBytes));
    }
    return block[position - first] ?? 0;
  };
}

/** The parts one after the other. */
export function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let position = 0;
  for (const part of parts) {
    whole.set(part, position);
    position += part.length;
  }
  return whole;
}
