/**
 * The integer network as a float32 graph: sums of products of small integers, exact below 2²⁴, and the one formula of
 * docs/integer.md. The exact evaluation and the QONNX file are this graph in two styles.
 */

import { GraphError } from "../errors.ts";
import type { Graph, GraphBuilder, Value } from "../ir/graph.ts";
import { filled, float32Tensor, type Tensor } from "../ir/tensor.ts";
import { elementCount, type Shape } from "../ir/types.ts";
import { clip } from "../ops/families/activations.ts";
import { cast } from "../ops/families/cast.ts";
import { conv } from "../ops/families/conv.ts";
import { add, multiply, subtract } from "../ops/families/elementwise.ts";
import { matmul } from "../ops/families/matmul.ts";
import { gather } from "../ops/families/shape/indexing.ts";
import { concat, expand, reshape, slice } from "../ops/families/shape/shape-ops.ts";
import { gatherLevel } from "../quantizers/arithmetic/levels.ts";
import { windowAttributes } from "./formats/int/parts.ts";
import { movedElements } from "./formats/moved-graph.ts";
import { normalizedCodes, softmaxOfCodes } from "./formats/quotient-graph.ts";
import { resampledSums } from "./formats/resampled-graph.ts";
import { extremum, lookedUp } from "./formats/table-graph.ts";
import {
  type ConstantCodes,
  type Dequantize,
  type IntegerLayer,
  type IntegerNetwork,
  type IntegerOperation,
  type IntegerTensor,
  type IntegerWeight,
  multipliers,
  type Requantize,
  type TensorForm,
  tensorById,
} from "./integer-network.ts";
import { centredReach, floatBound } from "./ranges.ts";
import { addNetworkOutputs } from "./tail/tail-graph.ts";
import type { IntegerMatMul } from "./token-operations.ts";
import { WeightValues } from "./weight-values.ts";
import { layerParts } from "./widening.ts";

/** The contents of the float graph of an integer network. */
export interface FormulaConfig {
  readonly batchSize: number;
  /** Adds every tensor of codes as an output, under its name. */
  readonly codes?: boolean;
  /** Whether what stays in float behind the integers is part of the graph (default). */
  readonly tail?: boolean;
}

/** Lowest and highest code of a requantization. */
export type CodeBounds = Pick<TensorForm, "low" | "high">;

/** The differences between the forms of the graph. */
export interface FormulaStyle {
  /** Adds a tensor of numbers: as a constant, or as an input. */
  parameter(builder: GraphBuilder, name: string, tensor: Tensor): Value;
  /** Transforms a weight's codes before a layer reads them. */
  weight?(builder: GraphBuilder, codes: Value, weight: IntegerWeight): Value;
  /** clamp(round(t) + z). */
  round(builder: GraphBuilder, t: Value, form: TensorForm, limits: CodeBounds): Value;
}

/** The graph; its outputs are the network's, as float32. */
export function buildFormulaGraph(
  network: IntegerNetwork,
  config: FormulaConfig,
  builder: GraphBuilder,
  style: FormulaStyle,
): { readonly graph: Graph; readonly dataInput: Value } {
  return new FormulaBuilder(network, config, builder, style).build();
}

/** One input of a network within the rows of several. */
function part(b: GraphBuilder, data: Value, start: number, shape: Shape): Value {
  if (data.type.shape.join() === shape.join()) return data;
  const count = elementCount(shape.slice(1));
  return reshape(b, slice(b, data, { axes: [1], starts: [start], ends: [start + count] }), shape);
}

class FormulaBuilder {
  readonly #network: IntegerNetwork;
  readonly #config: FormulaConfig;
  readonly #style: FormulaStyle;
  readonly #builder: GraphBuilder;
  readonly #values: Value[] = [];
  readonly #weights = new WeightValues();

  constructor(network: IntegerNetwork, config: FormulaConfig, builder: GraphBuilder, style: FormulaStyle) {
    this.#network = network;
    this.#config = config;
    this.#style = style;
    this.#builder = builder;
  }

  build(): { readonly graph: Graph; readonly dataInput: Value } {
    const { name, sampleShape, dtype } = this.#network.input;
    const dataInput = this.#builder.input(name, { dtype, shape: [this.#config.batchSize, ...sampleShape] });
    for (const operation of this.#network.operations) {
      this.#values[operation.output] = this.#make(operation, dataInput);
    }
    const read = (id: number) => this.#value(id);
    const { codes = false, tail = true } = this.#config;
    addOutputs(this.#builder, tail ? this.#network : withoutTail(this.#network), read, { ...this.#config, codes });
    return { graph: this.#builder.finish(), dataInput };
  }

  #value(id: number): Value {
    const value = this.#values[id];
    if (value === undefined) throw new GraphError(`tensor ${id} is read before it is produced`);
    return value;
  }

  #parameter(name: string, shape: Shape, data: ArrayLike<number>): Value {
    return this.#style.parameter(this.#builder, name, float32Tensor(shape, data));
  }

