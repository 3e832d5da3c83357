/** The parts of a fuzzer: for each format, how one input is made from random numbers, and how it is read. */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { RandomStream } from "../../src/base/random.ts";

/** A format whose reader gets damaged and hostile inputs. */
export interface FuzzFormat {
  readonly name: string;
  /** Makes what all inputs begin with, once, in the folder around theirs. */
  readonly prepare?: (folder: string) => Promise<void>;
  /** Writes one input into an empty folder. The same numbers give the same input. */
  readonly write: (stream: RandomStream, folder: string) => void | Promise<void>;
  /** Reads it as a command would: what it returns is a success, a SubbyteError that it throws a refusal. */
  readonly read: (folder: string) => unknown;
}

/** Draws one of several items. */
export function oneOf<Item>(stream: RandomStream, items: readonly Item[]): Item {
  const item = items[stream.integerBelow(items.length)];
  if (item === undefined) throw new Error("there is nothing to draw from");
  return item;
}

/** Numbers at which sizes, offsets and indices go wrong. */
export const oddNumbers: readonly number[] = [
  0,
  1,
  -1,
  2,
  3,
  7,
  127,
  128,
  255,
  256,
  65_521,
  2 ** 31 - 1,
  -(2 ** 31),
  2 ** 31,
  2 ** 32,
  2 ** 53 - 1,
  2 ** 53,
  -(2 ** 53),
];

/** Texts that code, markup, YAML and terminals give a meaning of their own. */
export const oddTexts: readonly string[] = [
  "",
  " ",
  "\u0000",
  "\u001b[2J",
  "\r",
  "\n",
  "\u202e",
  "\u2028",
  "\u{1f4a9}",
  "__proto__",
  "constructor",
  "toString",
  "*/",
  "??/",
  "\\\n",
  '"',
  "'",
  '"""',
  "<script>",
  "]]>",
  "../../etc/passwd",
  "/dev/zero",
  "a".repeat(5000),
  "NaN",
  "1e999",
];

/** Bytes with a few of them changed, cut off, taken out, doubled, or replaced by ends of ranges. */
export function damagedBytes(bytes: Uint8Array, stream: RandomStream): Uint8Array {
  const damaged = Buffer.from(bytes);
  if (damaged.length === 0) return damaged;
  const at = stream.integerBelow(Math.max(1, damaged.length));
  const head = stream.integerBelow(Math.max(1, Math.min(damaged.length, 256)));
  const length = 1 + stream.integerBelow(64);
  switch (stream.integerBelow(9)) {
    case 0:
      return damaged.subarray(0, at);
    case 1:
      return Buffer.concat([damaged.subarray(0, at + length), damaged.subarray(at)]);
    case 2:
      return Buffer.concat([damaged.subarray(0, at), damaged.subarray(at + length)]);
    case 3:
      damaged[at] = (damaged[at] ?? 0) ^ (1 << stream.integerBelow(8));
      return damaged;
    case 4:
      return damaged.fill(
        oneOf(stream, [0, 1, 127, 128, 255]),
        head,
        Math.min(damaged.length, head + 1 + stream.integerBelow(8)),
      );
    case 5:
      return damaged.fill(oneOf(stream, [0, 255]), at, Math.min(damaged.length, at + length));
    case 6:
      return Buffer.concat([damaged, damaged.subarray(at)]);
    case 7:
      for (let i = 0; i < 6; i++) damaged[stream.integerBelow(damaged.length)] = stream.integerBelow(256);
      return damaged;
    default:
      for (let i = 0; i < 3; i++) {
        damaged[stream.integerBelow(Math.min(damaged.length, 256))] = stream.integerBelow(256);
      }
      return damaged;
  }
}

/** A text with words, numbers, signs and lines of it replaced, doubled, taken out or nested. */
export function damagedText(text: string, stream: RandomStream, extra: readonly string[] = []): string {
  let damaged = text;
  for (let times = 1 + stream.integerBelow(3); times > 0; times--) damaged = damagedOnce(damaged, stream, extra);
  return damaged;
}

function damagedOnce(text: string, stream: RandomStream, extra: readonly string[]): string {
  const foreign = () => oneOf(stream, [...oddTexts, ...extra, ...oddNumbers.map(String)]);
  const lines = text.split("\n");
  const line = stream.integerBelow(lines.length);
  switch (stream.integerBelow(8)) {
    case 0:
      return Buffer.from(damagedBytes(Buffer.from(text), stream)).toString("utf8");
    case 1:
      return lines.filter((_, i) => i !== line).join("\n");
    case 2:
      return lines.flatMap((each, i) => (i === line ? [each, each] : [each])).join("\n");
    case 3:
      return lines.map((each, i) => (i === line ? `${each}${foreign()}` : each)).join("\n");
    case 4: {
      const open = oneOf(stream, ["[", "{", "(", "- ", "!", "&a "]);
      return lines.map((each, i) => (i === line ? each + open.repeat(oneOf(stream, [1, 3, 2000])) : each)).join("\n");
    }
    default: {
      const tokens = [...text.matchAll(/[\p{L}\p{N}_.-]+|[^\s]/gu)];
      if (tokens.length === 0) return foreign();
      const token = oneOf(stream, tokens);
      return text.slice(0, token.index) + foreign() + text.slice(token.index + token[0].length);
    }
  }
}

/** Writes the files of an input. */
export function putFiles(folder: string, files: Readonly<Record<string, Uint8Array | string>>): void {
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
}
