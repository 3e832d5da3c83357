/**
 * Packed floats of tensors, given out as raw bytes before a file is decoded.
 *
 * TensorProto's `float_data` (packed) and `raw_data` hold the same little-endian bytes under two field numbers. A decoder
 * makes a list of numbers of the first, which takes ten times the memory; so the number is changed where it stands.
 */

import { elementBytes, fields, heldBy, type Kind, rawData } from "./wire.ts";

/** Changes the bytes of an ONNX file. Where they are damaged it stops, and leaves the finding to the decoder. */
export function relabelPackedFloats(bytes: Uint8Array): void {
  const byteAt = (position: number) => bytes[position] ?? 0;
  const pending: { kind: Kind; start: number; end: number }[] = [{ kind: "model", start: 0, end: bytes.length }];
  for (let message = pending.pop(); message !== undefined; message = pending.pop()) {
    const { kind, start, end } = message;
    if (kind === "tensor") {
      const data = elementBytes(byteAt, start, end);
      if (data !== undefined) bytes[data.tagAt] = rawData;
      continue;
    }
    for (const field of fields(byteAt, start, end)) {
      const held = heldBy(kind, field);
      if (held !== undefined) pending.push({ kind: held, start: field.start, end: field.end });
    }
  }
}
