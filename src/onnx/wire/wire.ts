/**
 * The wire format of ONNX files, as far as it takes to find their tensors without decoding them. Numbers of fields are those
 * of onnx.proto.
 */

/** The kind of a message of a model. */
export type Kind = "model" | "graph" | "node" | "attribute" | "tensor";

/** The fields of a message that hold tensors: field number → contents. */
const inner: Readonly<Record<Kind, Readonly<Record<number, Kind>>>> = {
  model: { 7: "graph" },
  graph: { 1: "node", 5: "tensor" },
  node: { 5: "attribute" },
  attribute: { 5: "tensor", 6: "graph" },
  tensor: {},
};

const wireLength = 2;

const dataType = 2 << 3;
const float32 = 1;
const floatData = (4 << 3) | wireLength;
/** The tag of a tensor's bytes. */
export const rawData = (9 << 3) | wireLength;

/** A field of a message: its tag, and the range of its content. */
export interface Field {
  readonly tag: number;
  readonly tagAt: number;
  readonly start: number;
  readonly end: number;
}

/** The contents of a field, where they lead to tensors. */
export function heldBy(kind: Kind, { tag }: Field): Kind | undefined {
  return (tag & 7) === wireLength ? inner[kind][tag >>> 3] : undefined;
}

/**
 * The field that holds a tensor's elements as bytes: raw ones, or packed floats, which are the same. Undefined where there is
 * none, or where they come in several pieces.
 */
export function elementBytes(byteAt: (position: number) => number, start: number, end: number): Field | undefined {
  let type: number | undefined;
  let data: Field | undefined;
  for (const field of fields(byteAt, start, end)) {
    if (field.tag === dataType) type = byteAt(field.start);
    if (field.tag !== floatData && field.tag !== rawData) continue;
    if (data !== undefined) return undefined;
    data = field;
  }
  return data?.tag === floatData && type !== float32 ? undefined : data;
}

/** The fields of a message, as far as they can be read. Where bytes are damaged, the last one ends before the message. */
export function* fields(byteAt: (position: number) => number, start: number, end: number): Generator<Field> {
  let position = start;
  /** The next variable-length number; -1 where there is none. Numbers above 2^53 are as good as any that are too large. */
  const varint = (): number => {
    let value = 0;
    for (let factor = 1; position < end && factor < 2 ** 63; factor *= 128) {
      const byte = byteAt(position++);
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
    }
    return -1;
  };
  while (position < end) {
    const tagAt = position;
    const tag = varint();
    let from = position;
    let size = 0;
    switch (tag & 7) {
      case 0:
        if (varint() < 0) return;
        size = position - from;
        break;
      case 1:
        size = 8;
        break;
      case wireLength:
        size = varint();
        from = position;
        break;
      case 5:
        size = 4;
        break;
      default:
        return;
    }
    if (tag < 0 || size < 0 || from + size > end) return;
    yield { tag, tagAt, start: from, end: from + size };
    position = from + size;
  }
}
