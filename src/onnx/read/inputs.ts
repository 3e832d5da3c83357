/**
 * Binds the shapes of an ONNX file's inputs, which may be symbols, to the numbers that a static graph needs.
 */

import type { TensorShapeProto_Dimension, ValueInfoProto } from "onnx-buf";
import { ConfigError, UnsupportedError } from "../../errors.ts";
import { type Shape, showType, type TensorType } from "../../ir/types.ts";
import { readDtype, readShape } from "../wire/tensor.ts";

export interface InputShapeOptions {
  /** Size of the first dimension where the file leaves it open. Default 1. */
  readonly batch?: number;
  /** Whole shapes of inputs, by name, for the other dimensions that the file leaves open. */
  readonly inputShapes?: Readonly<Record<string, readonly number[]>>;
}

/** Knows the sizes of a file's symbols; a symbol has one size wherever it stands. */
export class InputShapes {
  readonly #batch: number;
  readonly #shapes: ReadonlyMap<string, readonly number[]>;
  readonly #symbols = new Map<string, number>();

  /** @throws ConfigError for sizes that are not whole numbers or inputs that the file does not have. */
  constructor(options: InputShapeOptions, inputs: readonly ValueInfoProto[]) {
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
      const dims = openShape(input, inputPlace(input))?.dims ?? [];
      shape.forEach((size, i) => {
        this.#bind(dims[i], size);
      });
    }
    for (const input of inputs) {
      const first = openShape(input, inputPlace(input))?.dims?.[0];
      this.#bind(first, this.#batch);
    }
  }

  /** The static type of an input. @throws UnsupportedError when a dimension stays open. */
  typeOf(info: ValueInfoProto, where: string): TensorType {
    const open = openShape(info, where);
    const dtype = readDtype(open?.elemType ?? 0, where);
    const wanted = this.#shapes.get(info.name);
    if (wanted !== undefined) return { dtype, shape: checkWanted(dtype, wanted, open?.dims, where) };
    if (open?.dims === undefined) throw openError("the whole shape is open", info.name, where);
    const dims = open.dims.map((dim, i) => this.#size(dim, i, info.name, where));
    return { dtype, shape: readShape(dims, where) };
  }

  #size(dim: TensorShapeProto_Dimension, index: number, input: string, where: string): bigint {
    if (dim.value.case === "dimValue") return dim.value.value;
    const symbol = dim.value.case === "dimParam" ? dim.value.value : "";
    const known = symbol === "" ? undefined : this.#symbols.get(symbol);
    if (known !== undefined) return BigInt(known);
    if (index === 0) return BigInt(this.#batch);
    const shown = symbol === "" ? "" : ` ("${symbol}")`;
    throw openError(`dimension ${index}${shown} is open`, input, where);
  }

  /** The first size that a symbol gets counts: shapes that the caller gives come before the batch size. */
  #bind(dim: TensorShapeProto_Dimension | undefined, size: number): void {
    if (dim?.value.case !== "dimParam" || dim.value.value === "" || this.#symbols.has(dim.value.value)) return;
    this.#symbols.set(dim.value.value, size);
  }
}

/** The type of a value where the file states all of it; undefined where it does not. */
export function statedType(info: ValueInfoProto, where: string): TensorType | undefined {
  const open = openShape(info, where);
  if (open?.dims === undefined || open.elemType === 0) return undefined;
  const sizes: bigint[] = [];
  for (const dim of open.dims) {
    if (dim.value.case !== "dimValue") return undefined;
    sizes.push(dim.value.value);
  }
  return { dtype: readDtype(open.elemType, where), shape: readShape(sizes, where) };
}

/** `input "image"`, as errors name an input. */
export function inputPlace(info: ValueInfoProto): string {
  return `input "${info.name}"`;
}

interface OpenShape {
  readonly elemType: number;
  /** Undefined when not even the rank is known. */
  readonly dims: readonly TensorShapeProto_Dimension[] | undefined;
}

function openShape(info: ValueInfoProto, where: string): OpenShape | undefined {
  const value = info.type?.value;
  if (value?.case === undefined) return undefined;
  if (value.case !== "tensorType") {
    throw new UnsupportedError(`it is a ${value.case.replace("Type", "")}, not a tensor`, {
      where,
      remedy: "Export the model with tensors as inputs and outputs.",
    });
  }
  return { elemType: value.value.elemType, dims: value.value.shape?.dim };
}

function checkWanted(
  dtype: TensorType["dtype"],
  wanted: Shape,
  dims: readonly TensorShapeProto_Dimension[] | undefined,
  where: string,
): Shape {
  const fits =
    dims === undefined ||
    (dims.length === wanted.length &&
      dims.every(
        ({ value }, i) => value.case !== "dimValue" || value.value < 0n || value.value === BigInt(wanted[i] ?? -1),
      ));
  if (!fits) {
    const stated = dims.map(({ value }) => (value.case === undefined ? "?" : String(value.value))).join(",");
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
