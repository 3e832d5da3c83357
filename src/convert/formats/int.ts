/**
 * The integer network as standard ONNX on integers: QLinearConv for layers that are requantized by themselves, ConvInteger
 * and MatMulInteger where the sum goes on (a residual addition, the logits), codes in uint8.
 *
 * Fully connected layers that are requantized become 1x1 convolutions, because QLinearMatMul has no bias.
 */
import { GraphError } from "../../errors.ts";
import type { Graph, GraphBuilder, Value } from "../../graph/graph.ts";
import { float32Tensor, int64Tensor, makeTensor } from "../../graph/tensor.ts";
import type { Shape } from "../../graph/types.ts";
import { clip } from "../../ops/activations.ts";
import { cast } from "../../ops/cast.ts";
import { add, multiply, round, subtract } from "../../ops/elementwise.ts";
import { builderFor } from "../../ops/operator.ts";
import { concat, reshape } from "../../ops/shape-ops.ts";
import { lookUpLevel } from "../../quantizers/levels.ts";
import { codeOutput } from "../formula-graph.ts";
import {
  type Dequantize,
  type IntegerConv,
  type IntegerGemm,
  type IntegerNetwork,
  type IntegerOperation,
  type IntegerTensor,
  type IntegerWeight,
  multipliers,
  type Requantize,
  type SumPool,
  type Term,
  tensorOf,
} from "../integer-network.ts";
import { floatBound } from "../ranges.ts";
import { type Container, containerOf, weightValue } from "./containers.ts";
import { convAttributes, fitsByte, halved, type IntGraphOptions, windowAttributes } from "./int-parts.ts";
import { integerOperators } from "./integer-operators.ts";

/** The network as a graph of ONNX's integer operators. @throws UnsupportedError for codes above 8 bits. */
export function buildIntGraph(network: IntegerNetwork, options: IntGraphOptions): Graph {
  return new IntBuilder(network, options).build();
}

type Layer = IntegerConv | IntegerGemm;

class IntBuilder {
  readonly #network: IntegerNetwork;
  readonly #options: IntGraphOptions;
  readonly #builder: GraphBuilder;
  readonly #values: Value[] = [];

  constructor(network: IntegerNetwork, options: IntGraphOptions) {
    this.#network = network;
    this.#options = options;
    this.#builder = builderFor(integerOperators, `${network.name} int`);
  }

  build(): Graph {
    const { name, sampleShape, dtype } = this.#network.input;
    const data = this.#builder.input(name, { dtype, shape: [this.#options.batchSize, ...sampleShape] });
    for (const operation of this.#network.operations) {
      const value = this.#builder.scope(operation.name, () => this.#make(operation, data));
      if (value !== undefined) this.#values[operation.output] = value;
    }
    for (const { name, tensor } of this.#network.outputs) this.#builder.output(name, this.#value(tensor));
    if (this.#options.codes === true) {
      const outputs = new Set(this.#network.outputs.map((output) => output.tensor));
      for (const { id, name, form } of this.#network.tensors) {
        const isCodes = form.kind === "codes" || form.kind === "wide";
        if (isCodes && !outputs.has(id)) this.#builder.output(codeOutput(id, name), this.#value(id));
      }
    }
    return this.#builder.finish();
  }

  /** The value of a tensor; sums of layers are made only when something other than a fused requantization reads them. */
  #value(id: number): Value {
    const known = this.#values[id];
    if (known !== undefined) return known;
    const maker = this.#layerOf(id);
    if (maker === undefined) throw new GraphError(`tensor ${id} is read before it is made`);
    const made = this.#sumOfProducts(maker);
    this.#values[id] = made;
    return made;
  }

  #tensor(id: number): { readonly tensor: IntegerTensor; readonly container: Container } {
    const tensor = tensorOf(this.#network, id);
    return { tensor, container: containerOf(tensor.form, tensor.name) };
  }

  #layerOf(id: number): Layer | undefined {
    const maker = this.#network.operations.find((operation) => operation.output === id);
    return maker?.op === "IntegerConv" || maker?.op === "IntegerGemm" ? maker : undefined;
  }

  #shape(tensor: IntegerTensor): Shape {
    return [this.#options.batchSize, ...tensor.shape.slice(1)];
  }

