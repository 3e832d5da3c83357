/**
 * The integer network as standard ONNX on integers: QLinearConv for layers that are requantized by themselves, DequantizeLinear,
 * Add and QuantizeLinear for sums of codes (residual additions), float convolutions of codes, ConvInteger and MatMulInteger
 * where a layer's sum is used as it is (an addition without `residualBits`, the logits), codes in uint8.
 *
 * Fully connected layers that are requantized become 1x1 convolutions, because QLinearMatMul has no bias; averages that are
 * requantized become convolutions of ones.
 */

import { GraphError } from "../../../errors.ts";
import type { Graph, GraphBuilder, Value } from "../../../ir/graph.ts";
import { makeTensor } from "../../../ir/tensor.ts";
import { elementCount, type Shape } from "../../../ir/types.ts";
import { writeOnnx } from "../../../onnx/write/write.ts";
import { builderFor } from "../../../ops/definition.ts";
import { clip } from "../../../ops/families/activations.ts";
import { cast } from "../../../ops/families/cast.ts";
import { add, multiply, subtract } from "../../../ops/families/elementwise.ts";
import { gather } from "../../../ops/families/shape/indexing.ts";
import { concat, reshape } from "../../../ops/families/shape/shape-ops.ts";
import { integerOperators } from "../../../ops/integer-operators.ts";
import { addOutputs } from "../../formula-graph.ts";
import {
  type Dequantize,
  type IntegerLayer,
  type IntegerNetwork,
  type IntegerOperation,
  type IntegerTensor,
  type IntegerWeight,
  multipliers,
  producerOf,
  type Requantize,
  summingProducer,
  type Term,
  tensorById,
} from "../../integer-network.ts";
import { centredReach } from "../../ranges.ts";
import { WeightValues } from "../../weight-values.ts";
import { type Container, containerOf, weightValue } from "../containers.ts";
import type { FormatDefinition } from "../definition.ts";
import { addInputs, inputFrom } from "../feeds.ts";
import { movedElements } from "../moved-graph.ts";
import { normalizedCodes, softmaxOfCodes } from "../quotient-graph.ts";
import { onnxRunner } from "../run-onnx.ts";
import { extremum, lookedUp } from "../table-graph.ts";
import {
  byte,
  channelConstant,
  constantCodes,
  limited,
  rounded,
  scales,
  storedRows,
  sumOfCodes,
  withWholeGroups,
} from "./codes.ts";
import { functionOfCodes } from "./functions.ts";
import {
  convAttributes,
  convolutionOfOnes,
  fitsByte,
  type IntGraphOptions,
  isPacked,
  windowAttributes,
} from "./parts.ts";
import { centredFloats, type IntContext, summedCodes } from "./sums.ts";

/** The network as a graph of ONNX's integer operators. @throws UnsupportedError for codes above 8 bits. */
export function buildIntGraph(network: IntegerNetwork, options: IntGraphOptions): Graph {
  return new IntBuilder(network, options).build();
}

class IntBuilder implements IntContext {
  readonly network: IntegerNetwork;
  readonly options: IntGraphOptions;
  readonly builder: GraphBuilder;
  readonly #values: Value[] = [];
  readonly #weights = new WeightValues();

  constructor(network: IntegerNetwork, options: IntGraphOptions) {
    this.network = network;
    this.options = options;
    this.builder = builderFor(integerOperators, `${network.name} int`);
  }

  build(): Graph {
    const data = addInputs(this.builder, this.network, this.options.batchSize);
    for (const operation of this.network.operations) {
      const value = this.builder.scope(operation.name, () => this.#make(operation, data));
      if (value !== undefined) this.#values[operation.output] = value;
    }
    addOutputs(this.builder, this.network, (id) => this.value(id), this.options);
    return this.builder.finish();
  }

  /** The value of a tensor; sums are made only when something other than a fused requantization reads them. */
  value(id: number): Value {
    const known = this.#values[id];
    if (known !== undefined) return known;
    const producer = summingProducer(this.network, id);
    if (producer === undefined) throw new GraphError(`tensor ${id} is read before it is produced`);
    const made = summedCodes(this, producer);
    this.#values[id] = made;
    return made;
  }

  weight(weight: IntegerWeight, options: { readonly packed: boolean; readonly shift: number }): Value {
    const form = [weight.shape.join(), options.packed, options.shift].join(" ");
    return this.#weights.once(weight.codes, form, () => weightValue(this.builder, weight, options));
  }

  stored(id: number): { readonly tensor: IntegerTensor; readonly container: Container } {
    const tensor = tensorById(this.network, id);
    return { tensor, container: containerOf(tensor.form, tensor.name) };
  }

  #shape(tensor: IntegerTensor): Shape {
    return [this.options.batchSize, ...tensor.shape.slice(1)];
  }

