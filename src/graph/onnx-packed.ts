/**
 * Packed floats of tensors, given out as raw bytes before a file is decoded.
 *
 * TensorProto's `float_data` (packed) and `raw_data` hold the same little-endian bytes under two field numbers. A decoder
 * makes a list of numbers of the first, which takes ten times the memory; so the number is changed where it stands.
 * Numbers of fields are those of onnx.proto.
 */

type Kind = "model" | "graph" | "node" | "attribute" | "tensor";

/** Where tensors lie in a message: field number → what the field holds. */
const inner: Readonly<Record<Exclude<Kind, "tensor">, Readonly<Record<number, Kind>>>> = {
  model: { 7: "graph" },
  graph: { 1: "node", 5: "tensor" },
  node: { 5: "attribute" },
  attribute: { 5: "tensor", 6: "graph" },
};

const wireLength = 2;
const dataType = 2 << 3;
const float32 = 1;
const floatData = (4 << 3) | wireLength;
const rawData = (9 << 3) | wireLength;

/** A field of a message: its tag, and the range of its content. */
interface Field {
  readonly tag: number;
  readonly tagAt: number;
  readonly start: number;
  readonly end: number;
}

/** Changes the bytes of an ONNX file. Where they are damaged it stops, and leaves the finding to the decoder. */
export function relabelPackedFloats(bytes: Uint8Array): void {
  const pending: { kind: Kind; start: number; end: number }[] = [{ kind: "model", start: 0, end: bytes.length }];
  for (let message = pending.pop(); message !== undefined; message = pending.pop()) {
    const { kind, start, end } = message;
    if (kind === "tensor") {
      relabelTensor(bytes, start, end);
      continue;
    }
    for (const field of fields(bytes, start, end)) {
      const held = (field.tag & 7) === wireLength ? inner[kind][field.tag >>> 3] : undefined;
      if (held !== undefined) pending.push({ kind: held, start: field.start, end: field.end });
    }
  }
}

/** A tensor of floats in several pieces, or with raw bytes besides, stays as it is. */
function relabelTensor(bytes: Uint8Array, start: number, end: number): void {
  let type: number | undefined;
  let data: Field | undefined;
  for (const field of fields(bytes, start, end)) {
    if (field.tag === dataType) type = bytes[field.start];
    if (field.tag !== floatData && field.tag !== rawData) continue;
    if (data !== undefined || field.tag === rawData) return;
    data = field;
  }
  if (data !== undefined && type === float32) bytes[data.tagAt] = rawData;
}

/** The fields of a message, as far as they can be read. */
function* fields(bytes: Uint8Array, start: number, end: number): Generator<Field> {
  let position = start;
  /** The next variable-length number; -1 where there is none. Numbers above 2^53 are as good as any that are too large. */
  const varint = (): number => {
    let value = 0;
    for (let factor = 1; position < end && factor < 2 ** 63; factor *= 128) {
      const byte = bytes[position++] ?? 0;
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
