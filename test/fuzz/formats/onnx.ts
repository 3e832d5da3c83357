/** ONNX files, damaged as bytes and as messages: other numbers, names, operators, types and shapes where a file has some. */

import { readdirSync } from "node:fs";
import { join } from "node:path";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { ModelProtoSchema } from "onnx-buf";
import type { RandomStream } from "../../../src/base/random.ts";
import { exportOnnx } from "../../../src/importer/export.ts";
import { inspectNetwork } from "../../../src/importer/inspect.ts";
import { importOnnxFile } from "../../../src/importer/node-files.ts";
import { rawBytes } from "../../../src/onnx/wire/proto.ts";
import { ramp } from "../../support/onnx/model.ts";
import { damagedBytes, type FuzzFormat, oddNumbers, oddTexts, oneOf, putFiles } from "../format.ts";
import { modelKinds, seedModels } from "./models.ts";

/** A place of a message that can hold another value. */
interface Place {
  readonly holder: object;
  readonly key: string;
  readonly value: unknown;
}

function places(holder: object, found: Place[] = []): Place[] {
  for (const [key, value] of Object.entries(holder)) {
    if (key.startsWith("$")) continue;
    found.push({ holder, key, value });
    if (typeof value === "object" && value !== null && !ArrayBuffer.isView(value)) places(value, found);
  }
  return found;
}

/** A value that does not hold the message that it is to become a part of; else nothing. */
function outside(value: unknown, holder: object): unknown {
  const isObject = typeof value === "object" && value !== null;
  return isObject && (value === holder || places(value).some((place) => place.holder === holder)) ? undefined : value;
}

const operators =
  "Add Mul Concat Reshape Gather Shape If Loop Conv MatMul Pad Resize Range Expand Tile Slice Split TopK".split(" ");

/** Replaces one value of a message by another of its kind. */
function change(all: readonly Place[], stream: RandomStream): void {
  const { holder, key, value } = oneOf(stream, all);
  const set = (other: unknown) => Reflect.set(holder, key, other);
  if (typeof value === "bigint") set(BigInt(oneOf(stream, oddNumbers)));
  else if (typeof value === "number")
    set(
      oneOf(
        stream,
        oddNumbers.filter((number) => Math.abs(number) < 2 ** 31),
      ),
    );
  else if (typeof value === "string") {
    const others = all.flatMap((place) => (typeof place.value === "string" ? [place.value] : []));
    set(oneOf(stream, [oneOf(stream, others), oneOf(stream, oddTexts), oneOf(stream, operators)]));
  } else if (value instanceof Uint8Array) set(damagedBytes(value, stream));
  else if (Array.isArray(value)) {
    const at = stream.integerBelow(value.length + 1);
    const alike = all.flatMap((place) => (place.key === key && Array.isArray(place.value) ? place.value : []));
    const how = stream.integerBelow(3);
    if (how === 0) value.splice(at, 1);
    else if (alike.length > 0) value.splice(at, how - 1, outside(oneOf(stream, alike), holder) ?? value[0]);
    else if (value.length > 0) value.push(...value.slice(0, 1));
  } else if (value === undefined) return;
  else {
    const alike = all.filter((place) => place.key === key && typeof place.value === "object");
    set(outside(oneOf(stream, alike).value, holder));
  }
}

function damagedModel(bytes: Uint8Array, stream: RandomStream): Uint8Array {
  if (stream.integerBelow(3) === 0) return damagedBytes(bytes, stream);
  const model = fromBinary(ModelProtoSchema, bytes);
  for (let times = 1 + stream.integerBelow(4); times > 0; times--) change(places(model), stream);
  try {
    return toBinary(ModelProtoSchema, model);
  } catch {
    // A value that the wire format cannot hold: bytes are damaged in its place.
    return damagedBytes(bytes, stream);
  }
}

const weights = rawBytes(ramp(4, 3));

/** Models of each kind, read as `inspect` and `convert` read them. */
export const onnxFormats: readonly FuzzFormat[] = modelKinds.map((name) => ({
  name,
  write: (stream, folder) => {
    const model = damagedModel(oneOf(stream, seedModels(name)), stream);
    const isShort = stream.integerBelow(4) === 0;
    const data = name === "external data" ? { "weights.bin": isShort ? weights.subarray(0, 40) : weights } : {};
    putFiles(folder, { "model.onnx": model, ...data });
  },
  read: (folder) => {
    const network = importOnnxFile(join(folder, "model.onnx"));
    inspectNetwork(network);
    exportOnnx(network);
    return readdirSync(folder);
  },
}));
