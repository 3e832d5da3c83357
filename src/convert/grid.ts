/** The integers that a network's quantizers stand for: the form of an activation's codes, and the codes of weights. */
import { clamp, roundHalfEven } from "../base/rounding.ts";
import { type QuantizerSite, siteTensors } from "../compile/sites.ts";
import { GraphError, UnsupportedError } from "../errors.ts";
import type { Tensor } from "../ir/tensor.ts";
import { nearestLevel } from "../quantizers/arithmetic/levels.ts";
import { quantizerNamed } from "../quantizers/index.ts";
import { type CodedTensor, gridOf, type IntegerGrid, toCodes } from "../quantizers/integers.ts";
import type { IntegerWeight, TensorForm } from "./integer-network.ts";

function refuse(site: QuantizerSite, message: string, remedy: string): UnsupportedError {
  return new UnsupportedError(message, { where: `quantizer "${site.id}"`, remedy });
}

/**
 * Refuses grids that are not multiples of a positive scale. A scale that is measured on the weights is 0 where all of a
 * channel's are: that channel is 0, which is nothing wrong.
 */
function checkGrid(site: QuantizerSite, grid: IntegerGrid, isMeasured: boolean): void {
  for (const [index, { scale, offset, zeroPoint }] of grid.units.entries()) {
    const isOffset = site.kind === "weight" && offset !== 0;
    if (isMeasured && scale === 0) continue;
    if (!(scale > 0) || !Number.isFinite(scale) || !Number.isFinite(Math.fround(1 / scale))) {
      throw refuse(
        site,
        `its scale ${index} is ${scale}`,
        "A scale must be positive and finite: train or calibrate the network before converting it.",
      );
    }
    if (!Number.isFinite(offset)) {
      throw refuse(
        site,
        `its offset ${index} is ${offset}`,
        "The training diverged here: convert an earlier checkpoint.",
      );
    }
    if (isOffset || !Number.isInteger(zeroPoint)) {
      throw refuse(
        site,
        isOffset ? `its grid has the offset ${offset}, so that no code is 0` : `its zero point is ${zeroPoint}`,
        "What it quantizes would stay in float. Use a quantizer whose levels are multiples of its scale.",
      );
    }
  }
}

function checkForm(site: QuantizerSite): void {
  const { spec } = site;
  if (quantizerNamed(spec.quantizer).integers === undefined) {
    throw refuse(
      site,
      `the quantizer "${spec.quantizer}" has no integer form`,
      "What it quantizes would stay in float. Use a quantizer with an integer grid for this tensor.",
    );
  }
  if (spec.groupSize !== undefined) {
    throw refuse(
      site,
      "scales for groups have no integer form here",
      "A layer sums over groups with different scales: quantize this tensor per channel or per tensor.",
    );
  }
}

/** The form of an activation's codes. @throws UnsupportedError when it has scales per channel, which a sum over channels cannot use. */
export function activationForm(site: QuantizerSite, values: ReadonlyMap<string, Tensor>): TensorForm {
  checkForm(site);
  if (site.spec.channelAxis !== undefined) {
    throw refuse(
      site,
      "it has a scale for each channel",
      "A layer sums over its input's channels, so an activation needs one scale: quantize it per tensor.",
    );
  }
  const grid = gridOf(site.spec, siteTensors(site, values));
  const [unit] = grid?.units ?? [];
  if (grid === undefined || unit === undefined) {
    throw refuse(site, "its scale depends on the values", "Use a quantizer that keeps its scale for this activation.");
  }
  checkGrid(site, grid, false);
  const { codes } = grid;
  const [low = 0, high = 0] = [codes[0], codes.at(-1)];
  return {
    kind: "codes",
    low,
    high,
    scale: unit.scale,
    zeroPoint: unit.zeroPoint,
    ...(unit.offset === 0 ? {} : { offset: unit.offset }),
    ...(codes.length === high - low + 1 ? {} : { levels: codes }),
  };
}

/** The centred codes of a weight. */
export function integerWeight(site: QuantizerSite, tensor: Tensor, values: ReadonlyMap<string, Tensor>): IntegerWeight {
  checkForm(site);
  const parameters = siteTensors(site, values);
  const coded: CodedTensor = toCodes(site.spec, tensor, parameters);
  checkGrid(site, coded.grid, gridOf(site.spec, parameters) === undefined);
  const { units, codes: levels } = coded.grid;
  const axis = site.spec.channelAxis ?? 0;
  const inner = tensor.shape.slice(axis + 1).reduce((product, size) => product * size, 1);
  const zeroPoints = units.map((unit) => unit.zeroPoint);
  const zeroPointOf = (element: number): number => zeroPoints[Math.floor(element / inner) % zeroPoints.length] ?? 0;
  const first = zeroPoints[0] ?? 0;
  const isShared = zeroPoints.every((zeroPoint) => zeroPoint === first);
  const centred =
    isShared && first === 0 ? coded.codes : coded.codes.map((code, i) => code - (isShared ? first : zeroPointOf(i)));
  const [lowest, highest] = [levels[0], levels.at(-1)];
  if (lowest === undefined || highest === undefined) throw new GraphError(`quantizer "${site.id}" has no codes`);
  const low = lowest - Math.max(...zeroPoints);
  const high = highest - Math.min(...zeroPoints);
  return {
    name: site.tensor,
    shape: tensor.shape,
    codes: centred,
    low,
    high,
    levels: isShared ? levels.map((level) => level - first) : Array.from({ length: high - low + 1 }, (_, i) => low + i),
    scales: Float32Array.from(units, (unit) => unit.scale),
  };
}

/** Returns what the codes of a form stand for, ascending, as a dequantization gives them: in float32. */
export function valuesOfCodes({ low, high, scale, zeroPoint, offset = 0 }: TensorForm): Float64Array {
  return Float64Array.from({ length: high - low + 1 }, (_, i) =>
    Math.fround(Math.fround((low + i - zeroPoint) * scale) + offset),
  );
}

/** Returns the codes of real numbers, rounded once; of a float form the numbers in float32. */
export function codesOfValues(values: Float64Array, form: TensorForm): Float64Array {
  const { kind, low, high, scale, zeroPoint, offset = 0, levels } = form;
  if (kind === "float") return values.map(Math.fround);
  return values.map((value) => {
    const t = (value - offset) / scale;
    const nearest = levels === undefined ? roundHalfEven(t) : nearestLevel({ levels, ties: "down" }, t);
    return clamp(nearest + zeroPoint, low, high);
  });
}

/** Returns the code of a real number. */
export function codeOf(value: number, form: TensorForm): number {
  return codesOfValues(Float64Array.of(value), form)[0] ?? form.zeroPoint;
}

/** Whether a form has a code that stands for a number exactly. */
export function hasCodeOf(value: number, form: TensorForm): boolean {
  const { scale, zeroPoint, offset = 0 } = form;
  return (codeOf(value, form) - zeroPoint) * scale + offset === value;
}
