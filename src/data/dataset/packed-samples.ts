/** Samples of whole numbers, and of several inputs: one row for each, which holds its inputs one after another. */
import { rowOf } from "../../compile/build/input.ts";
import { FileFormatError } from "../../errors.ts";
import { elementCount, type Shape } from "../../ir/types.ts";
import { wholeNumbers } from "../normalization/normalization.ts";
import type { InMemoryParts } from "./dataset.ts";

/** The elements of one input for all samples. */
export interface InputElements {
  readonly name: string;
  /** Of one sample. */
  readonly shape: Shape;
  readonly elements: Int32Array | Float32Array;
  /** The file and the array, for errors. */
  readonly where: string;
}

/** Whole numbers beyond this are not exact in a row of floats. */
const largestExact = 2 ** 24;

/**
 * Returns the samples of the inputs: those of the only one as they are, else rows. A row is of whole numbers where all inputs are,
 * else of floats, which hold whole numbers up to 2^24 exactly.
 *
 * @throws FileFormatError for a larger whole number next to an input of floats.
 */
export function packSamples(
  inputs: readonly InputElements[],
  count: number,
): Pick<InMemoryParts, "samples" | "sampleShape" | "inputs" | "normalization"> {
  const [only, second] = inputs;
  if (only !== undefined && second === undefined) {
    return { samples: only.elements, sampleShape: only.shape, normalization: wholeNumbers };
  }
  const { parts, length } = rowOf(inputs);
  const areWhole = inputs.every(({ elements }) => elements instanceof Int32Array);
  const samples = areWhole ? new Int32Array(count * length) : new Float32Array(count * length);
  inputs.forEach(({ elements, shape, where }, number) => {
    const start = parts[number]?.start ?? 0;
    const size = elementCount(shape);
    const wrong =
      areWhole || elements instanceof Float32Array ? -1 : elements.findIndex((v) => Math.abs(v) > largestExact);
    if (wrong >= 0) {
      throw new FileFormatError(
        `sample ${Math.floor(wrong / size)} holds ${elements[wrong]}, which is beyond ${largestExact}: next to an input of floats it would not stay exact`,
        { where, remedy: "Give smaller numbers, or a model whose inputs are all whole numbers." },
      );
    }
    for (let sample = 0; sample < count; sample++) {
      samples.set(elements.subarray(sample * size, (sample + 1) * size), sample * length + start);
    }
  });
  return { samples, sampleShape: [length], inputs: parts, normalization: wholeNumbers };
}
