/**
 * The integer network with QuantizeLinear and DequantizeLinear around float operators: the form that most compilers for accelerators
 * read. BatchNormalization is folded into the weights' scales.
 *
 * Activations are uint8, limited to their bits by a Clip (ONNX Runtime 1.30 fuses a UINT4 activation into a QLinearConv that it then
 * refuses, and so with INT2 weights). Weights: "clip" (QCDQ): int8, for runtimes that lack the small types; "native": INT4 or UINT4
 * where they fit, the bias in float.
 * A runtime may compute this form in float with the scales multiplied in, so a value on the border between two codes may
 * fall to the other side: `verify` counts them.
 */

import { GraphError } from "../../errors.ts";
import type { Graph, GraphBuilder, Value } from "../../ir/graph.ts";
import { filled, float32Tensor, makeTensor, packBits } from "../../ir/tensor.ts";
import { elementCount, type Shape } from "../../ir/types.ts";
import { writeOnnx } from "../../onnx/write/write.ts";
import { builderFor } from "../../ops/definition.ts";
import { clip } from "../../ops/families/activations.ts";
import { cast } from "../../ops/families/cast.ts";
import { conv } from "../../ops/families/conv.ts";
import { add, divide, multiply, squareRoot } from "../../ops/families/elementwise.ts";
import { layerNormalization } from "../../ops/families/layer-norm.ts";
import { matmul } from "../../ops/families/matmul.ts";
import { averagePool } from "../../ops/families/pool.ts";
import { dequantizeLinear, quantizeLinear } from "../../ops/families/quantize-linear.ts";
import { reduceMean } from "../../ops/families/reduce.ts";
import { gather } from "../../ops/families/shape/indexing.ts";
import { concat, expand, reshape, transpose } from "../../ops/families/shape/shape-ops.ts";
import { softmax } from "../../ops/families/softmax.ts";
import { integerOperators } from "../../ops/integer-operators.ts";
import { codeOutput } from "../formula-graph.ts";
import {
  type ConstantCodes,
  type Dequantize,
  type IntegerNetwork,
  type IntegerOperation,
  type IntegerTensor,
  type IntegerWeight,
  isIntegerLayer,
  type QuantizeInput,
  type Requantize,
  summingProducer,
  type Term,
  tensorById,
} from "../integer-network.ts";
import { addNetworkOutputs } from "../tail/tail-graph.ts";
import type { GatherRows, NormalizeCodes, SoftmaxCodes } from "../token-operations.ts";
import { WeightValues } from "../weight-values.ts";
import { containerOf, storedType } from "./containers.ts";
import type { FormatDefinition } from "./definition.ts";
import { addInputs, inputFrom } from "./feeds.ts";
import { byte, channelConstant, limited, scales, storedRows } from "./int/codes.ts";
import { windowAttributes } from "./int/parts.ts";
import { movedElements } from "./moved-graph.ts";
import { resampledSums } from "./resampled-graph.ts";
import { onnxRunner } from "./run-onnx.ts";
import { extremum, lookedUp } from "./table-graph.ts";

/** Batch size and weight types of a QDQ graph. */
export interface QdqOptions {
  readonly batchSize: number;
  /** The types of the weights. */
  readonly types: "native" | "clip";
  /** Adds every tensor of codes as an output, as float32 numbers without a container's offset. */
  readonly codes?: boolean;
}

/** The network as a QDQ graph. */
export function buildQdqGraph(network: IntegerNetwork, options: QdqOptions): Graph {
  return new QdqBuilder(network, options).build();
}

/** Added to a score that the mask does not keep. */
const maskedScore = 1e9;

class QdqBuilder {
  readonly #network: IntegerNetwork;
  readonly #options: QdqOptions;
  readonly #builder: GraphBuilder;
  /** Real numbers: what the codes of each tensor stand for. */
  readonly #values: Value[] = [];
  readonly #weights = new WeightValues();
  readonly #codes = new Map<number, Value>();

  constructor(network: IntegerNetwork, options: QdqOptions) {
    this.#network = network;
    this.#options = options;
    this.#builder = builderFor(integerOperators, `${network.name} qdq`);
  }

