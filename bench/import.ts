/**
 * Time and memory of reading a model of 100 MB, for each way in which exporters store weights.
 *
 *     npx tsx bench/import.ts [megabytes]
 *
 * Each model is read by a process of its own that runs the built package (npm run build); its peak memory is that of the
 * whole process, with Node.js and the package's code in it. Needs Linux.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, openSync, rmSync, statSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import {
  AttributeProtoSchema,
  AttributeProto_AttributeType as Kind,
  ModelProtoSchema,
  NodeProtoSchema,
  type TensorProto,
  TensorProto_DataLocation,
  TensorProtoSchema,
  ValueInfoProtoSchema,
} from "onnx-buf";
import { formatTable } from "../src/cli/view/table.ts";

const forms = ["raw_data", "float_data", "Constant nodes", "external data", "float16"] as const;
type Form = (typeof forms)[number];

const width = 512;
const count = width * width * 9;
const megabytes = Number(process.argv[2] ?? 100);

function weight(form: Form, name: string, index: number): TensorProto {
  const values = Float32Array.from({ length: count }, (_, i) => (((i + index) * 7) % 113) / 1000 - 0.05);
  const proto = create(TensorProtoSchema, { name, dims: [width, width, 3, 3].map(BigInt), dataType: 1 });
  if (form === "float_data") proto.floatData = Array.from(values);
  else if (form === "float16") {
    proto.dataType = 10;
    proto.rawData = new Uint8Array(Uint16Array.from(values, (_, i) => 0x2000 + (i % 0x1000)).buffer);
  } else proto.rawData = new Uint8Array(values.buffer);
  return proto;
}

/** Writes convolutions in a row, and the data next to them. */
function writeModel(path: string, form: Form): void {
  const layers = Math.round((megabytes * 1e6) / (form === "float16" ? 2 * count : 4 * count));
  const type = form === "float16" ? 10 : 1;
  const shape = [1, width, 8, 8].map((size) => ({ value: { case: "dimValue" as const, value: BigInt(size) } }));
  const data = form === "external data" ? openSync(`${path}.data`, "w") : undefined;
  const tensors = Array.from({ length: layers }, (_, i) => weight(form, `layer${i}.weight`, i));
  if (data !== undefined) {
    tensors.forEach((tensor, i) => {
      writeSync(data, tensor.rawData);
      tensor.rawData = new Uint8Array(0);
      tensor.dataLocation = TensorProto_DataLocation.EXTERNAL;
      const entries = { location: "model.onnx.data", offset: String(4 * count * i), length: String(4 * count) };
      tensor.externalData = Object.entries(entries).map(([key, value]) => ({
        $typeName: "onnx.StringStringEntryProto",
        key,
        value,
      }));
    });
  }
  const value = (t: TensorProto) => create(AttributeProtoSchema, { name: "value", type: Kind.TENSOR, t });
  const pads = create(AttributeProtoSchema, { name: "pads", type: Kind.INTS, ints: [1n, 1n, 1n, 1n] });
  const node = tensors.flatMap((tensor, i) => [
    ...(form === "Constant nodes"
      ? [
          create(NodeProtoSchema, {
            opType: "Constant",
            output: [tensor.name],
            attribute: [value(tensor)],
          }),
        ]
      : []),
    create(NodeProtoSchema, {
      opType: "Conv",
      name: `conv${i}`,
      input: [i === 0 ? "x" : `h${i}`, tensor.name],
      output: [i === layers - 1 ? "y" : `h${i + 1}`],
      attribute: [pads],
    }),
  ]);
  const inputType = { case: "tensorType" as const, value: { elemType: type, shape: { dim: shape } } };
  const model = create(ModelProtoSchema, {
    irVersion: 8n,
    producerName: "bench",
    opsetImport: [{ domain: "", version: 17n }],
    graph: {
      name: "model",
      input: [create(ValueInfoProtoSchema, { name: "x", type: { value: inputType } })],
      output: [create(ValueInfoProtoSchema, { name: "y" })],
      initializer: form === "Constant nodes" ? [] : tensors,
      node,
    },
  });
  writeFileSync(path, toBinary(ModelProtoSchema, model));
}

/**
 * Prints seconds of the import and the process's peak memory in kilobytes. That of getrusage would not do: a process
 * begins with its parent's.
 */
const peak = `Number(/VmHWM:\\s*(\\d+)/.exec(require("node:fs").readFileSync("/proc/self/status", "utf8"))[1])`;
const reader = `
const { createRequire } = await import("node:module");
const require = createRequire(import.meta.url);
const { importOnnxFile } = await import(process.argv[1]);
const start = performance.now();
const { parameters } = importOnnxFile(process.argv[2]);
const seconds = (performance.now() - start) / 1000;
console.log(JSON.stringify({ seconds, kilobytes: ${peak}, parameters: parameters.length }));`;

const importer = new URL("../dist/importer/node-files.js", import.meta.url).href;
const node = (...args: string[]) => execFileSync(process.execPath, args, { encoding: "utf8" });
const empty = (Number(node("-p", peak)) * 1024) / 1e6;
const folder = mkdtempSync(join(tmpdir(), "subbyte-bench-import-"));
try {
  const rows = forms.map((form) => {
    const path = join(folder, "model.onnx");
    writeModel(path, form);
    const size = (statSync(path).size + (form === "external data" ? statSync(`${path}.data`).size : 0)) / 1e6;
    const { seconds, kilobytes } = JSON.parse(node("--input-type=module", "-e", reader, importer, path));
    const memory = (kilobytes * 1024) / 1e6;
    return [form, size.toFixed(1), seconds.toFixed(2), memory.toFixed(0), (memory / size).toFixed(2)];
  });
  const headings = ["weights stored as", "model MB", "seconds", "peak MB with Node.js", "times the model"];
  process.stdout.write(`${formatTable(headings, rows)}\nNode.js alone: ${empty.toFixed(0)} MB; ${process.version}\n`);
} finally {
  rmSync(folder, { recursive: true });
}
