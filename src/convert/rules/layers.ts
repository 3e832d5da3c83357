/** Rules of the layers: they need codes on their input and integer weights, and leave sums in an accumulator. */
import { floatAttribute, intAttribute } from "../../ir/attributes.ts";
import type { Shape } from "../../ir/types.ts";
import { convGeometry } from "../../ops/build/conv-geometry.ts";
import { type Affine, type Codes, channelsOf } from "../assembly/symbolic.ts";
import type { IntegerWeight, TensorForm, WindowGeometry } from "../integer-network.ts";
import { layerBounds } from "../ranges.ts";
import {
  constantNumbers,
  type IntegerRule,
  nodeShape,
  onlyThreeAxes,
  type RuleContext,
  symbolicInput,
  unsupported,
} from "./rule.ts";
import { overOneAxis, overTwoAxes, windowOverTwo, withTwoAxes } from "./spatial/one-axis.ts";
import { productOfActivations } from "./tokens/attention.ts";

/** What a layer reads. */
export interface LayerInputs {
  readonly codes: Codes;
  readonly form: TensorForm;
  readonly weight: IntegerWeight;
}

/** The inputs of a layer. @throws UnsupportedError where they have no codes. */
export function layerInputs(context: RuleContext): LayerInputs {
  const { assembly, node } = context;
  const x = assembly.readyCodes(symbolicInput(context, 0));
  const w = symbolicInput(context, 1);
  if (w.kind !== "weight") {
    throw unsupported(node, "its weights are not quantized", "This layer would stay in float: quantize its weights.");
  }
  if (x === undefined) {
    throw unsupported(
      node,
      "its input is not quantized",
      "This layer would stay in float: quantize its activations, or, where only weights are quantized, write --format weights.",
    );
  }
  const { form } = assembly.tensor(x.tensor);
  if (form.kind !== "codes") throw unsupported(node, "its input has no quantizer of its own");
  return { codes: x, form, weight: w.weight };
}

function accumulator(weight: IntegerWeight, input: TensorForm): TensorForm {
  const bounds = layerBounds(weight, input);
  return { kind: "accumulator", low: Math.min(...bounds.low), high: Math.max(...bounds.high), scale: 1, zeroPoint: 0 };
}

/**
 * The sums in real numbers: acc·s_x·s_w[k] + bias[k]. An offset of the input's codes reaches the sum through every weight
 * that does not lie on padding: without padding that is one number for each channel; with it, a sum of its own.
 *
 * @param axis That of the output channels.
 * @param offsetSums The layer's sums over codes that stand for its input's offset.
 */
function layerResult(
  context: RuleContext,
  tensor: number,
  { form, weight }: LayerInputs,
  { shape, axis }: Pick<Affine, "shape" | "axis">,
  offsetSums?: { readonly tensor: number; readonly scale: number },
): Affine {
  const { node } = context;
  const channels = channelsOf(shape, axis);
  const bias = context.inputs[2] === undefined ? [] : constantNumbers(context, 2);
  const gains = Float64Array.from(
    { length: channels },
    (_, k) => weight.scales[weight.scales.length === 1 ? 0 : k] ?? 0,
  );
  const row = weight.codes.length / channels;
  const folded = offsetSums === undefined ? (form.offset ?? 0) : 0;
  const offsets = gains.map((gain, k) =>
    folded === 0
      ? 0
      : folded * gain * weight.codes.subarray(k * row, (k + 1) * row).reduce((sum, code) => sum + code, 0),
  );
  const own = { tensor, inputScale: form.scale, gains };
  return {
    kind: "affine",
    name: node.name,
    shape,
    axis,
    terms: offsetSums === undefined ? [own] : [own, { tensor: offsetSums.tensor, inputScale: offsetSums.scale, gains }],
    offset: offsets.map((offset, k) => offset + (bias[bias.length === 1 ? 0 : k] ?? 0)),
    low: Number.NEGATIVE_INFINITY,
    high: Number.POSITIVE_INFINITY,
  };
}

/** A convolution as a sum of integers. */
export const convRule: IntegerRule = (context) => {
  const { node } = context;
  const given = layerInputs(context);
  const kernel = given.weight.shape.slice(2);
  if (kernel.length === 1) return overOneAxis(context, convolved(context, lineAsImage(context, given)));
  if (kernel.length > 3) throw unsupported(node, onlyThreeAxes(kernel.length));
  const geometry = { kernel, ...convGeometry(node, given.codes.shape, kernel) };
  return convolved(context, { ...given, geometry, shape: nodeShape(node) });
};

