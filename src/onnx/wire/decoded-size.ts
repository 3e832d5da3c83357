/**
 * How much memory decoding a model takes, from its bytes: a message of two bytes becomes an object of hundreds, so a file
 * says nothing by its length. What the decoder would make is counted before it makes anything.
 */

import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { GraphProtoSchema, ModelProtoSchema } from "onnx-buf";
import { FileFormatError, UnsupportedError } from "../../errors.ts";
import { fields } from "./wire.ts";

/** The most nodes of a model, subgraphs included: what makes a network of them takes about 6 kB and 30 µs for each. */
export const mostNodes = 200_000;

/** The most bytes of decoded messages. */
export const mostDecodedBytes = 1.5e9;

/** The deepest nesting of messages, as of other readers of protobuf; a subgraph takes three of it. */
export const deepestMessage = 100;

/** Bytes of a decoded message, text, byte string, 64-bit integer and other number, rounded up from measurements. */
const bytesOf = { message: 400, bytes: 120, string: 40, bigint: 32, number: 8 } as const;

/** What a field holds: messages of a kind, or values whose size in memory is known. */
type Content = { readonly message: DescMessage } | { readonly bytes: number };

const contents = new Map<DescMessage, ReadonlyMap<number, Content>>();

function contentsOf(message: DescMessage): ReadonlyMap<number, Content> {
  const known = contents.get(message);
  if (known !== undefined) return known;
  const made = new Map(message.fields.map((field) => [field.number, contentOf(field)]));
  contents.set(message, made);
  return made;
}

function contentOf(field: DescField): Content {
  if (field.message !== undefined) return { message: field.message };
  // Types of protobuf: 9 is string, 12 is bytes; those of 64 bits are 3, 4, 6, 16 and 18.
  const type: number = field.scalar ?? 0;
  if (type === 9) return { bytes: bytesOf.string };
  if (type === 12) return { bytes: bytesOf.bytes };
  return { bytes: [3, 4, 6, 16, 18].includes(type) ? bytesOf.bigint : bytesOf.number };
}

interface Counted {
  bytes: number;
  nodes: number;
}

/**
 * Refuses a model that takes more memory than it may.
 *
 * @throws UnsupportedError or FileFormatError naming the limit. Damaged bytes are left to the decoder.
 */
export function checkDecodedSize(file: Uint8Array, source: string): void {
  count(file, ModelProtoSchema, 0, file.length, { bytes: 0, nodes: 0 }, 0, source);
}

function count(
  file: Uint8Array,
  kind: DescMessage,
  start: number,
  end: number,
  sum: Counted,
  depth: number,
  source: string,
): void {
  if (depth > deepestMessage) {
    throw new FileFormatError(`its messages are nested more than ${deepestMessage} deep`, {
      where: source,
      remedy: "Export the model with fewer subgraphs inside of one another.",
    });
  }
  const isGraph = kind === GraphProtoSchema;
  const known = contentsOf(kind);
  for (const field of fields((position) => file[position] ?? 0, start, end)) {
    const content = known.get(field.tag >>> 3);
    if (content === undefined) continue;
    if ("message" in content) {
      sum.bytes += bytesOf.message;
      if (isGraph && field.tag >>> 3 === 1) sum.nodes++;
      if (field.tag % 8 === 2) count(file, content.message, field.start, field.end, sum, depth + 1, source);
    } else {
      const isPacked = field.tag % 8 === 2 && content.bytes <= bytesOf.bigint;
      sum.bytes += content.bytes * (isPacked ? packedCount(file, field.start, field.end) : 1);
    }
    check(sum, source);
  }
}

/** The most numbers that packed bytes can hold: those of variable length end in a byte without its highest bit. */
function packedCount(file: Uint8Array, start: number, end: number): number {
  let numbers = 0;
  for (let i = start; i < end; i++) if ((file[i] ?? 0) < 128) numbers++;
  return numbers;
}

function check({ bytes, nodes }: Counted, source: string): void {
  if (nodes > mostNodes) {
    throw new UnsupportedError(`the model has more than ${mostNodes} nodes, which is the limit`, {
      where: source,
      remedy: "Export it in parts, or with loops and functions in place of repeated nodes.",
    });
  }
  if (bytes > mostDecodedBytes) {
    throw new UnsupportedError(`decoding the model would take more than ${mostDecodedBytes / 1e9} GB of memory`, {
      where: source,
      remedy: "Store the values of its tensors as raw data (raw_data) or in a file next to the model.",
    });
  }
}