  build(): Graph {
    const data = addInputs(this.#builder, this.#network, this.#options.batchSize);
    for (const operation of this.#network.operations) {
      const value = this.#make(operation, data);
      if (value !== undefined) this.#values[operation.output] = value;
    }
    const nameOf = (id: number): string => codeOutput(id, tensorById(this.#network, id).name);
    const { batchSize, codes } = this.#options;
    const options = codes === true ? { batchSize, nameOf } : { batchSize };
    addNetworkOutputs(this.#builder, this.#network, (id) => this.#value(id), options);
    if (this.#options.codes === true) {
      for (const [id, codes] of this.#codes) {
        this.#builder.output(codeOutput(id, tensorById(this.#network, id).name), codes);
      }
    }
    return this.#builder.finish();
  }

  #value(id: number): Value {
    const value = this.#values[id];
    if (value === undefined) throw new GraphError(`tensor ${id} is read before it is produced`);
    return value;
  }

  #shape(tensor: IntegerTensor): Shape {
    return [this.#options.batchSize, ...tensor.shape.slice(1)];
  }

  #make(operation: IntegerOperation, data: ReadonlyMap<number, Value>): Value | undefined {
    const builder = this.#builder;
    const tensor = tensorById(this.#network, operation.output);
    switch (operation.op) {
      case "QuantizeInput":
        return this.#quantized(this.#input(operation, data, tensor), tensor, tensor.form);
      case "ReadIntegers": {
        const { low, high } = tensor.form;
        return cast(
          builder,
          clip(builder, cast(builder, inputFrom(data, operation.start), "int32"), low, high),
          "float32",
        );
      }
      case "GatherRows":
        return this.#rows(operation, tensor);
      case "ConstantCodes":
        return this.#constant(operation, tensor);
      case "Requantize":
        return this.#quantized(this.#sum(operation, tensor), tensor, operation);
      case "Dequantize":
        return this.#sum(operation, tensor);
      case "MaxPoolCodes":
        return builder.one("MaxPool", [this.#value(operation.input)], windowAttributes(operation));
      case "ReshapeCodes":
        return reshape(builder, this.#value(operation.input), this.#shape(tensor));
      case "SoftmaxCodes":
        return this.#softmax(operation);
      case "NormalizeCodes":
        return this.#normalized(operation);
      case "MultiplyCodes":
        return operation.inputs
          .map((id) => this.#value(id))
          .reduce((product, each) => multiply(builder, product, each));
      case "TableCodes": {
        const { form } = tensorById(this.#network, operation.input);
        const codes = builder.one("Round", [divide(builder, this.#value(operation.input), form.scale)]);
        const { zeroPoint, scale, kind } = tensor.form;
        // The offset of a grid is added where the values are summed.
        const { axis, tables, table, low } = operation;
        const entries = kind === "float" ? table : table.map((code) => (code - zeroPoint) * scale);
        return lookedUp(builder, add(builder, codes, form.zeroPoint - low), {
          axis,
          tables,
          entries,
          dtype: "float32",
        });
      }
      case "MoveCodes":
        return movedElements(
          builder,
          this.#value(operation.input),
          operation,
          (operation.fill - tensor.form.zeroPoint) * tensor.form.scale,
        );
      case "ExtremumCodes":
        return extremum(
          builder,
          operation.of,
          operation.inputs.map((id) => this.#value(id)),
        );
      case "ConcatCodes":
        return concat(
          builder,
          operation.inputs.map((id) => this.#value(id)),
          operation.axis,
        );
      default:
        return undefined;
    }
  }

  /** Rows of stored codes, and their DequantizeLinear. */
  #rows(operation: GatherRows, tensor: IntegerTensor): Value {
    const builder = this.#builder;
    const { form, name } = tensor;
    const index = cast(builder, this.#value(operation.input), "int32");
    const container = containerOf(form, name);
    const codes = reshape(
      builder,
      gather(builder, storedRows(builder, operation, container), index, 0),
      this.#shape(tensor),
    );
    const less = form.zeroPoint + container.offset;
    if (container.dtype === "uint8") {
      return dequantizeLinear(builder, codes, builder.scalar(form.scale), { zeroPoint: byte(builder, less) });
    }
    return multiply(builder, add(builder, cast(builder, codes, "float32"), -less), form.scale);
  }

  #constant({ name, codes }: ConstantCodes, tensor: IntegerTensor): Value {
    const { scale, zeroPoint } = tensor.form;
    const reals = Float32Array.from(codes, (code) => (code - zeroPoint) * scale);
    const shape = this.#shape(tensor);
    if (reals.length === 1) return this.#builder.constant(filled(shape, reals[0] ?? 0), name);
    const all = this.#builder.constant(float32Tensor([1, ...shape.slice(1)], reals), name);
    return shape[0] === 1 ? all : expand(this.#builder, all, shape);
  }

  #softmax({ inputs, axis }: SoftmaxCodes): Value {
    const builder = this.#builder;
    const [codes, mask] = inputs;
    const x = this.#value(codes);
    if (mask === undefined) return softmax(builder, x, axis);
    const bias = multiply(builder, add(builder, this.#value(mask), -1), maskedScore);
    return softmax(builder, add(builder, x, bias), axis);
  }

  /** A layer normalization, or a division by the root of the mean square; its scale and offset follow with the sum. */
  #normalized({ input, size, isCentred, epsilon }: NormalizeCodes): Value {
    const builder = this.#builder;
    const x = this.#value(input);
    const { scale } = tensorById(this.#network, input).form;
    const { shape } = x.type;
    const [batch = 1] = shape;
    const rows = reshape(builder, x, [batch, elementCount(shape) / batch / size, size]);
    const ones = builder.constant(filled([size], 1), "ones");
    const own = epsilon * (scale / size) ** 2;
    if (isCentred) return reshape(builder, layerNormalization(builder, rows, ones, undefined, { epsilon: own }), shape);
    const mean = reduceMean(builder, multiply(builder, rows, rows), [2]);
    return reshape(builder, divide(builder, rows, squareRoot(builder, add(builder, mean, own))), shape);
  }

  #input(operation: QuantizeInput, data: ReadonlyMap<number, Value>, tensor: IntegerTensor): Value {
    const builder = this.#builder;
    const x = cast(builder, inputFrom(data, operation.start ?? 0), "float32");
    if (operation.normalization === undefined) return x;
    const { factor, offset } = operation.normalization;
    return add(
      builder,
      multiply(builder, x, channelConstant(builder, factor, tensor)),
      channelConstant(builder, offset, tensor),
    );
  }

  /** QuantizeLinear, a Clip where the type holds more codes, DequantizeLinear. Codes without such a type are only limited. */
  #quantized(
    x: Value,
    { id, form, name }: IntegerTensor,
    limits: { readonly low: number; readonly high: number },
  ): Value {
    const builder = this.#builder;
    if (form.kind === "wide" || form.levels !== undefined) {
      const real = (code: number): number => (code - form.zeroPoint) * form.scale;
      return clip(builder, x, real(limits.low), real(limits.high));
    }
    const container = containerOf(form, name);
    const { offset } = container;
    const scale = builder.scalar(form.scale);
    const zeroPoint = byte(builder, form.zeroPoint + offset);
    const codes = limited(builder, quantizeLinear(builder, x, scale, { zeroPoint }), container, limits);
    if (this.#options.codes === true) {
      const numbers = cast(builder, codes, "float32");
      this.#codes.set(id, offset === 0 ? numbers : add(builder, numbers, -offset));
    }
    return dequantizeLinear(builder, codes, scale, { zeroPoint });
  }

  #sum(operation: Requantize | Dequantize, output: IntegerTensor): Value {
    const builder = this.#builder;
    const { axis } = operation;
    const parts = operation.terms.map((term) => this.#term(term, output, axis));
    const sum = parts.reduce((a, b) => add(builder, a, b));
    if (operation.offset === undefined) return sum;
    const offset = operation.offset.map((value) => value * output.form.scale);
    return add(builder, sum, channelConstant(builder, offset, output, axis));
  }

  /** A term in real numbers. */
  #term(term: Term, output: IntegerTensor, axis: number): Value {
    const builder = this.#builder;
    const producer = summingProducer(this.#network, term.input);
    if (producer !== undefined && isIntegerLayer(producer)) {
      // Native weights have no room for the shift: their bias is added in float, behind the layer.
      const isNative = this.#options.types === "native";
      const shift = isNative ? 0 : term.shift;
      const steps = term.gains.map((gain) => gain * 2 ** (term.shift - shift));
      const x = this.#value(producer.input);
      const weight = this.#weight(producer.weight, steps, shift);
      const { bias } = term;
      const units = term.gains.map((gain) => gain * term.inputScale);
      const stored = bias === undefined || isNative ? undefined : this.#bias(bias, units);
      const inputs = stored === undefined ? [x, weight] : [x, weight, stored];
      const y =
        producer.op === "IntegerConv"
          ? conv(builder, x, weight, stored, producer, producer.name)
          : this.#product(inputs, producer.name);
      if (bias === undefined || !isNative) return y;
      const reals = Float32Array.from(bias, (value, k) => value * (units[units.length === 1 ? 0 : k] ?? 0));
      return add(builder, y, channelConstant(builder, reals, output, axis));
    }
    if (producer?.op === "IntegerMatMul") {
      const [a, b] = producer.inputs;
      return this.#scaled(matmul(builder, this.#value(a), this.#value(b)), term.gains, output, axis);
    }
    if (producer?.op === "ResampleSums") {
      const sums = resampledSums(builder, this.#value(producer.input), producer, (name, tensor) =>
        builder.constant(tensor, name),
      );
      return this.#scaled(sums, term.gains, output, axis);
    }
    if (producer !== undefined) {
      const { kernel, strides, pads } = producer;
      const count = kernel.reduce((product, size) => product * size, 1);
      const pooled = averagePool(builder, this.#value(producer.input), {
        kernel,
        strides,
        pads,
        countIncludePad: true,
      });
      const gains = term.gains.map((gain) => gain * count);
      return this.#scaled(pooled, gains, output, axis);
    }
    return this.#scaled(this.#value(term.input), term.gains, output, axis);
  }

  /** x·wᵀ + bias: of a matrix a Gemm. */
  #product([x, weight, bias]: readonly Value[], name: string): Value {
    const builder = this.#builder;
    if (x === undefined || weight === undefined) throw new GraphError(`layer "${name}" has no input`);
    if (x.type.shape.length === 2) {
      const inputs = bias === undefined ? [x, weight] : [x, weight, bias];
      return builder.one("Gemm", inputs, { transA: 0, transB: 1 }, { name });
    }
    const y = builder.one("MatMul", [x, transpose(builder, weight, [1, 0])], {}, { name });
    return bias === undefined ? y : add(builder, y, bias);
  }

  #scaled(x: Value, gains: Float32Array, output: IntegerTensor, axis: number): Value {
    const isOne = gains.every((gain) => Math.abs(gain - 1) < 1e-6);
    return isOne ? x : multiply(this.#builder, x, channelConstant(this.#builder, gains, output, axis));
  }

  /** Stored codes, and their DequantizeLinear. */
  #weight(weight: IntegerWeight, steps: Float32Array, shift: number): Value {
    const builder = this.#builder;
    const dtype = this.#options.types === "native" ? directType(weight) : "int8";
    const stored = this.#weights.once(weight.codes, `${dtype} ${shift}`, () => {
      const data =
        dtype === "int8" ? Int8Array.from(weight.codes, (code) => code * 2 ** shift) : packBits(weight.codes, dtype);
      return builder.constant(makeTensor(dtype, weight.shape, data), weight.name);
    });
    return dequantizeLinear(builder, stored, scales(builder, steps), { axis: 0 });
  }

  /** An int32 bias in units of the accumulator. */
  #bias(bias: Int32Array, units: Float32Array): Value {
    const stored = this.#builder.constant(makeTensor("int32", [bias.length], bias), "bias");
    return dequantizeLinear(this.#builder, stored, scales(this.#builder, units), { axis: 0 });
  }
}

/** The type for weights that a DequantizeLinear reads directly. */
function directType(weight: IntegerWeight): "int4" | "uint4" | "int8" {
  const dtype = storedType(weight);
  if (dtype === "int2" || dtype === "int4") return "int4";
  return dtype === "int8" ? "int8" : "uint4";
}

function qdqLike(name: string, types: "native" | "clip"): FormatDefinition {
  return {
    name,
    sumsFloats: true,
    files: (network, { batchSize }) => [
      { name: `model.${name}.onnx`, parts: [writeOnnx(buildQdqGraph(network, { batchSize, types }))] },
    ],
    runner: (network, { batchSize }, engine) =>
      onnxRunner(`onnx ${name}`, network, buildQdqGraph(network, { batchSize, types, codes: true }), engine, () => 0),
  };
}

/** QuantizeLinear and DequantizeLinear with weights of 4 bits in their own type. */
export const qdqFormat: FormatDefinition = qdqLike("qdq", "native");
/** QuantizeLinear, Clip and DequantizeLinear over bytes. */
export const qcdqFormat: FormatDefinition = qdqLike("qcdq", "clip");