  /** One number for each channel, `after` axes following that of the channels; a single one is a scalar. */
  #channels(name: string, data: Float32Array | Int32Array, after: number): Value {
    if (data.length === 1) return this.#parameter(name, [], data);
    return this.#parameter(name, [data.length, ...Array.from({ length: after }, () => 1)], data);
  }

  #constant({ name, output, codes }: ConstantCodes, shape: Shape): Value {
    const [code = 0] = codes;
    const named = `${name}/codes ${output}`;
    if (codes.length === 1) return this.#style.parameter(this.#builder, named, filled(shape, code));
    const all = this.#parameter(named, [1, ...shape.slice(1)], codes);
    return shape[0] === 1 ? all : expand(this.#builder, all, shape);
  }

  /** Codes minus their zero point. */
  #centred(id: number): Value {
    const { zeroPoint } = tensorById(this.#network, id).form;
    return zeroPoint === 0 ? this.#value(id) : subtract(this.#builder, this.#value(id), zeroPoint);
  }

  #make(operation: IntegerOperation, data: Value): Value {
    const builder = this.#builder;
    const output = tensorById(this.#network, operation.output);
    const shape = [this.#config.batchSize, ...output.shape.slice(1)];
    switch (operation.op) {
      case "QuantizeInput": {
        const { normalization, name } = operation;
        const after = shape.length - 2;
        let x = cast(builder, part(builder, data, operation.start ?? 0, shape), "float32");
        if (normalization !== undefined) {
          x = multiply(builder, x, this.#channels(`${name}/factor`, normalization.factor, after));
          x = add(builder, x, this.#channels(`${name}/offset`, normalization.offset, after));
        }
        return this.#round(multiply(builder, x, operation.reciprocal), output, output.form);
      }
      case "ReadIntegers": {
        const { low, high } = output.form;
        return clip(
          builder,
          cast(builder, cast(builder, part(builder, data, operation.start, shape), "int32"), "float32"),
          low,
          high,
        );
      }
      case "GatherRows": {
        const { name, rows, size } = operation;
        const table = this.#parameter(`${name}/rows ${output.id}`, [rows.length / size, size], rows);
        const index = cast(builder, this.#value(operation.input), "int32");
        return reshape(builder, gather(builder, table, index, 0), shape);
      }
      case "ConstantCodes":
        return this.#constant(operation, shape);
      case "Requantize":
        return this.#round(this.#sum(operation, output), output, operation);
      case "Dequantize":
        return this.#sum(operation, output);
      case "IntegerConv":
      case "IntegerGemm":
        return this.#layer(operation, shape);
      case "MaxPoolCodes":
        return builder.one("MaxPool", [this.#value(operation.input)], windowAttributes(operation));
      case "SumPool": {
        const [, channels = 1] = output.shape;
        const ones = Array.from({ length: channels * operation.kernel.reduce((a, b) => a * b, 1) }, () => 1);
        const kernel = this.#parameter(`${operation.name}/ones ${output.id}`, [channels, 1, ...operation.kernel], ones);
        return conv(builder, this.#centred(operation.input), kernel, undefined, { ...operation, group: channels });
      }
      case "IntegerMatMul":
        return this.#matrixProduct(operation, output);
      case "SoftmaxCodes": {
        const [codes, mask] = operation.inputs;
        const { low } = tensorById(this.#network, codes).form;
        const steps = low === 0 ? this.#value(codes) : subtract(builder, this.#value(codes), low);
        return softmaxOfCodes(builder, steps, mask === undefined ? undefined : this.#value(mask), operation);
      }
      case "NormalizeCodes": {
        const { form } = tensorById(this.#network, operation.input);
        return normalizedCodes(builder, this.#centred(operation.input), centredReach(form), operation);
      }
      case "ResampleSums":
        return resampledSums(builder, this.#centred(operation.input), operation, (part, tensor) =>
          this.#style.parameter(builder, `${operation.name}/${part} ${output.id}`, tensor),
        );
      case "ReshapeCodes":
        return reshape(builder, this.#value(operation.input), shape);
      case "MultiplyCodes":
        return operation.inputs
          .map((id) => this.#centred(id))
          .reduce((product, each) => multiply(builder, product, each));
      case "TableCodes": {
        const places = subtract(builder, this.#value(operation.input), operation.low);
        const { axis, tables, table } = operation;
        return lookedUp(builder, places, { axis, tables, entries: table, dtype: "float32" });
      }
      case "MoveCodes":
        return movedElements(builder, this.#value(operation.input), operation, operation.fill);
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
    }
  }

  /** clamp(round(t) + z), as codes. */
  #round(t: Value, { form }: IntegerTensor, limits: CodeBounds): Value {
    const builder = this.#builder;
    if (form.levels !== undefined) {
      const level = gatherLevel(builder, t, 1, { levels: form.levels, ties: "down" });
      return clip(builder, level, limits.low, limits.high);
    }
    return this.#style.round(builder, t, form, limits);
  }

  #sum(operation: Requantize | Dequantize, output: IntegerTensor): Value {
    const builder = this.#builder;
    const after = output.shape.length - 1 - operation.axis;
    const named = (what: string): string => `${operation.name}/${what} ${output.id}`;
    const parts = operation.terms.map((term, index) => {
      let v = this.#centred(term.input);
      if (term.shift > 0) v = multiply(builder, v, 2 ** term.shift);
      if (term.bias !== undefined) v = add(builder, v, this.#channels(named(`bias${index}`), term.bias, after));
      const factors = multipliers(term, output.form.scale);
      return multiply(builder, v, this.#channels(named(`multiplier${index}`), factors, after));
    });
    let t = parts.reduce((sum, part) => add(builder, sum, part));
    if (operation.offset !== undefined) t = add(builder, t, this.#channels(named("offset"), operation.offset, after));
    return t;
  }

  /** A product of two activations: in float64 where its sums could pass 2²⁴. */
  #matrixProduct({ inputs, name }: IntegerMatMul, { form }: IntegerTensor): Value {
    const builder = this.#builder;
    const [a, b] = inputs.map((id) => this.#centred(id));
    if (a === undefined || b === undefined) throw new GraphError(`product "${name}" has one factor`);
    if (Math.max(-form.low, form.high) < floatBound) return matmul(builder, a, b);
    return cast(builder, matmul(builder, cast(builder, a, "float64"), cast(builder, b, "float64")), "float32");
  }

  /** Sums of products, in as many parts as keep each exact; the parts are added in float64. */
  #layer(operation: IntegerLayer, shape: Shape): Value {
    const builder = this.#builder;
    const input = tensorById(this.#network, operation.input);
    const x = this.#centred(operation.input);
    const isConv = operation.op === "IntegerConv";
    const rows = isConv ? [] : x.type.shape.slice(0, -1);
    const image = isConv ? x : reshape(builder, x, [elementCount(rows), x.type.shape.at(-1) ?? 1, 1, 1]);
    const parts = layerParts(operation, input.form).map(({ first, count, weight }) => {
      const part =
        count === image.type.shape[1]
          ? image
          : slice(builder, image, { axes: [1], starts: [first], ends: [first + count] });
      const name = `${operation.name}/codes ${operation.output}.${first}`;
      const kernelShape = isConv ? weight.shape : [...weight.shape, 1, 1];
      const codes = this.#weights.once(weight.codes, kernelShape.join(), () =>
        this.#parameter(name, kernelShape, weight.codes),
      );
      const kernel = this.#style.weight?.(builder, codes, weight) ?? codes;
      return conv(builder, part, kernel, undefined, isConv ? operation : {});
    });
    const [single] = parts;
    if (single !== undefined && parts.length === 1) return reshape(builder, single, shape);
    const sum = parts.map((part) => cast(builder, part, "float64")).reduce((a, b) => add(builder, a, b));
    return reshape(builder, cast(builder, sum, "float32"), shape);
  }
}

/** The name under which a tensor of codes leaves a graph; numbers keep equal names apart. */
export function codeOutput(id: number, name: string): string {
  return `${name} #${id}`;
}

function withoutTail({ tail: _tail, ...network }: IntegerNetwork): IntegerNetwork {
  return network;
}

/** Adds the outputs of a network to a graph; with `codes`, its codes and what its float tail reads, too. */
export function addOutputs(
  builder: GraphBuilder,
  network: IntegerNetwork,
  value: (id: number) => Value,
  { batchSize, codes = false }: Pick<FormulaConfig, "batchSize" | "codes">,
): void {
  const nameOf = (id: number): string => codeOutput(id, tensorById(network, id).name);
  addNetworkOutputs(builder, network, value, codes ? { batchSize, nameOf } : { batchSize });
  if (codes) addCodeOutputs(builder, network, value);
}

/** Adds every tensor of codes as an output, but those that are outputs already. */
function addCodeOutputs(builder: GraphBuilder, network: IntegerNetwork, value: (id: number) => Value): void {
  const outputs = new Set(network.outputs.map((output) => output.tensor));
  for (const { id, name, form } of network.tensors) {
    const isCodes = form.kind === "codes" || form.kind === "wide";
    if (isCodes && !outputs.has(id)) builder.output(codeOutput(id, name), value(id));
  }
}