  #make(operation: IntegerOperation, data: ReadonlyMap<number, Value>): Value | undefined {
    const builder = this.builder;
    const { tensor, container } = this.stored(operation.output);
    switch (operation.op) {
      case "QuantizeInput": {
        let x = cast(builder, inputFrom(data, operation.start ?? 0), "float32");
        if (operation.normalization !== undefined) {
          x = multiply(builder, x, channelConstant(builder, operation.normalization.factor, tensor));
          x = add(builder, x, channelConstant(builder, operation.normalization.offset, tensor));
        }
        return rounded(builder, multiply(builder, x, operation.reciprocal), tensor, tensor.form);
      }
      case "ReadIntegers": {
        const { low, high } = tensor.form;
        return clip(builder, cast(builder, inputFrom(data, operation.start), "int32"), low, high);
      }
      case "GatherRows": {
        const rows = storedRows(builder, operation, container);
        return reshape(builder, gather(builder, rows, this.value(operation.input), 0), this.#shape(tensor));
      }
      case "ConstantCodes":
        return constantCodes(builder, operation, container, this.#shape(tensor));
      case "Requantize":
        return this.#fused(operation, tensor) ?? rounded(builder, this.#sum(operation, tensor), tensor, operation);
      case "Dequantize":
        return this.#sum(operation, tensor);
      case "IntegerConv":
      case "IntegerGemm":
      case "SumPool":
      case "IntegerMatMul":
      case "ResampleSums":
        return undefined;
      case "SoftmaxCodes": {
        const [codes, mask] = operation.inputs;
        const { form } = tensorById(this.network, codes);
        const kept = mask === undefined ? undefined : this.#centred(mask, 0);
        return softmaxOfCodes(builder, this.#centred(codes, form.low), kept, operation);
      }
      case "NormalizeCodes": {
        const { form } = tensorById(this.network, operation.input);
        const centred = this.#centred(operation.input, form.zeroPoint);
        return normalizedCodes(builder, centred, centredReach(form), operation);
      }
      case "MaxPoolCodes": {
        const attributes = windowAttributes(operation);
        const x = this.value(operation.input);
        if (container.dtype === "uint8") return builder.one("MaxPool", [x], attributes);
        return cast(builder, builder.one("MaxPool", [cast(builder, x, "float32")], attributes), container.dtype);
      }
      case "ReshapeCodes":
        return reshape(builder, this.value(operation.input), this.#shape(tensor));
      case "MultiplyCodes": {
        // Products stay below 2²⁴, which float32 holds; the sum that reads them is one of floats anyway.
        const centred = operation.inputs.map((id) => centredFloats(this, id));
        return centred.reduce((product, each) => multiply(builder, product, each));
      }
      case "TableCodes": {
        const input = this.stored(operation.input);
        const x = this.value(operation.input);
        const known = functionOfCodes(builder, x, operation, input, { tensor, container });
        if (known !== undefined) return known;
        const places = cast(builder, this.value(operation.input), "int32");
        const lowest = operation.low + input.container.offset;
        const entries = operation.table.map((code) => code + container.offset);
        const { axis, tables } = operation;
        const { dtype } = container;
        return lookedUp(builder, lowest === 0 ? places : subtract(builder, places, lowest), {
          axis,
          tables,
          entries,
          dtype,
        });
      }
      case "MoveCodes":
        return movedElements(builder, this.value(operation.input), operation, operation.fill + container.offset);
      case "ExtremumCodes":
        return extremum(
          builder,
          operation.of,
          operation.inputs.map((id) => this.value(id)),
        );
      case "ConcatCodes":
        return concat(
          builder,
          operation.inputs.map((id) => this.value(id)),
          operation.axis,
        );
    }
  }

  /** Codes minus a number, as float32. */
  #centred(id: number, number: number): Value {
    const builder = this.builder;
    const codes = cast(builder, this.value(id), "float32");
    const less = number + this.stored(id).container.offset;
    return less === 0 ? codes : subtract(builder, codes, less);
  }

  /** A layer or an average with its requantization as QLinearConv; undefined where the operation is another sum. */
  #fused(operation: Requantize, output: IntegerTensor): Value | undefined {
    const [term] = operation.terms;
    const source = term === undefined ? undefined : summingProducer(this.network, term.input);
    const { container } = this.stored(operation.output);
    if (term === undefined || source === undefined || container.dtype !== "uint8") return undefined;
    if (source.op === "ResampleSums") return undefined;
    if (operation.terms.length > 1 || operation.offset !== undefined || output.form.levels !== undefined)
      return undefined;
    if (source.op === "IntegerMatMul") return undefined;
    const layer = source.op === "SumPool" ? convolutionOfOnes(source, output.shape) : source;
    const input = this.stored(layer.input);
    if (!fitsByte(layer.weight) || input.container.dtype !== "uint8") return undefined;
    // A convolution over many images of one element is slower than a matrix product with its requantization.
    if (layer.op === "IntegerGemm" && input.tensor.shape.length > 2) return undefined;
    const builder = this.builder;
    const zeroPoint = input.tensor.form.zeroPoint + input.container.offset;
    const { image, weight } = this.#operands(layer, zeroPoint);
    const [channels = 0] = weight.shape;
    const packed = source.op !== "SumPool" && isPacked(this.options);
    const weights = this.weight(weight, { packed, shift: term.shift });
    const inputs: (Value | undefined)[] = [
      image,
      scales(builder, [term.inputScale]),
      byte(builder, zeroPoint),
      weights,
      scales(builder, term.gains),
      builder.constant(makeTensor("int8", term.gains.length === 1 ? [] : [channels], new Int8Array(term.gains.length))),
      scales(builder, [output.form.scale]),
      byte(builder, output.form.zeroPoint + container.offset),
      ...(term.bias === undefined ? [] : [builder.constant(makeTensor("int32", [channels], term.bias), "bias")]),
    ];
    const y = builder.one("QLinearConv", inputs, layer.op === "IntegerConv" ? convAttributes(layer) : {});
    return reshape(builder, limited(builder, y, container, operation), this.#shape(output));
  }

  /** A layer's input and weights as a convolution reads them. */
  #operands(layer: IntegerLayer, zeroPoint: number): { readonly image: Value; readonly weight: IntegerWeight } {
    const builder = this.builder;
    const x = this.value(layer.input);
    const { weight } = layer;
    if (layer.op === "IntegerGemm") {
      return {
        image: reshape(builder, x, [elementCount(x.type.shape.slice(0, -1)), weight.shape[1] ?? 1, 1, 1]),
        weight: { ...weight, shape: [...weight.shape, 1, 1] },
      };
    }
    const isFirst = layer.group === 1 && producerOf(this.network, layer.input)?.op === "QuantizeInput";
    return isFirst ? withWholeGroups(builder, x, weight, zeroPoint) : { image: x, weight };
  }

  /** f32(f32(v0)·m0) + f32(f32(v1)·m1) + … + offset, in this order. */
  #sum(operation: Requantize | Dequantize, output: IntegerTensor): Value {
    const builder = this.builder;
    const { axis } = operation;
    const codes = this.#codesToAdd(operation, output);
    if (codes !== undefined) return sumOfCodes(builder, codes);
    const parts = operation.terms.map((term) => {
      const factors = multipliers(term, output.form.scale);
      return multiply(builder, this.#summand(term, output, axis), channelConstant(builder, factors, output, axis));
    });
    const t = parts.reduce((sum, part) => add(builder, sum, part));
    return operation.offset === undefined
      ? t
      : add(builder, t, channelConstant(builder, operation.offset, output, axis));
  }

  /** The terms of a sum of bytes whose multipliers round nothing; undefined for every other sum, and where z is odd. */
  #codesToAdd(
    { terms }: Requantize | Dequantize,
    { id, form }: IntegerTensor,
  ): Parameters<typeof sumOfCodes>[1] | undefined {
    if ((form.zeroPoint + this.stored(id).container.offset) % 2 !== 0) return undefined;
    const parts = terms.flatMap(({ input, multiplier }) => {
      const { tensor, container } = this.stored(input);
      if (multiplier === undefined || container.dtype !== "uint8") return [];
      const zeroPoint = tensor.form.zeroPoint + container.offset;
      return [{ codes: this.value(input), zeroPoint, multiplier }];
    });
    return parts.length === terms.length ? parts : undefined;
  }

  /** f32(((tensor − z) << shift) + bias[k]). */
  #summand(term: Term, output: IntegerTensor, axis: number): Value {
    const builder = this.builder;
    const { tensor, container } = this.stored(term.input);
    const zeroPoint = tensor.form.zeroPoint + container.offset;
    let v = this.value(term.input);
    if (term.shift > 0 || term.bias !== undefined) v = cast(builder, v, "int32");
    if (term.shift > 0) v = multiply(builder, v, 2 ** term.shift);
    if (term.bias !== undefined) v = add(builder, v, channelConstant(builder, term.bias, output, axis));
    v = cast(builder, v, "float32");
    return zeroPoint === 0 ? v : subtract(builder, v, zeroPoint);
  }
}

/** The standard ONNX file. */
export const intFormat: FormatDefinition = {
  name: "int",
  files: (network, options) => [{ name: "model.int.onnx", parts: [writeOnnx(buildIntGraph(network, options))] }],
  runner(network, options, engine) {
    const graph = buildIntGraph(network, { ...options, codes: true });
    return onnxRunner("onnx int", network, graph, engine, (tensor) => containerOf(tensor.form, tensor.name).offset);
  },
};
