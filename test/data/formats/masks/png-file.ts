/** PNG files of stored numbers, with every bit depth and filter. */
import { crc32, deflateSync } from "node:zlib";

function chunk(name: string, content: Uint8Array): Uint8Array {
  const body = Buffer.concat([Buffer.from(name, "latin1"), content]);
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(content.length);
  sum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, sum]);
}

/** A grey (type 0) or palette (type 3) file whose rows use the filters in turn. */
export function numbersAsPng(
  width: number,
  values: readonly number[],
  { bits = 8, type = 3, filters = [0] }: { bits?: number; type?: number; filters?: readonly number[] } = {},
): Buffer {
  const height = values.length / width;
  const rowBytes = Math.ceil((width * bits) / 8);
  const step = Math.max(1, bits / 8);
  const rows = Array.from({ length: height }, (_, row) => {
    const line = new Uint8Array(rowBytes);
    for (let x = 0; x < width; x++) {
      const value = values[row * width + x] ?? 0;
      if (bits === 16) line.set([value >> 8, value & 255], 2 * x);
      else line[(x * bits) >> 3] = (line[(x * bits) >> 3] ?? 0) | (value << (8 - bits - ((x * bits) & 7)));
    }
    return line;
  });
  const filtered = rows.map((line, row) => {
    const filter = filters[row % filters.length] ?? 0;
    const above = rows[row - 1] ?? new Uint8Array(rowBytes);
    const of = (i: number) => {
      const [a, b, c] = [line[i - step] ?? 0, above[i] ?? 0, i < step ? 0 : (above[i - step] ?? 0)];
      const p = a + b - c;
      const near = [a, b, c].reduce((best, x) => (Math.abs(p - x) < Math.abs(p - best) ? x : best), a);
      return [0, a, b, (a + b) >> 1, near][filter] ?? 0;
    };
    return Buffer.from([filter, ...line.map((value, i) => value - of(i))]);
  });
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([bits, type, 0, 0, 0], 8);
  const palette = Uint8Array.from({ length: 3 * 2 ** Math.min(8, bits) }, (_, i) => 255 - i);
  return Buffer.concat([
    Buffer.from("\x89PNG\r\n\x1a\n", "latin1"),
    chunk("IHDR", header),
    ...(type === 3 ? [chunk("PLTE", palette)] : []),
    chunk("IDAT", deflateSync(Buffer.concat(filtered))),
    chunk("IEND", new Uint8Array(0)),
  ]);
}
