/** Random single operations of integer networks, with the network around them: every shape that the geometry allows. */
import fc from "fast-check";
import type {
  Dequantize,
  IntegerConv,
  IntegerGemm,
  IntegerNetwork,
  IntegerOperation,
  IntegerTensor,
  IntegerWeight,
  Requantize,
  TensorForm,
} from "../../../src/convert/integer-network.ts";
import type { Shape } from "../../../src/ir/types.ts";
import { seeded } from "../random.ts";

/** A network of input codes and one operation on them, and a sample: the codes themselves. */
export interface OperationCase {
  readonly network: IntegerNetwork;
  readonly sample: readonly number[];
}

/** A form of 4-bit codes with the scale 1 and this zero point, so that a sample of integers is its own codes. */
export function codesForm(zeroPoint: number, scale = 1): TensorForm {
  return { kind: "codes", low: 0, high: 15, scale, zeroPoint };
}

const accumulator: TensorForm = {
  kind: "accumulator",
  low: Number.NEGATIVE_INFINITY,
  high: Number.POSITIVE_INFINITY,
  scale: 1,
  zeroPoint: 0,
};

/** Integer weights of a shape, drawn from −7 to 7. */
export function weightOf(shape: Shape, codes: ArrayLike<number>): IntegerWeight {
  return {
    name: "weight",
    shape,
    codes: Int32Array.from(codes),
    low: -7,
    high: 7,
    levels: Array.from({ length: 15 }, (_, i) => i - 7),
    scales: Float32Array.of(1),
  };
}

/** Input codes with the zero point, and one operation that reads them as tensor 0 and makes tensor 1. */
export function oneOperation(
  operation: IntegerOperation,
  shapes: { readonly input: Shape; readonly output: Shape },
  forms: { readonly input: TensorForm; readonly output?: TensorForm },
): IntegerNetwork {
  const tensors: IntegerTensor[] = [
    { id: 0, name: "codes", shape: shapes.input, form: forms.input },
    { id: 1, name: operation.name, shape: shapes.output, form: forms.output ?? accumulator },
  ];
  return {
    name: "one operation",
    input: { name: "data", sampleShape: shapes.input.slice(1), dtype: "float32" },
    // The sample is centred already, and the zero point is added to it.
    tensors,
    operations: [{ op: "QuantizeInput", name: "input", output: 0, reciprocal: 1 }, operation],
    outputs: [{ name: "result", tensor: 1 }],
    notes: [],
  };
}

function drawn(seed: number, length: number, low: number, high: number): number[] {
  const random = seeded(seed);
  return Array.from({ length }, () => low + Math.floor(random() * (high - low + 1)));
}

const axis = fc.record({
  size: fc.integer({ min: 1, max: 6 }),
  kernel: fc.integer({ min: 1, max: 3 }),
  stride: fc.integer({ min: 1, max: 3 }),
  dilation: fc.integer({ min: 1, max: 2 }),
  before: fc.integer({ min: 0, max: 2 }),
  after: fc.integer({ min: 0, max: 2 }),
});

/** Convolutions of all geometries: strides, dilations, unequal padding, groups, one window and many. */
export const convolutions: fc.Arbitrary<OperationCase> = fc
  .record({
    y: axis,
    x: axis,
    group: fc.integer({ min: 1, max: 3 }),
    inPerGroup: fc.integer({ min: 1, max: 3 }),
    outPerGroup: fc.integer({ min: 1, max: 3 }),
    zeroPoint: fc.integer({ min: 0, max: 15 }),
    seed: fc.nat(),
  })
  .map(({ y, x, group, inPerGroup, outPerGroup, zeroPoint, seed }) => {
    const reach = ({ kernel, dilation }: typeof y) => (kernel - 1) * dilation + 1;
    // Large enough for one window at least.
    const sizeOf = (a: typeof y) => Math.max(a.size, reach(a) - a.before - a.after);
    const outOf = (a: typeof y) => Math.floor((sizeOf(a) + a.before + a.after - reach(a)) / a.stride) + 1;
    const input = [1, group * inPerGroup, sizeOf(y), sizeOf(x)];
    const weight = [group * outPerGroup, inPerGroup, y.kernel, x.kernel];
    const conv: IntegerConv = {
      op: "IntegerConv",
      name: "conv",
      input: 0,
      output: 1,
      group,
      weight: weightOf(weight, drawn(seed, size(weight), -7, 7)),
      kernel: [y.kernel, x.kernel],
      strides: [y.stride, x.stride],
      dilations: [y.dilation, x.dilation],
      pads: [y.before, x.before, y.after, x.after],
    };
    const shapes = { input, output: [1, group * outPerGroup, outOf(y), outOf(x)] };
    return {
      network: oneOperation(conv, shapes, { input: codesForm(zeroPoint) }),
      sample: drawn(seed + 1, size(input), -zeroPoint, 15 - zeroPoint),
    };
  });

