/** Small ONNX files as an exporter would write them, opset and all, in a few lines. */

import { create, toBinary } from "@bufbuild/protobuf";
import {
  type AttributeProto,
  AttributeProtoSchema,
  type GraphProto,
  GraphProtoSchema,
  AttributeProto_AttributeType as Kind,
  ModelProtoSchema,
  NodeProtoSchema,
  type TensorProto,
  TensorProto_DataLocation,
  TensorProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from "onnx-buf";
import { float32Tensor, int64Tensor, type Tensor } from "../../../src/ir/tensor.ts";
import type { DType } from "../../../src/ir/types.ts";
import { dtypeToOnnx, rawBytes } from "../../../src/onnx/wire/proto.ts";

export type ModelAttribute =
  | number
  | string
  | readonly number[]
  | { readonly float: number }
  | { readonly strings: readonly string[] }
  | ModelText
  | Tensor;

interface ModelText {
  readonly graph: GraphText;
}

/** `["Relu", ["x"], ["y"]]`, with attributes and a domain where there are any. */
export type NodeText = readonly [
  op: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes?: Readonly<Record<string, ModelAttribute>>,
  domain?: string,
];

export interface GraphText {
  /** Name → sizes; a text is a symbol. */
  readonly inputs?: Readonly<Record<string, readonly (number | string)[]>>;
  readonly inputType?: DType;
  /** Those of inputs that are of another type. */
  readonly inputTypes?: Readonly<Record<string, DType>>;
  readonly outputs: readonly string[];
  readonly nodes: readonly NodeText[];
  readonly initializers?: Readonly<Record<string, Tensor>>;
  /** Names of initializers that lie in another file, with its path. */
  readonly external?: Readonly<Record<string, string>>;
}

export interface FileText extends GraphText {
  /** Default 17. */
  readonly opset?: number;
}

/** The bytes of a model. */
export function onnxModel({ opset = 17, ...text }: FileText): Uint8Array {
  const domains = new Set(["", ...text.nodes.map(([, , , , domain]) => domain ?? "")]);
  return toBinary(
    ModelProtoSchema,
    create(ModelProtoSchema, {
      irVersion: 8n,
      producerName: "test",
      opsetImport: [...domains].map((domain) => ({ domain, version: domain === "" ? BigInt(opset) : 1n })),
      graph: graphProto(text),
    }),
  );
}

function graphProto(text: GraphText): GraphProto {
  const { inputs = {}, inputType = "float32", inputTypes = {}, initializers = {}, external = {} } = text;
  return create(GraphProtoSchema, {
    name: "model",
    input: Object.entries(inputs).map(([name, shape]) => valueInfo(name, inputTypes[name] ?? inputType, shape)),
    output: text.outputs.map((name) => create(ValueInfoProtoSchema, { name })),
    initializer: Object.entries(initializers).map(([name, tensor]) => tensorProto(name, tensor, external[name])),
    node: text.nodes.map(([opType, input, output, attributes = {}, domain = ""], i) =>
      create(NodeProtoSchema, {
        opType,
        domain,
        name: `${opType}_${i}`,
        input: [...input],
        output: [...output],
        attribute: Object.entries(attributes).map(([name, value]) => attributeProto(name, value)),
      }),
    ),
  });
}

function valueInfo(name: string, dtype: DType, shape: readonly (number | string)[]): ValueInfoProto {
  const dim = shape.map((size) => ({
    value:
      typeof size === "number"
        ? { case: "dimValue" as const, value: BigInt(size) }
        : { case: "dimParam" as const, value: size },
  }));
  const value = { case: "tensorType" as const, value: { elemType: dtypeToOnnx(dtype), shape: { dim } } };
  return create(ValueInfoProtoSchema, { name, type: { value } });
}

function tensorProto(name: string, tensor: Tensor, location?: string): TensorProto {
  const plain = { name, dims: tensor.shape.map(BigInt), dataType: dtypeToOnnx(tensor.dtype) };
  if (location === undefined) return create(TensorProtoSchema, { ...plain, rawData: rawBytes(tensor) });
  const dataLocation = TensorProto_DataLocation.EXTERNAL;
  return create(TensorProtoSchema, { ...plain, dataLocation, externalData: [{ key: "location", value: location }] });
}

function attributeProto(name: string, value: ModelAttribute): AttributeProto {
  if (typeof value === "number") return create(AttributeProtoSchema, { name, type: Kind.INT, i: BigInt(value) });
  if (typeof value === "string") {
    return create(AttributeProtoSchema, { name, type: Kind.STRING, s: new TextEncoder().encode(value) });
  }
  if ("graph" in value) return create(AttributeProtoSchema, { name, type: Kind.GRAPH, g: graphProto(value.graph) });
  if ("strings" in value) {
    const strings = value.strings.map((text) => new TextEncoder().encode(text));
    return create(AttributeProtoSchema, { name, type: Kind.STRINGS, strings });
  }
  if ("float" in value) return create(AttributeProtoSchema, { name, type: Kind.FLOAT, f: value.float });
  if ("dtype" in value) return create(AttributeProtoSchema, { name, type: Kind.TENSOR, t: tensorProto("", value) });
  return create(AttributeProtoSchema, { name, type: Kind.INTS, ints: value.map(BigInt) });
}

/** A float tensor of these numbers. */
export function floats(shape: readonly number[], values: ArrayLike<number>): Tensor {
  return float32Tensor(shape, values);
}

/** A float tensor whose elements all differ. */
export function ramp(...shape: number[]): Tensor {
  const count = shape.reduce((product, size) => product * size, 1);
  return float32Tensor(
    shape,
    Array.from({ length: count }, (_, i) => ((i * 7) % 11) / 10 - 0.45 + i / 1000),
  );
}

export function ints(...values: number[]): Tensor {
  return int64Tensor(values);
}
