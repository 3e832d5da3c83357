/** Bitmaps and netpbm's images, made in memory. */

/** A bitmap by the numbers of its header; without a body, of pixels that differ. */
export function bitmap(of: {
  readonly width: number;
  readonly height: number;
  readonly bits: number;
  readonly compression?: number;
  /** Number of colours as stated. */
  readonly colours?: number;
  /** Length of the header as stated. */
  readonly header?: number;
  /** Position of the pixels as stated. */
  readonly start?: number;
  readonly body?: Uint8Array;
}): Uint8Array {
  const { width, height, bits, compression = 0, colours = 0, header = 40 } = of;
  const palette = bits <= 8 ? 4 * (colours === 0 || colours > 256 ? 2 ** bits : colours) : 0;
  const row = 4 * Math.ceil((width * bits) / 32);
  const body = of.body ?? Uint8Array.from({ length: row * Math.abs(height) }, (_, i) => (i * 37) % 256);
  const file = Buffer.alloc(54 + palette + body.length);
  file.write("BM", "latin1");
  const words: readonly (readonly [number, number])[] = [
    [2, file.length],
    [10, of.start ?? 54 + palette],
    [14, header],
    [18, width],
    [22, height],
    [30, compression],
    [34, body.length],
    [46, colours],
  ];
  for (const [at, value] of words) file.writeUInt32LE(Number(BigInt.asUintN(32, BigInt(value))), at);
  file.writeUInt16LE(1, 26);
  file.writeUInt16LE(bits, 28);
  for (let i = 0; i < palette; i++) file[54 + i] = (i * 53) % 256;
  file.set(body, 54 + palette);
  return file;
}

/** An image of netpbm: its kind, the words of its header, its values. */
export function netpbm(kind: string, words: readonly (number | string)[], body: Uint8Array | string): Uint8Array {
  return Buffer.concat([Buffer.from([kind, ...words, ""].join("\n"), "latin1"), Buffer.from(body)]);
}