/** Fully connected layers, of one row or of several along other axes. */
export const products: fc.Arbitrary<OperationCase> = fc
  .record({
    channels: fc.integer({ min: 1, max: 20 }),
    features: fc.integer({ min: 1, max: 9 }),
    rows: fc.constantFrom([], [], [3], [2, 5]),
    zeroPoint: fc.integer({ min: 0, max: 15 }),
    seed: fc.nat(),
  })
  .map(({ channels, features, rows, zeroPoint, seed }) => {
    const weight = weightOf([features, channels], drawn(seed, features * channels, -7, 7));
    const gemm: IntegerGemm = { op: "IntegerGemm", name: "fc", input: 0, output: 1, weight };
    const shapes = { input: [1, ...rows, channels], output: [1, ...rows, features] };
    return {
      network: oneOperation(gemm, shapes, { input: codesForm(zeroPoint) }),
      sample: drawn(seed + 1, size(shapes.input), -zeroPoint, 15 - zeroPoint),
    };
  });

const scales = fc.double({ min: 2 ** -9, max: 8, noNaN: true }).map(Math.fround);

/** Sums of one to three terms: shifts, biases, gains per tensor and per channel, offsets, grids with gaps. */
export const sums: fc.Arbitrary<OperationCase> = fc
  .record({
    op: fc.constantFrom("Requantize" as const, "Dequantize" as const),
    channels: fc.integer({ min: 1, max: 4 }),
    spatial: fc.constantFrom([], [1, 1], [3, 2]),
    isLast: fc.boolean(),
    terms: fc.array(
      fc.record({
        shift: fc.integer({ min: 0, max: 4 }),
        hasBias: fc.boolean(),
        inputScale: scales,
        perChannel: fc.boolean(),
        multiplier: fc.option(scales, { nil: undefined }),
      }),
      { minLength: 1, maxLength: 3 },
    ),
    hasOffset: fc.boolean(),
    levels: fc.option(fc.constant([0, 1, 2, 4, 8, 15]), { nil: undefined }),
    scale: scales,
    zeroPoint: fc.integer({ min: 0, max: 15 }),
    seed: fc.nat(),
  })
  .map(({ op, channels, spatial, isLast, terms, hasOffset, levels, scale, zeroPoint, seed }) => {
    const random = seeded(seed);
    const axis = isLast ? spatial.length + 1 : 1;
    const shape = isLast ? [1, ...spatial, channels] : [1, channels, ...spatial];
    const real = () => Math.fround(4 * random() - 2);
    const parts = {
      name: "sum",
      output: 1,
      axis,
      terms: terms.map(({ shift, hasBias, inputScale, perChannel, multiplier }, index) => ({
        input: 0,
        shift,
        inputScale,
        gains: Float32Array.from({ length: perChannel ? channels : 1 }, real),
        ...(hasBias ? { bias: Int32Array.from(drawn(seed + index, channels, -99, 99)) } : {}),
        ...(multiplier === undefined ? {} : { multiplier }),
      })),
      ...(hasOffset ? { offset: Float32Array.from({ length: channels }, real) } : {}),
    };
    const operation: Requantize | Dequantize =
      op === "Requantize" ? { ...parts, op, low: 1, high: 14 } : { ...parts, op };
    const output = op === "Requantize" ? codesForm(zeroPoint, scale) : accumulator;
    return {
      network: oneOperation(
        operation,
        { input: shape, output: shape },
        { input: codesForm(zeroPoint), output: levels === undefined ? output : { ...output, levels } },
      ),
      sample: drawn(seed + 7, size(shape), -zeroPoint, 15 - zeroPoint),
    };
  });

function size(shape: Shape): number {
  return shape.reduce((product, each) => product * each, 1);
}
