/** C source text of constants: arrays, packed weights, float literals. */
import type { IntegerWeight } from "../../integer-network.ts";

/** ` - value`, or nothing. */
export function subtractionText(value: number): string {
  return value === 0 ? "" : value > 0 ? ` - ${value}` : ` + ${-value}`;
}

const elementBytes: Readonly<Record<string, number>> = {
  uint8_t: 1,
  int16_t: 2,
  uint16_t: 2,
  int32_t: 4,
  float: 4,
  int64_t: 8,
};

/** Bytes of all constants that a source text declares: what they take of a device's flash. */
export function constantBytes(source: string): number {
  return [...source.matchAll(/^static const (\w+) \w+\[(\d+)\]/gm)].reduce(
    (sum, [, type = "", count]) => sum + (elementBytes[type] ?? 0) * Number(count),
    0,
  );
}

/** A float32 as a C99 literal that is read back to the same bits. */
export function floatLiteral(value: number): string {
  const text = Math.fround(value).toPrecision(9);
  return /[.e]/.test(text) ? `${text}f` : `${text}.0f`;
}

/** `static const TYPE NAME[N] = { ... };` */
export function constantArray(type: string, name: string, values: readonly string[]): string {
  const lines: string[] = [];
  for (let i = 0; i < values.length; i += 16) lines.push(`  ${values.slice(i, i + 16).join(", ")}`);
  return `static const ${type} ${name}[${values.length}] = {\n${lines.join(",\n")}\n};\n`;
}

/** A weight as packed indices into its levels. */
export interface PackedWeight {
  readonly bits: number;
  /** Places among the levels, low bits first, with a byte to spare for reads across two. */
  readonly bytes: Uint8Array;
  readonly levels: readonly number[];
  /** Whether the levels are all integers of a range, so that no table is needed. */
  readonly isPlain: boolean;
}

/** Packs a weight to exactly the bits that its levels need. */
export function packWeight({ codes, levels }: IntegerWeight): PackedWeight {
  // A channel that became a constant has the code 0, which not every grid has.
  const known = [...new Set([...levels, ...codes])].sort((a, b) => a - b);
  const bits = Math.max(1, Math.ceil(Math.log2(known.length)));
  const places = new Map(known.map((level, place) => [level, place]));
  const bytes = new Uint8Array(Math.ceil((codes.length * bits) / 8) + 1);
  codes.forEach((code, i) => {
    const position = i * bits;
    const place = (places.get(code) ?? 0) << (position & 7);
    bytes[position >> 3] = (bytes[position >> 3] ?? 0) | (place & 255);
    if (place > 255) bytes[(position >> 3) + 1] = (bytes[(position >> 3) + 1] ?? 0) | (place >> 8);
  });
  const isPlain = known.every((level, i) => level === (known[0] ?? 0) + i);
  return { bits, bytes, levels: known, isPlain };
}
