/**
 * From values to integers and back, for whole tensors: which codes a quantizer has, what they stand for, and the code
 * of every element. Conversion builds on this; the arithmetic is each quantizer's own (its `integers`).
 */
import { GraphError } from "../errors.ts";
import { float32Data, type Tensor } from "../ir/tensor.ts";
import { elementCount, type Shape } from "../ir/types.ts";
import {
  type GridUnit,
  type GroupParameters,
  type IntegerForm,
  parameterRows,
  parameterShape,
  type QuantizerSpec,
} from "./definition.ts";
import { quantizerNamed } from "./index.ts";

/** value = scale·(code − zeroPoint) + offset in float32, with one unit for each group of elements. */
export interface IntegerGrid {
  /** Every code that an element can have, ascending. */
  readonly codes: readonly number[];
  /** One for each channel or group; a single one for the whole tensor. */
  readonly units: readonly GridUnit[];
}

/** The codes of a tensor. */
export interface CodedTensor {
  readonly grid: IntegerGrid;
  readonly shape: Shape;
  /** One code for each element, in the tensor's order. */
  readonly codes: Int32Array;
}

/**
 * The grid that a quantizer's parameters span; undefined where it has no integer form, or its scale depends on the
 * values (use {@link toCodes} with those).
 */
export function gridOf(spec: QuantizerSpec, parameters: ReadonlyMap<string, Tensor>): IntegerGrid | undefined {
  const form = quantizerNamed(spec.quantizer).integers;
  if (form === undefined) return undefined;
  const isWhole = spec.channelAxis === undefined && spec.groupSize === undefined;
  const lists = listsOf(spec);
  const perGroup = [...parameters].filter(([name]) => !lists.has(name));
  const groups = isWhole ? 1 : Math.max(1, ...perGroup.map(([, { shape }]) => elementCount(shape)));
  const units = Array.from({ length: groups }, (_, group) => form.unit(spec, groupParameters(spec, parameters, group)));
  const known = units.filter((unit) => unit !== undefined);
  return known.length === units.length ? { codes: form.codes(spec), units: known } : undefined;
}

/** The code of every element. @throws GraphError when the quantizer has no integer form. */
export function toCodes(spec: QuantizerSpec, values: Tensor, parameters: ReadonlyMap<string, Tensor>): CodedTensor {
  const form = integerFormOf(spec);
  const rows = parameterRows(spec, values);
  const units: GridUnit[] = [];
  const coded = rows.map((row, group) => {
    const own = groupParameters(spec, parameters, group);
    const unit = form.unit(spec, own, row);
    if (unit === undefined) throw new GraphError(`the quantizer ${spec.quantizer} has no unit for group ${group}`);
    units.push(unit);
    return form.encode(spec, own, row);
  });
  const codes = new Int32Array(elementCount(values.shape));
  forEachElement(spec, values.shape, (element, group, position) => {
    codes[element] = coded[group]?.[position] ?? 0;
  });
  return { grid: { codes: form.codes(spec), units }, shape: values.shape, codes };
}

/** The parameters of one group, as numbers. */
export function groupParameters(
  spec: QuantizerSpec,
  parameters: ReadonlyMap<string, Tensor>,
  group: number,
): GroupParameters {
  return groupNumbers(
    spec,
    Array.from(parameters, ([name, tensor]) => [name, float32Data(tensor)]),
    group,
  );
}

/**
 * The parameters of one group, as numbers, whatever the granularity.
 *
 * @param parameters Every parameter with its elements: one for all groups, one per group, or a list that all groups
 *   share, whose element i is named `name.i` in the result.
 * @param group Index of the group, from 0.
 * @example groupNumbers(spec, [["scale", Float32Array.of(0.5, 0.25)]], 1) // { scale: 0.25 }
 */
export function groupNumbers(
  spec: QuantizerSpec,
  parameters: readonly (readonly [name: string, values: Float32Array])[],
  group: number,
): GroupParameters {
  const lists = listsOf(spec);
  return Object.fromEntries(
    parameters.flatMap(([name, values]): [string, number][] =>
      lists.has(name)
        ? Array.from(values, (value, i) => [`${name}.${i}`, value])
        : [[name, values[values.length === 1 ? 0 : group] ?? 0]],
    ),
  );
}

/** The set of parameters that are lists does not depend on the tensor's shape. */
function listsOf(spec: QuantizerSpec): ReadonlySet<string> {
  const shape = Array.from({ length: (spec.channelAxis ?? 0) + 1 }, () => spec.groupSize ?? 1);
  const parameters = quantizerNamed(spec.quantizer).parameters(spec, { dtype: "float32", shape });
  return new Set(parameters.filter(({ isList }) => isList === true).map(({ name }) => name));
}

function integerFormOf(spec: QuantizerSpec): IntegerForm {
  const form = quantizerNamed(spec.quantizer).integers;
  if (form === undefined) throw new GraphError(`the quantizer ${spec.quantizer} has no integer form`);
  return form;
}

/** Visits a tensor's elements with the group that each belongs to, and its position there. */
export function forEachElement(
  spec: QuantizerSpec,
  shape: Shape,
  visit: (element: number, group: number, position: number) => void,
): void {
  const count = elementCount(shape);
  if (spec.groupSize !== undefined) {
    const size = spec.groupSize;
    for (let i = 0; i < count; i++) visit(i, Math.floor(i / size), i % size);
    return;
  }
  const axis = spec.channelAxis;
  if (axis === undefined) {
    for (let i = 0; i < count; i++) visit(i, 0, i);
    return;
  }
  const channels = elementCount(parameterShape(spec, { dtype: "float32", shape }));
  const inner = elementCount(shape.slice(axis + 1));
  let element = 0;
  for (let start = 0; element < count; start += inner) {
    for (let channel = 0; channel < channels; channel++) {
      for (let i = 0; i < inner; i++) visit(element++, channel, start + i);
    }
  }
}
