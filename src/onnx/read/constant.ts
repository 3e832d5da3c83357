/** The tensors of ONNX's `Constant` nodes, which have seven ways to state one. */

import { type AttributeProto, AttributeProto_AttributeType as Kind } from "onnx-buf";
import { FileFormatError, UnsupportedError } from "../../errors.ts";
import { float32Scalar, float32Tensor, makeTensor, type Tensor } from "../../ir/tensor.ts";
import { type ExternalData, readTensor, readText } from "../wire/tensor.ts";

const remedy = "The exporter is at fault: export the model again, with a newer version of it if there is one.";

/**
 * The tensor that a `Constant` node stands for; `where` names the node in errors.
 *
 * It reads the file's attributes and not the graph's, whose integers are numbers: constants hold the ends of the int64 range.
 *
 * @param inPlace As of readTensor.
 */
export function readConstant(
  attributes: readonly AttributeProto[],
  where: string,
  externalData?: ExternalData,
  inPlace: boolean = false,
): Tensor {
  const [attribute, ...others] = attributes;
  if (attribute === undefined || others.length > 0) {
    throw new FileFormatError(`a Constant has one attribute, this one has ${attributes.length}`, { where, remedy });
  }
  const { name, type } = attribute;
  if (name === "value" && type === Kind.TENSOR && attribute.t !== undefined) {
    return readTensor(attribute.t, where, externalData, inPlace);
  }
  if (name === "value_int" && type === Kind.INT) return makeTensor("int64", [], BigInt64Array.of(attribute.i));
  if (name === "value_ints" && type === Kind.INTS) {
    return makeTensor("int64", [attribute.ints.length], BigInt64Array.from(attribute.ints));
  }
  if (name === "value_float" && type === Kind.FLOAT) return float32Scalar(attribute.f);
  if (name === "value_floats" && type === Kind.FLOATS)
    return float32Tensor([attribute.floats.length], attribute.floats);
  if (name === "value_string" && type === Kind.STRING) {
    return makeTensor("string", [], [readText(attribute.s, where)]);
  }
  if (name === "value_strings" && type === Kind.STRINGS) {
    const texts = attribute.strings.map((bytes) => readText(bytes, where));
    return makeTensor("string", [texts.length], texts);
  }
  if (name === "sparse_value") {
    throw new UnsupportedError("sparse constants are not supported", { where, remedy: "Store it dense." });
  }
  throw new FileFormatError(`a Constant has no attribute "${name}" of this kind`, { where, remedy });
}
