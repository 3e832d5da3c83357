/** The types of a file's inputs, with numbers for what the file leaves open. */

import { ConfigError, UnsupportedError } from "../errors.ts";
import { becomesFloat32 } from "../ir/half.ts";
import type { Dimension } from "../ir/size.ts";
import type { DType } from "../ir/types.ts";
import type { FileInput, OnnxFile } from "../onnx/read/file.ts";
import type { SlotType } from "../ops/rewrite/slots.ts";

/** Shapes that the user states where the file leaves them open. */
export interface InputTypeOptions {
  /** Whole shapes of inputs, by name, for dimensions besides the batch that the file leaves open. */
  readonly inputShapes?: Readonly<Record<string, readonly number[]>>;
  /** Shape of one sample, for what the only input leaves open. Sizes that the file states stay. */
  readonly sampleShape?: readonly number[];
  /** The only input, which the file has as [N, H, W, C], becomes [N, C, H, W]; `sampleShape` stays as the file has it. */
  readonly channelsFirst?: boolean;
}

/** The size of the batch as the file states it. */
export type StatedBatch = { readonly kind: "open" } | { readonly kind: "fixed"; readonly size: number };

/** The first size of every input: open, or the same number for all; undefined where inputs have none in common. */
export function statedBatch(file: OnnxFile): StatedBatch | undefined {
  const firsts = file.graph.inputs.map(({ dimensions }) => dimensions?.[0]);
  if (file.graph.inputs.length === 0 || file.graph.inputs.some(({ dimensions }) => dimensions?.length === 0)) {
    return undefined;
  }
  if (firsts.every((size) => typeof size !== "number")) return { kind: "open" };
  const [first] = firsts;
  return typeof first === "number" && firsts.every((size) => size === first)
    ? { kind: "fixed", size: first }
    : undefined;
}

const unheld: readonly DType[] = [
  "string",
  "float8e4m3fn",
  "float8e4m3fnuz",
  "float8e5m2",
  "float8e5m2fnuz",
  "float8e8m0",
  "float4e2m1",
];

/**
 * The types of all inputs.
 *
 * @param batch The size of first dimensions that are open, and of other dimensions with the same symbol.
 * @param replaceFirst Whether it takes the place of a stated first dimension too.
 * @throws UnsupportedError when another dimension stays open or the element type cannot be held.
 */
export function inputTypes(
  file: OnnxFile,
  options: InputTypeOptions,
  source: string,
  batch: Dimension,
  replaceFirst: boolean,
): SlotType[] {
  const shapes = new Map(Object.entries(options.inputShapes ?? {}));
  const { inputs } = file.graph;
  for (const name of shapes.keys()) {
    if (inputs.some((input) => input.name === name)) continue;
    throw new ConfigError(`the model has no input "${name}"`, {
      where: "option inputShapes",
      remedy: `Its inputs are ${inputs.map((input) => `"${input.name}"`).join(", ")}.`,
    });
  }
  const [only, ...others] = inputs;
  if (only !== undefined && others.length === 0 && !shapes.has(only.name)) {
    const shape = shapeWithSample(only, options.sampleShape);
    if (shape !== undefined) shapes.set(only.name, shape);
  }
  const symbols = symbolSizes(inputs, shapes, batch);
  return inputs.map((input) => {
    const where = `${source}, input "${input.name}"`;
    if (unheld.includes(input.dtype)) {
      throw new UnsupportedError(`training does not support inputs of type ${input.dtype}`, {
        where,
        remedy: "Convert them to float32 or to whole numbers before the model.",
      });
    }
    const shape = shapeOf(input, shapes.get(input.name), symbols, where).map((size, axis) =>
      axis === 0 && (replaceFirst || typeof input.dimensions?.[0] !== "number") ? batch : size,
    );
    return { dtype: becomesFloat32(input.dtype) ? "float32" : input.dtype, shape };
  });
}

/** The shape of an input for samples of a shape; undefined where they have another number of dimensions. */
function shapeWithSample({ dimensions }: FileInput, sample: readonly number[] | undefined): number[] | undefined {
  if (sample === undefined) return undefined;
  if (dimensions === undefined) return [1, ...sample];
  if (dimensions.length !== sample.length + 1) return undefined;
  return dimensions.map((size, axis) => (typeof size === "number" ? size : (sample[axis - 1] ?? 1)));
}

/** A symbol has one size wherever it stands; shapes that the caller gives come first. */
function symbolSizes(
  inputs: readonly FileInput[],
  shapes: ReadonlyMap<string, readonly number[]>,
  batch: Dimension,
): Map<string, Dimension> {
  const sizes = new Map<string, Dimension>();
  for (const { dimensions } of inputs) if (typeof dimensions?.[0] === "string") sizes.set(dimensions[0], batch);
  for (const { name, dimensions } of inputs) {
    shapes.get(name)?.forEach((size, axis) => {
      const symbol = dimensions?.[axis];
      if (typeof symbol === "string" && !sizes.has(symbol)) sizes.set(symbol, size);
    });
  }
  return sizes;
}

function shapeOf(
  { name, dimensions }: FileInput,
  given: readonly number[] | undefined,
  symbols: ReadonlyMap<string, Dimension>,
  where: string,
): Dimension[] {
  if (given !== undefined) return checkedShape(given, dimensions, where);
  const open = (what: string) =>
    new UnsupportedError(`${what} is open`, {
      where,
      remedy: `Shapes are static in subbyte: give the whole shape of "${name}" (option inputShapes, or --input-shape).`,
    });
  if (dimensions === undefined) throw open("the whole shape");
  return dimensions.map((size, axis) => {
    if (typeof size === "number") return size;
    const known = size === undefined ? undefined : symbols.get(size);
    if (known !== undefined) return known;
    if (axis === 0) return 0;
    throw open(`dimension ${axis}${size === undefined ? "" : ` ("${size}")`}`);
  });
}

function checkedShape(given: readonly number[], dimensions: FileInput["dimensions"], where: string): number[] {
  const isShape = given.every((size) => Number.isSafeInteger(size) && size > 0);
  const fits =
    dimensions === undefined ||
    (dimensions.length === given.length &&
      dimensions.every((size, i) => typeof size !== "number" || size === given[i]));
  if (isShape && fits) return [...given];
  const stated = dimensions?.map((size) => size ?? "?").join(",") ?? "?";
  throw new ConfigError(`[${given}] does not fit ${where}, which is [${stated}]`, {
    where: "option inputShapes",
    remedy: "Give only the open dimensions other sizes.",
  });
}