/** The inputs of a convolution over two axes. */
export interface ConvInputs extends LayerInputs {
  readonly geometry: WindowGeometry & { readonly group: number };
  /** The shape of its sums. */
  readonly shape: Shape;
  /** What it reads in place of a tensor of codes, with places that add nothing. */
  readonly spread?: (tensor: number) => number;
}

/** A convolution along one axis as one along the second of two. */
function lineAsImage(context: RuleContext, layer: LayerInputs): ConvInputs {
  const { node, assembly } = context;
  const { codes, weight } = layer;
  const [length = 1] = weight.shape.slice(2);
  const geometry = { kernel: [length], ...convGeometry(node, codes.shape, [length]) };
  const image = assembly.readyCodes(overTwoAxes(context, codes)) ?? codes;
  return {
    ...layer,
    codes: image,
    weight: { ...weight, shape: [weight.shape[0] ?? 1, weight.shape[1] ?? 1, 1, length] },
    geometry: { ...windowOverTwo(geometry), group: geometry.group },
    shape: withTwoAxes(nodeShape(node)),
  };
}

/** The sums of a convolution. */
export function convolved(context: RuleContext, layer: ConvInputs): Affine {
  const { assembly, node } = context;
  const { codes, weight, geometry, shape, spread } = layer;
  const { name } = node;
  const sums = (read: number): number => {
    const input = spread === undefined ? read : spread(read);
    return assembly.add(name, shape, accumulator(weight, assembly.tensor(input).form), (output) => ({
      op: "IntegerConv",
      name,
      input,
      output,
      weight,
      ...geometry,
    }));
  };
  const tensor = sums(codes.tensor);
  const isPadded = spread !== undefined || geometry.pads.some((size) => size > 0);
  const offset = isPadded ? assembly.offsetCodes(codes.tensor) : undefined;
  if (offset === undefined) return layerResult(context, tensor, layer, { shape, axis: 1 });
  const { scale } = assembly.tensor(offset).form;
  return layerResult(context, tensor, layer, { shape, axis: 1 }, { tensor: sums(offset), scale });
}

function fullyConnected(context: RuleContext, layer: LayerInputs): Affine {
  const { assembly, node } = context;
  const { name } = node;
  const { codes, form, weight } = layer;
  const shape = [...codes.shape.slice(0, -1), weight.shape[0] ?? 1];
  if (shape.join() !== nodeShape(node).join()) throw unsupported(node, "its features do not lie along the last axis");
  const tensor = assembly.add(name, shape, accumulator(weight, form), (output) => ({
    op: "IntegerGemm",
    name,
    input: codes.tensor,
    output,
    weight,
  }));
  return layerResult(context, tensor, layer, { shape, axis: shape.length - 1 });
}

/** A Gemm as a sum of integers. */
export const gemmRule: IntegerRule = (context) => {
  const { node } = context;
  const layer = layerInputs(context);
  const plain =
    intAttribute(node, "transA", 0) === 0 &&
    floatAttribute(node, "alpha", 1) === 1 &&
    floatAttribute(node, "beta", 1) === 1;
  if (!plain) throw unsupported(node, "Gemm with transA, alpha or beta has no integer form here");
  return fullyConnected(
    context,
    intAttribute(node, "transB", 0) === 1 ? layer : { ...layer, weight: transposed(layer.weight) },
  );
};

/** A matrix product with a weight as a sum of integers. */
export const matMulRule: IntegerRule = (context) => {
  const { kind } = symbolicInput(context, 1);
  if (kind !== "weight" && kind !== "constant") return productOfActivations(context);
  const layer = layerInputs(context);
  return fullyConnected(context, { ...layer, weight: transposed(layer.weight) });
};

/** [C, K] → [K, C]. */
function transposed(weight: IntegerWeight): IntegerWeight {
  const [rows = 0, columns = 0] = weight.shape;
  const codes = new Int32Array(weight.codes.length);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) codes[j * rows + i] = weight.codes[i * columns + j] ?? 0;
  }
  return { ...weight, shape: [columns, rows], codes };
}
