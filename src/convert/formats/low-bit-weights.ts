/**
 * Weights stored in the bits of their quantizers, everything computed in float: the form of networks whose layers have no
 * integer arithmetic, because their activations are in float, or their weights in groups or in small floats.
 *
 * A weight is the places of its codes in the table of all codes, packed, and the factors of its channels or groups. The
 * nodes that put it together, (code − z)·s + β in float32 as in the simulation, read constants alone: an engine runs them once,
 * when it loads the file. Weights in groups along the inputs of a product, or the rows of an embedding, are read packed by the
 * engine's own operators (block-weights.ts), which keep them so in memory.
 */
import { type QuantizedNetwork, type QuantizerSite, siteTensors } from "../../compile/sites.ts";
import { GraphError, UnsupportedError } from "../../errors.ts";
import { exportOnnx } from "../../importer/export.ts";
import type { GraphBuilder, Value } from "../../ir/graph.ts";
import type { Network } from "../../ir/network.ts";
import { float32Tensor, makeTensor, packBits, type Tensor } from "../../ir/tensor.ts";
import { cast } from "../../ops/families/cast.ts";
import { add, multiply, subtract } from "../../ops/families/elementwise.ts";
import { reshape } from "../../ops/families/shape/shape-ops.ts";
import { type CodedTensor, toCodes } from "../../quantizers/integers.ts";
import { blockRule, type PackedBlocks, packedBlocks } from "./block-weights.ts";

/** An ONNX file with packed weights and float arithmetic. */
export interface LowBitWeights {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Each weight with the bits that one of its elements takes in the file, and how many codes it can have. */
  readonly weights: readonly { readonly name: string; readonly bits: number; readonly levels: number }[];
}

/**
 * The float network as ONNX with the weights of a quantized one.
 *
 * @param float The same network without quantizers, with the trained parameters.
 * @throws UnsupportedError where an activation is quantized, which this form would leave out, and where a quantizer's levels
 * have no codes.
 */
export function buildLowBitWeights(source: QuantizedNetwork, float: Network): LowBitWeights {
  const values = new Map(source.parameters.map(({ name, value }) => [name, value]));
  const stored = new Map<string, (builder: GraphBuilder) => Value>();
  const weights: LowBitWeights["weights"][number][] = [];
  const packed = new Map<string, PackedBlocks>();
  for (const site of source.sites) {
    const { parameter: name } = site;
    if (name === undefined) {
      throw new UnsupportedError("an activation is quantized, but a file that computes in float has no quantizers", {
        where: `quantizer "${site.id}"`,
        remedy: "Convert to integers (--format int), or train with activations in float.",
      });
    }
    const value = values.get(name);
    if (value === undefined) throw new GraphError("no parameter has this name", { where: `weight "${name}"` });
    const coded = codesOf(site, value, values);
    const type = placeType(site, coded);
    weights.push({ name, bits: type.bits, levels: coded.grid.codes.length });
    stored.set(name, (builder) => weightOf(builder, name, site, coded, type.dtype));
    const { groupSize } = site.spec;
    const blocks = groupSize === undefined ? undefined : packedBlocks(name, coded, groupSize);
    if (blocks !== undefined) packed.set(name, blocks);
  }
  return { bytes: exportOnnx(float, { stored, rule: blockRule(packed) }), weights };
}

function codesOf(site: QuantizerSite, value: Tensor, values: ReadonlyMap<string, Tensor>): CodedTensor {
  try {
    return toCodes(site.spec, value, siteTensors(site, values));
  } catch (error) {
    if (error instanceof GraphError) throw withoutCodes(site);
    throw error;
  }
}

function withoutCodes({ id, spec }: QuantizerSite): UnsupportedError {
  return new UnsupportedError(`the levels of the quantizer "${spec.quantizer}" have no codes of at most 8 bits`, {
    where: `quantizer "${id}"`,
    remedy: "Write the float model with --format float, or use fewer bits.",
  });
}

/** The smallest element type for the place of a code among all. */
function placeType(site: QuantizerSite, { grid }: CodedTensor): { dtype: "uint2" | "uint4" | "uint8"; bits: number } {
  const count = grid.codes.length;
  if (count <= 4) return { dtype: "uint2", bits: 2 };
  if (count <= 16) return { dtype: "uint4", bits: 4 };
  if (count <= 256) return { dtype: "uint8", bits: 8 };
  throw withoutCodes(site);
}

function weightOf(
  builder: GraphBuilder,
  name: string,
  { spec }: QuantizerSite,
  { grid, shape, codes }: CodedTensor,
  dtype: "uint2" | "uint4" | "uint8",
): Value {
  const places = new Map(grid.codes.map((code, place) => [code, place]));
  const indices = Uint8Array.from(codes, (code) => places.get(code) ?? 0);
  const data = dtype === "uint8" ? indices : packBits(indices, dtype);
  const stored = builder.constant(makeTensor(dtype, shape, data), name);
  const table = builder.constant(float32Tensor([grid.codes.length], grid.codes), `${name}/codes`);
  const gathered = builder.one("Gather", [table, cast(builder, stored, "int32")], { axis: 0 });
  // Groups are runs of elements in the tensor's order, as in the simulation.
  const isGrouped = spec.groupSize !== undefined;
  const rows = isGrouped ? [grid.units.length, codes.length / grid.units.length] : shape;
  const units = isGrouped ? [grid.units.length, 1] : shape.map((size, axis) => (axis === spec.channelAxis ? size : 1));
  const perUnit = (what: string, values: readonly number[]): Value =>
    builder.constant(float32Tensor(values.length === 1 ? [] : units, values), `${name}/${what}`);
  let value = isGrouped ? reshape(builder, gathered, rows) : gathered;
  const zeroPoints = grid.units.map(({ zeroPoint }) => zeroPoint);
  if (zeroPoints.some((zeroPoint) => zeroPoint !== 0)) {
    value = subtract(builder, value, perUnit("zero_point", zeroPoints));
  }
  const scales = grid.units.map(({ scale }) => scale);
  value = multiply(builder, value, perUnit("scale", scales));
  const offsets = grid.units.map(({ offset }) => offset);
  if (offsets.some((offset) => offset !== 0)) value = add(builder, value, perUnit("offset", offsets));
  return isGrouped ? reshape(builder, value, shape) : value;
}
