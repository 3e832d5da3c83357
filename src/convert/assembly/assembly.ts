/** Collects the operations of an integer network: gives codes to what the conversion has carried in real numbers. */

import { clamp, roundHalfEven } from "../../base/rounding.ts";
import { UnsupportedError } from "../../errors.ts";
import { toNumbers } from "../../ir/tensor.ts";
import type { Shape } from "../../ir/types.ts";
import { codesOfValues, hasCodeOf } from "../grid.ts";
import {
  type ConversionNote,
  type IntegerOperation,
  type IntegerTensor,
  isIntegerLayer,
  type QuantizeInput,
  summingProducer,
  type TensorForm,
} from "../integer-network.ts";
import {
  type ChannelBounds,
  codeBounds,
  largest,
  layerBounds,
  productBounds,
  sumBounds,
  weightedBounds,
} from "../ranges.ts";
import { biasedTerm, exactSum, floatOffsetSum, type SumParts } from "../scaling.ts";
import { isPlainSum, isUnchanged, limitCode, sameForm, underlying } from "./forms.ts";
import { sampleFirst } from "./sample-shape.ts";
import {
  type Affine,
  type Codes,
  channelsOf,
  type Data,
  isClipped,
  type Rearranged,
  type Rows,
  type Symbolic,
  type Tabled,
  uniformSum,
} from "./symbolic.ts";

/** The meaning of the network's outputs. */
export const floatForm: TensorForm = {
  kind: "float",
  low: Number.NEGATIVE_INFINITY,
  high: Number.POSITIVE_INFINITY,
  scale: 1,
  zeroPoint: 0,
};

/** The largest wide code; sums of two still are exact in float32. */
export const wideBound = 2 ** 22;

/** The form in which data enter: see QuantizeInput. */
export type InputNormalization = QuantizeInput["normalization"];

/** Lowest and highest code of a requantization. */
type Limits = Pick<TensorForm, "low" | "high">;

/** Collects the tensors and operations of an integer network while a float network is walked. */
export class Assembly {
  readonly tensors: IntegerTensor[] = [];
  readonly operations: IntegerOperation[] = [];
  readonly notes: ConversionNote[] = [];
  readonly #normalization: InputNormalization;
  readonly #realized = new Map<Symbolic, Map<string, number>>();
  readonly #wide = new Map<Symbolic, Codes>();
  readonly #offsets = new Map<number, number>();

  constructor(normalization: InputNormalization) {
    this.#normalization = normalization;
  }

  tensor(id: number): IntegerTensor {
    const tensor = this.tensors[id];
    if (tensor === undefined) throw new UnsupportedError(`there is no tensor ${id}`);
    return tensor;
  }

  /** Adds an operation with its output. */
  add(name: string, shape: Shape, form: TensorForm, make: (output: number) => IntegerOperation): number {
    const id = this.tensors.length;
    this.tensors.push({ id, name, shape, form });
    this.operations.push(make(id));
    return id;
  }

  /** A symbolic value for a tensor of codes. */
  codes(id: number): Codes {
    const { name, shape } = this.tensor(id);
    return { kind: "codes", name, shape, tensor: id };
  }

  /** The value as codes of this form (or as floats); what commutes with a quantizer is done on the codes. */
  realize(value: Symbolic, form: TensorForm, name: string): number {
    const key = JSON.stringify([form, name]);
    const known = this.#realized.get(value)?.get(key);
    if (known !== undefined) return known;
    const made = this.#realize(value, form, name);
    const entries = this.#realized.get(value) ?? new Map<string, number>();
    this.#realized.set(value, entries.set(key, made));
    return made;
  }

