/** A plugin as a researcher would write it outside the package: an operator, a quantizer and a preset, in plain JavaScript. */

/** y = x/2 + 1/4, in a domain of its own. */
const halve = {
  op: "Halve",
  domain: "toy",
  infer: ({ inputs: [x] }) => [x],
  lower: ({ builder, input }) => [
    builder.one("Add", [builder.one("Mul", [input(0), builder.scalar(0.5)]), builder.scalar(0.25)]),
  ],
  gradient: ({ builder, outputGradient }) => [builder.one("Mul", [outputGradient(0), builder.scalar(0.5)])],
  integers: () => ({ kind: "affine", gain: 0.5, offset: 0.25 }),
};

const smallest = 1e-8;
const scaleOf = (spec, largest) => Math.fround(Math.max(largest / Math.max(spec.quantMax, -spec.quantMin), smallest));

/** Rounds to multiples of a fixed scale: the largest magnitude of the first values over the largest code. */
const fixedStep = {
  name: "fixed-step",
  options: {},
  traits: { masksOutside: true },
  parameters: () => [{ name: "scale", shape: [], trainable: false, minimum: smallest }],
  initialize(spec, sample) {
    let largest = 0;
    for (const value of sample.data) largest = Math.max(largest, Math.abs(value));
    const data = Float32Array.of(scaleOf(spec, largest));
    return new Map([["scale", { dtype: "float32", shape: [], data }]]);
  },
  initialFromRange: (spec, min, max) => ({ scale: scaleOf(spec, Math.max(Math.abs(min), Math.abs(max))) }),
  forward({ builder, spec, x, parameters: { scale } }) {
    const quotient = builder.one("Mul", [x, builder.one("Div", [builder.scalar(1), scale])]);
    const limits = [builder.scalar(spec.quantMin), builder.scalar(spec.quantMax)];
    return builder.one("Mul", [builder.one("Clip", [builder.one("Round", [quotient]), ...limits]), scale]);
  },
  gradient: ({ dy }) => ({ x: dy, parameters: {} }),
  levels: (spec) => spec.quantMax - spec.quantMin + 1,
  integers: {
    codes: (spec) => Array.from({ length: spec.quantMax - spec.quantMin + 1 }, (_, i) => spec.quantMin + i),
    unit: (_spec, { scale }) => ({ scale, zeroPoint: 0, offset: 0 }),
    encode: (spec, { scale }, row) =>
      Int32Array.from(row, (x) => {
        const quotient = Math.fround(x * Math.fround(1 / scale));
        const floor = Math.floor(quotient);
        const rest = quotient - floor;
        const up = rest > 0.5 || (rest === 0.5 && floor % 2 !== 0);
        return Math.min(Math.max(up ? floor + 1 : floor, spec.quantMin), spec.quantMax);
      }),
  },
};

const tensor = (bits, signed) => ({ quantizer: "fixed-step", bits, signed, granularity: "tensor", options: {} });

export default {
  name: "toy",
  operators: [halve],
  quantizers: [fixedStep],
  presets: {
    toy: ({ weightBits, activationBits }) => ({
      weight: tensor(weightBits, true),
      activation: tensor(activationBits, "auto"),
      placement: "fused",
      firstLayer: "same",
      lastLayer: "same",
      residualBits: null,
    }),
  },
};
