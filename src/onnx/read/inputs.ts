/**
 * Binds the shapes of an ONNX file's inputs, which may be symbols, to the numbers that a static graph needs.
 */

import { ConfigError, UnsupportedError } from "../../errors.ts";
import { type Shape, showType, type TensorType } from "../../ir/types.ts";
import { readShape } from "../wire/tensor.ts";
import type { FileInput } from "./file.ts";

/** Sizes for dimensions that the file leaves open. */
export interface InputShapeOptions {
  /** Size of the first dimension where the file leaves it open. Default 1. */
  readonly batch?: number;
  /** Whole shapes of inputs, by name, for the other dimensions that the file leaves open. */
  readonly inputShapes?: Readonly<Record<string, readonly number[]>>;
}

type Size = number | string | undefined;

/** Knows the sizes of a file's symbols; a symbol has one size wherever it stands. */
export class SymbolSizes {
  readonly #batch: number;
  readonly #shapes: ReadonlyMap<string, readonly number[]>;
  readonly #symbols = new Map<string, number>();

  /** @throws ConfigError for sizes that are not whole numbers or inputs that the file does not have. */
  constructor(options: InputShapeOptions, inputs: readonly FileInput[]) {
    this.#batch = options.batch ?? 1;
    this.#shapes = new Map(Object.entries(options.inputShapes ?? {}));
    if (!isSize(this.#batch) || this.#batch === 0) {
      throw new ConfigError(`the batch size ${this.#batch} is not a positive whole number`, { where: "option batch" });
    }
    for (const [name, shape] of this.#shapes) {
      const input = inputs.find((candidate) => candidate.name === name);
      if (input === undefined) {
        throw new ConfigError(`the model has no input "${name}"`, {
          where: "option inputShapes",
          remedy: `Its inputs are ${inputs.map((candidate) => `"${candidate.name}"`).join(", ")}.`,
        });
      }
      if (!shape.every(isSize)) {
        throw new ConfigError(`[${shape.join(",")}] is not a shape`, { where: `option inputShapes, input "${name}"` });
      }
      shape.forEach((size, i) => {
        this.#bind(input.dimensions?.[i], size);
      });
    }
    for (const { dimensions } of inputs) this.#bind(dimensions?.[0], this.#batch);
  }

  /** The static type of an input. @throws UnsupportedError when a dimension stays open. */
  typeOf({ name, dtype, dimensions }: FileInput, where: string): TensorType {
    const wanted = this.#shapes.get(name);
    if (wanted !== undefined) return { dtype, shape: checkWanted(dtype, wanted, dimensions, where) };
    if (dimensions === undefined) throw openError("the whole shape is open", name, where);
    const sizes = dimensions.map((size, i) => BigInt(this.#size(size, i, name, where)));
    return { dtype, shape: readShape(sizes, where) };
  }

  #size(size: Size, index: number, input: string, where: string): number {
    if (typeof size === "number") return size;
    const known = size === undefined ? undefined : this.#symbols.get(size);
    if (known !== undefined) return known;
    if (index === 0) return this.#batch;
    throw openError(`dimension ${index}${size === undefined ? "" : ` ("${size}")`} is open`, input, where);
  }

  /** The first size that a symbol gets counts: shapes that the caller gives come before the batch size. */
  #bind(symbol: Size, size: number): void {
    if (typeof symbol === "string" && !this.#symbols.has(symbol)) this.#symbols.set(symbol, size);
  }
}

function checkWanted(
  dtype: TensorType["dtype"],
  wanted: Shape,
  dimensions: readonly Size[] | undefined,
  where: string,
): Shape {
  const fits =
    dimensions === undefined ||
    (dimensions.length === wanted.length &&
      dimensions.every((size, i) => typeof size !== "number" || size === wanted[i]));
  if (!fits) {
    const stated = dimensions.map((size) => size ?? "?").join(",");
    throw new ConfigError(
      `the model's ${where} is ${dtype}[${stated}], which ${showType({ dtype, shape: wanted })} is not`,
      {
        where: "option inputShapes",
        remedy: "Give only the open dimensions other sizes.",
      },
    );
  }
  return readShape(wanted.map(BigInt), where);
}

function openError(message: string, input: string, where: string): UnsupportedError {
  return new UnsupportedError(message, {
    where,
    remedy: `Shapes are static in subbyte: give the whole shape of "${input}" (option inputShapes), or export it fixed.`,
  });
}

function isSize(size: number): boolean {
  return Number.isSafeInteger(size) && size >= 0;
}