  #realize(value: Symbolic, form: TensorForm, name: string): number {
    switch (value.kind) {
      case "data":
        return this.#quantizeData(form, name, value);
      case "rows":
        return this.#rows(value, form, name);
      case "codes":
        if (sameForm(this.tensor(value.tensor).form, form)) return value.tensor;
        return this.#sum(this.affine(value), form, name);
      case "affine":
        return this.#sum(value, form, name);
      case "tabled":
        return this.#table(value, form, name);
      case "rearranged": {
        const inner = value.inputs.map((input, i) =>
          this.realize(input, form, value.inputs.length > 1 ? `${name}/${i}` : `${name}/before ${value.name}`),
        );
        return this.add(name, value.shape, form, (output) => renamed(value.make(inner, output, form), name));
      }
      case "constant": {
        if (form.kind === "float") throw new UnsupportedError("an output holds a constant", { where: `"${name}"` });
        const codes = Int32Array.from(codesOfValues(Float64Array.from(toNumbers(value.tensor)), form));
        const shape = sampleFirst(value.shape);
        return this.add(name, shape, form, (output) => ({ op: "ConstantCodes", name, output, codes }));
      }
      case "masked":
        throw new UnsupportedError("masked scores are used by something else than a softmax", {
          where: `"${name}"`,
          remedy: "Masks have an integer form in front of a softmax alone.",
        });
      case "weight":
        throw new UnsupportedError("a quantized weight is used as an activation", {
          where: `"${name}"`,
          remedy: "Only layers may read quantized weights.",
        });
    }
  }

  #table({ tensor, values, shape, axis, tables }: Tabled, form: TensorForm, name: string): number {
    const { low } = this.tensor(tensor).form;
    const table = codesOfValues(values, form);
    const made = { op: "TableCodes", name, input: tensor, low, axis, tables, table } as const;
    return this.add(name, shape, form, (output) => ({ ...made, output }));
  }

  #rows({ tensor, size, values, shape }: Rows, form: TensorForm, name: string): number {
    if (form.kind === "float") throw new UnsupportedError("an output holds rows of a table", { where: `"${name}"` });
    const rows = Int32Array.from(codesOfValues(values, form));
    return this.add(name, shape, form, (output) => ({ op: "GatherRows", name, input: tensor, output, rows, size }));
  }

  #quantizeData(form: TensorForm, name: string, { shape, start }: Data): number {
    if (form.kind !== "codes") {
      throw new UnsupportedError("the data are used in float", {
        where: `"${name}"`,
        remedy: "Quantize the first layer's input: firstLayer must not be float.",
      });
    }
    const reciprocal = Math.fround(1 / form.scale);
    const normalization = withoutOffset(this.#normalization, form, channelsOf(shape));
    return this.add(name, shape, form, (output) => ({
      op: "QuantizeInput",
      name,
      output,
      ...(start === 0 ? {} : { start }),
      reciprocal,
      ...(normalization === undefined ? {} : { normalization }),
    }));
  }

  /** Requantizes a sum; limits in real numbers become limits of the codes. */
  #sum(affine: Affine, form: TensorForm, name: string): number {
    const { axis } = affine;
    if (form.kind === "float") {
      if (isClipped(affine)) return this.realize(this.materialize(affine), form, name);
      const parts = floatOffsetSum(affine, 1);
      return this.add(name, affine.shape, form, (output) => ({ op: "Dequantize", name, output, axis, ...parts }));
    }
    const limits = { low: limitCode(affine.low, form), high: limitCode(affine.high, form) };
    const { offset = 0 } = form;
    const parts = this.#parts({ ...affine, offset: affine.offset.map((value) => value - offset) }, form, limits);
    return this.add(name, affine.shape, form, (output) => ({
      op: "Requantize",
      name,
      output,
      axis,
      ...limits,
      ...parts,
    }));
  }

  #parts(affine: Affine, form: TensorForm, limits: Limits): SumParts {
    const [source] = affine.terms;
    const producer = source === undefined ? undefined : summingProducer(this, source.tensor);
    if (form.kind !== "codes") return floatOffsetSum(affine, form.scale);
    const forms = affine.terms.map(({ tensor }) => this.tensor(tensor).form);
    if (isPlainSum(affine) && forms.every(({ kind }) => kind === "codes")) return exactSum(affine, forms, form);
    const isOne = affine.terms.length === 1 && source !== undefined;
    if (!isOne || producer === undefined || !isIntegerLayer(producer)) return floatOffsetSum(affine, form.scale);
    const layer = {
      weight: producer.weight,
      input: this.tensor(producer.input).form,
      bounds: this.bounds(source.tensor, affine.axis),
    };
    const { term, constant } = biasedTerm(affine, source, layer, { ...form, ...limits });
    if (constant.length === 0) return { terms: [term] };
    const zeroed = producer.weight.codes.slice();
    const row = zeroed.length / (producer.weight.shape[0] ?? 1);
    for (const k of constant) zeroed.fill(0, k * row, (k + 1) * row);
    if (constant.some((k) => producer.weight.codes.subarray(k * row, (k + 1) * row).some((code) => code !== 0))) {
      this.notes.push({
        kind: "constant channels",
        where: affine.name,
        message: `${constant.length} of its channels cannot change the output (${constant.join(", ")}): they became constants`,
      });
    }
    const { name, shape, form: sums } = this.tensor(source.tensor);
    const weight = { ...producer.weight, codes: zeroed };
    const input = this.add(name, shape, sums, (output) => ({ ...producer, output, weight }));
    return { terms: [{ ...term, input }] };
  }

  /** Bounds of a tensor's centred integers, for each channel of an axis. */
  bounds(tensor: number, axis = 1): ChannelBounds {
    const producer = summingProducer(this, tensor);
    const { shape, form } = this.tensor(tensor);
    if (producer === undefined) return codeBounds(channelsOf(shape, axis), form);
    if (producer.op === "IntegerMatMul") return productBounds(channelsOf(shape, axis), form);
    const input = this.tensor(producer.input).form;
    if (isIntegerLayer(producer)) return layerBounds(producer.weight, input);
    if (producer.op === "ResampleSums") return weightedBounds(channelsOf(shape, axis), producer.axes, input);
    const count = producer.kernel.reduce((product, size) => product * size, 1);
    return sumBounds(channelsOf(shape), count, input);
  }

  /** The value as a sum of integers times factors, the form that linear operations continue from. */
  affine(value: Symbolic): Affine {
    if (value.kind === "affine" && !isClipped(value)) return value;
    const codes = value.kind === "codes" ? value : this.materialize(value);
    const { scale, offset = 0 } = this.tensor(codes.tensor).form;
    return uniformSum(
      { name: value.name, shape: codes.shape },
      { tensor: codes.tensor, inputScale: scale },
      { offset },
    );
  }

  /** Codes of the whole input's shape that stand for its offset; undefined where it has none. */
  offsetCodes(id: number): number | undefined {
    const { name, shape, form } = this.tensor(id);
    const known = this.#offsets.get(id);
    if (form.offset === undefined || known !== undefined) return known;
    const code = Math.sign(form.offset);
    const codes: TensorForm = { kind: "codes", low: -1, high: 1, scale: Math.abs(form.offset), zeroPoint: 0 };
    const made = this.add(`${name}.offset`, shape, codes, (output) => ({
      op: "ConstantCodes",
      name: `${name}.offset`,
      output,
      codes: Int32Array.of(code),
    }));
    this.#offsets.set(id, made);
    return made;
  }

  /** Adds an operation that commutes with a quantizer: at once where its inputs are codes of one form, later otherwise. */
  rearranged(value: Rearranged): Symbolic {
    const ids = value.inputs.flatMap((input) => (input.kind === "codes" ? [input.tensor] : []));
    const forms = ids.map((id) => this.tensor(id).form);
    const [form] = forms;
    if (form === undefined || ids.length < value.inputs.length || !forms.every((each) => sameForm(each, form)))
      return value;
    // Padding that is no code of what it pads waits for a quantizer that rounds it.
    if (value.fill !== undefined && !hasCodeOf(value.fill, form)) return value;
    return this.codes(this.add(value.name, value.shape, form, (output) => value.make(ids, output, form)));
  }

  /** The value as codes: its own, or wide ones. `divisor`: how many of them will be added up. */
  materialize(value: Symbolic, divisor = 1): Codes {
    if (value.kind === "codes") return value;
    const known = this.#wide.get(value);
    if (known !== undefined) return known;
    const made = this.#limitedCodes(value) ?? this.codes(this.#materialize(value, divisor));
    this.#wide.set(value, made);
    return made;
  }

  #materialize(value: Symbolic, divisor: number): number {
    const reach = this.#reach(value);
    const bound = wideBound / 2 ** Math.ceil(Math.log2(divisor));
    const scale = reach === 0 || !Number.isFinite(reach) ? 1 : 2 ** Math.ceil(Math.log2(reach / bound));
    const form: TensorForm = { kind: "wide", low: -bound, high: bound, scale, zeroPoint: 0 };
    this.notes.push({
      kind: "wide codes",
      where: value.name,
      message: `there is no quantizer here: it is stored as int32 with the scale 2^${Math.log2(scale)}`,
    });
    return this.realize(value, form, `${value.name}.wide`);
  }

  /**
   * Codes for a value that a layer reads without a quantizer between: its own; those that a limit (ReLU, clip) leaves of
   * them; or, of an average of codes, eight bits over their range (torch rounds to their own grid there). Undefined for
   * anything else.
   */
  readyCodes(value: Symbolic): Codes | undefined {
    if (value.kind === "codes") return value;
    const inner = underlying(value);
    if (inner.kind !== "affine" || inner.terms.length !== 1) return undefined;
    const limited = this.#limitedCodes(value);
    if (limited !== undefined) return limited;
    const producer = summingProducer(this, inner.terms[0]?.tensor ?? -1);
    if (producer?.op !== "SumPool" && producer?.op !== "ResampleSums") return undefined;
    if (isClipped(inner)) return undefined;
    const averaged = this.tensor(producer.input).form;
    if (averaged.kind !== "codes") return undefined;
    const reach = (averaged.high - averaged.low) * averaged.scale;
    const scale = Math.fround(reach / 255);
    const zeroPoint = clamp(roundHalfEven(((averaged.zeroPoint - averaged.low) * averaged.scale) / scale), 0, 255);
    this.notes.push({
      kind: "wide codes",
      where: value.name,
      message: "no quantizer follows this average: it is rounded to 8 bits over the range of what it averages",
    });
    const { offset } = averaged;
    const codes: TensorForm = { kind: "codes", low: 0, high: 255, scale, zeroPoint, ...(offset ? { offset } : {}) };
    return this.codes(this.realize(value, codes, `${value.name}.codes`));
  }

  /** Returns codes clipped to a limit, on their own grid. */
  #limitedCodes(value: Symbolic): Codes | undefined {
    const inner = underlying(value);
    const source = inner.kind === "affine" ? inner.terms[0]?.tensor : undefined;
    if (inner.kind !== "affine" || source === undefined) return undefined;
    const { form } = this.tensor(source);
    if (!isUnchanged(inner, form)) return undefined;
    return form.kind === "codes" ? this.codes(this.realize(value, form, `${value.name}.codes`)) : undefined;
  }

  /** The largest absolute value that a value can have. */
  #reach(value: Symbolic): number {
    if (value.kind === "rearranged") return value.inputs.reduce((max, input) => Math.max(max, this.#reach(input)), 0);
    if (value.kind === "tabled") return value.values.reduce((max, each) => Math.max(max, Math.abs(each)), 0);
    if (value.kind === "rows") return largest(value.values.map(Math.abs));
    if (value.kind !== "affine") return value.kind === "codes" ? this.#reach(this.affine(value)) : 0;
    let reach = 0;
    value.offset.forEach((offset, k) => {
      let [low, high] = [offset, offset];
      for (const { tensor, inputScale, gains } of value.terms) {
        const bounds = this.bounds(tensor, value.axis);
        const factor = inputScale * (gains[k] ?? 0);
        const ends = [(bounds.low[k] ?? 0) * factor, (bounds.high[k] ?? 0) * factor];
        low += Math.min(...ends);
        high += Math.max(...ends);
      }
      reach = Math.max(
        reach,
        Math.abs(clamp(low, value.low, value.high)),
        Math.abs(clamp(high, value.low, value.high)),
      );
    });
    return reach;
  }
}

/** Removes the offset of the data's grid before anything is rounded. */
function withoutOffset(
  normalization: InputNormalization,
  { offset }: TensorForm,
  channels: number,
): InputNormalization {
  if (offset === undefined) return normalization;
  const { factor, offset: own } = normalization ?? {};
  const one = (values: Float32Array | undefined, channel: number, missing: number): number =>
    values?.[values.length === 1 ? 0 : channel] ?? missing;
  return {
    factor: Float32Array.from({ length: channels }, (_, channel) => one(factor, channel, 1)),
    offset: Float32Array.from({ length: channels }, (_, channel) => one(own, channel, 0) - offset),
  };
}

function renamed(operation: IntegerOperation, name: string): IntegerOperation {
  return { ...operation, name };
}