  #make(operation: IntegerOperation, data: Value): Value | undefined {
    const builder = this.#builder;
    const { tensor, container } = this.#tensor(operation.output);
    switch (operation.op) {
      case "QuantizeInput": {
        let x = cast(builder, data, "float32");
        if (operation.bytes !== undefined) {
          x = multiply(builder, x, this.#channels(operation.bytes.factor, tensor));
          x = add(builder, x, this.#channels(operation.bytes.offset, tensor));
        }
        return this.#round(multiply(builder, x, operation.reciprocal), tensor, container, tensor.form);
      }
      case "Requantize":
        return (
          this.#fused(operation, tensor) ?? this.#round(this.#sum(operation, tensor), tensor, container, operation)
        );
      case "Dequantize":
        return this.#sum(operation, tensor);
      case "IntegerConv":
      case "IntegerGemm":
        return undefined;
      case "SumPool":
        return this.#sumPool(operation, tensor);
      case "MaxPool": {
        const attributes = windowAttributes(operation);
        const x = this.#value(operation.input);
        if (container.dtype === "uint8") return builder.one("MaxPool", [x], attributes);
        return cast(builder, builder.one("MaxPool", [cast(builder, x, "float32")], attributes), container.dtype);
      }
      case "Reshape":
        return reshape(builder, this.#value(operation.input), this.#shape(tensor));
      case "Concat":
        return concat(
          builder,
          operation.inputs.map((id) => this.#value(id)),
          operation.axis,
        );
    }
  }

  /** One layer with its requantization as QLinearConv; undefined where the operation is another sum. */
  #fused(operation: Requantize, output: IntegerTensor): Value | undefined {
    const [term] = operation.terms;
    const layer = term === undefined ? undefined : this.#layerOf(term.input);
    if (term === undefined || layer === undefined || !fitsByte(layer.weight)) return undefined;
    if (operation.terms.length > 1 || operation.offset !== undefined || output.form.levels !== undefined)
      return undefined;
    const builder = this.#builder;
    const { container } = this.#tensor(operation.output);
    if (container.dtype !== "uint8") return undefined;
    const input = this.#tensor(layer.input);
    const isConv = layer.op === "IntegerConv";
    const x = this.#value(layer.input);
    const image = isConv ? x : reshape(builder, x, [...x.type.shape, 1, 1]);
    const [channels = 0] = layer.weight.shape;
    const shape = isConv ? layer.weight.shape : [...layer.weight.shape, 1, 1];
    const weight = weightValue(builder, layer.weight, {
      packed: this.#options.packed ?? true,
      shift: term.shift,
      shape,
    });
    const inputs: (Value | undefined)[] = [
      image,
      this.#scale([term.inputScale]),
      this.#byte(input.tensor.form.zeroPoint + input.container.offset),
      weight,
      this.#scale(term.gains),
      builder.constant(makeTensor("int8", term.gains.length === 1 ? [] : [channels], new Int8Array(term.gains.length))),
      this.#scale([output.form.scale]),
      this.#byte(output.form.zeroPoint + container.offset),
      ...(term.bias === undefined ? [] : [builder.constant(makeTensor("int32", [channels], term.bias), "bias")]),
    ];
    const y = builder.one("QLinearConv", inputs, isConv ? convAttributes(layer) : {});
    const [low, high] = [operation.low + container.offset, operation.high + container.offset];
    const limited = low <= 0 && high >= 255 ? y : clip(builder, y, this.#byte(low), this.#byte(high));
    return reshape(builder, limited, this.#shape(output));
  }

  /** Sums of products in int32. Codes of nine bits (odd integers to ±255) are cut in two: 2·Σ x·⌊w/2⌋ + Σ x·(w mod 2). */
  #sumOfProducts(layer: Layer): Value {
    const { weight } = layer;
    const exact = this.#exactProducts(layer);
    if (exact !== undefined) return exact;
    if (fitsByte(weight)) return this.#products(layer, weight);
    const builder = this.#builder;
    const { halves, rest } = halved(weight);
    const doubled = multiply(builder, this.#products(layer, halves), 2);
    return add(builder, doubled, this.#products(layer, rest));
  }

  /**
   * The sums by a float convolution of codes, which is exact below 2²⁴ and several times as fast as ConvInteger on ONNX
   * Runtime; undefined where it is not wanted or not exact. The Clip never limits: it keeps the engine from multiplying the
   * factors that follow into the weights, and costs nothing, being fused into the convolution.
   */
  #exactProducts(layer: Layer): Value | undefined {
    const sums = tensorOf(this.#network, layer.output).form;
    const isExact = Math.max(-sums.low, sums.high) < floatBound && fitsByte(layer.weight);
    if (this.#options.accumulators === "int32" || layer.op !== "IntegerConv" || !isExact) return undefined;
    const builder = this.#builder;
    const weight = weightValue(builder, layer.weight, { packed: this.#options.packed ?? true, shift: 0 });
    const x = this.#centred(layer.input);
    const y = builder.one("Conv", [x, cast(builder, weight, "float32")], convAttributes(layer), { name: layer.name });
    return clip(builder, y, -floatBound, floatBound);
  }

  /** Centred codes as float32. */
  #centred(id: number): Value {
    const builder = this.#builder;
    const { tensor, container } = this.#tensor(id);
    const zeroPoint = tensor.form.zeroPoint + container.offset;
    const codes = cast(builder, this.#value(id), "float32");
    return zeroPoint === 0 ? codes : subtract(builder, codes, zeroPoint);
  }

  #products(layer: Layer, codes: IntegerWeight): Value {
    const builder = this.#builder;
    const { tensor, container } = this.#tensor(layer.input);
    const zeroPoint = this.#byte(tensor.form.zeroPoint + container.offset);
    const packed = this.#options.packed ?? true;
    const x = this.#value(layer.input);
    const weight = weightValue(builder, codes, { packed, shift: 0 });
    if (layer.op === "IntegerConv") {
      return builder.one("ConvInteger", [x, weight, zeroPoint], convAttributes(layer), { name: layer.name });
    }
    const transposed = builder.one("Transpose", [weight], { perm: [1, 0] });
    return builder.one("MatMulInteger", [x, transposed, zeroPoint], {}, { name: layer.name });
  }

  #sumPool(operation: SumPool, output: IntegerTensor): Value {
    const builder = this.#builder;
    const { tensor, container } = this.#tensor(operation.input);
    const x = this.#value(operation.input);
    const zeroPoint = tensor.form.zeroPoint + container.offset;
    const spatial = tensor.shape.slice(2);
    const [, channels = 1] = output.shape;
    const count = operation.kernel.reduce((product, size) => product * size, 1);
    if (operation.kernel.join() === spatial.join() && operation.pads.every((pad) => pad === 0)) {
      const axes = builder.constant(int64Tensor([2, 3]));
      const sum = builder.one("ReduceSum", [cast(builder, x, "int32"), axes], { keepdims: 1 });
      return zeroPoint === 0 ? sum : subtract(builder, sum, count * zeroPoint);
    }
    const attributes = { ...windowAttributes(operation), dilations: operation.dilations, group: channels };
    const kernel = [channels, 1, ...operation.kernel];
    if (container.dtype === "uint8") {
      const ones = builder.constant(makeTensor("int8", kernel, new Int8Array(channels * count).fill(1)), "ones");
      return builder.one("ConvInteger", [x, ones, this.#byte(zeroPoint)], attributes);
    }
    const ones = builder.constant(float32Tensor(kernel, new Float32Array(channels * count).fill(1)), "ones");
    return cast(builder, builder.one("Conv", [cast(builder, x, "float32"), ones], attributes), "int32");
  }

  /** f32(f32(v0)·m0) + f32(f32(v1)·m1) + … + offset, in this order. */
  #sum(operation: Requantize | Dequantize, output: IntegerTensor): Value {
    const builder = this.#builder;
    const parts = operation.terms.map((term) => {
      const factors = multipliers(term, output.form.scale);
      return multiply(builder, this.#summand(term, output), this.#channels(factors, output));
    });
    const t = parts.reduce((sum, part) => add(builder, sum, part));
    return operation.offset === undefined ? t : add(builder, t, this.#channels(operation.offset, output));
  }

  /** f32(((tensor − z) << shift) + bias[k]). */
  #summand(term: Term, output: IntegerTensor): Value {
    const builder = this.#builder;
    const { tensor, container } = this.#tensor(term.input);
    const zeroPoint = tensor.form.zeroPoint + container.offset;
    let v = this.#value(term.input);
    if (term.shift > 0 || term.bias !== undefined) v = cast(builder, v, "int32");
    if (term.shift > 0) v = multiply(builder, v, 2 ** term.shift);
    if (term.bias !== undefined) v = add(builder, v, this.#channels(term.bias, output));
    v = cast(builder, v, "float32");
    return zeroPoint === 0 ? v : subtract(builder, v, zeroPoint);
  }

  /** clamp(round(t) + z) in the container. */
  #round(
    t: Value,
    { form }: IntegerTensor,
    { dtype, offset }: Container,
    { low, high }: { readonly low: number; readonly high: number },
  ): Value {
    const builder = this.#builder;
    const zeroPoint = form.zeroPoint + offset;
    const rounded =
      form.levels === undefined ? round(builder, t) : lookUpLevel(builder, t, 1, { levels: form.levels, ties: "down" });
    const moved = zeroPoint === 0 ? rounded : add(builder, rounded, zeroPoint);
    return cast(builder, clip(builder, moved, low + offset, high + offset), dtype);
  }

  #channels(data: Float32Array | Int32Array, { shape }: IntegerTensor): Value {
    const size = data.length === 1 ? [] : [data.length, ...shape.slice(2).map(() => 1)];
    return this.#builder.constant(makeTensor(data instanceof Float32Array ? "float32" : "int32", size, data));
  }

  #scale(values: ArrayLike<number>): Value {
    return this.#builder.constant(float32Tensor(values.length === 1 ? [] : [values.length], values), "scale");
  }

  #byte(value: number): Value {
    return this.#builder.constant(makeTensor("uint8", [], Uint8Array.of(value)), `b${value}`);
  }
}
