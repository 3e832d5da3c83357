/** The cpu lowering of convolutions against the generic one, over random geometries, on the engine's own block size. */

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { lowerGraph } from "../../../src/compile/passes/lower.ts";
import { newBuilder, operators } from "../../../src/compile/registry.ts";
import { type Graph, type GraphBuilder, subbyteDomain, type Value } from "../../../src/ir/graph.ts";
import { convGeometry, geometryAttributes } from "../../../src/ops/build/conv-geometry.ts";
import { blockedDomain } from "../../../src/ops/cpu/engine-operators.ts";
import { relu } from "../../../src/ops/families/activations.ts";
import { type ConvOptions, conv } from "../../../src/ops/families/conv.ts";
import { multiply } from "../../../src/ops/families/elementwise.ts";
import { block, cpuTarget, expectAgreement } from "../../support/graphs/lowering.ts";
import { randomTensor, seeded } from "../../support/random.ts";

interface Case {
  readonly x: readonly number[];
  readonly weight: readonly number[];
  readonly options: ConvOptions;
  /** Puts another convolution, a scale and an activation before it, so that its x is blocked and has a factor. */
  readonly behind?: boolean;
  /** Puts a convolution before dY, so that it is blocked. */
  readonly blockedGradient?: boolean;
}

/** Outputs: y, dx and dw of one convolution. */
function convolutionGraph({ x, weight, options, behind = false, blockedGradient = false }: Case): Graph {
  const b = newBuilder("convolution");
  const input = b.input("x", { dtype: "float32", shape: x });
  const image = behind ? scaledConvolution(b, input) : input;
  const kernel = b.input("weight", { dtype: "float32", shape: weight });
  const y = conv(b, image, kernel, undefined, options);
  const gradient = b.input("dy", y.type);
  const dy = blockedGradient ? mixedChannels(b, gradient) : gradient;
  const geometry = geometryAttributes(
    convGeometry({ op: "Conv", name: "", attributes: { ...options } }, x, weight.slice(2)),
  );
  b.output("y", y);
  b.output("dx", b.one("ConvGradInput", [dy, kernel], { ...geometry, shape: x }, { domain: subbyteDomain }));
  b.output("dw", b.one("ConvGradWeight", [dy, image], { ...geometry, shape: weight }, { domain: subbyteDomain }));
  return b.finish();
}

async function compare(example: Case, seed = 1): Promise<void> {
  const graph = convolutionGraph(example);
  const random = seeded(seed);
  const feeds = Object.fromEntries(graph.inputs.map(({ name, type }) => [name, randomTensor(random, type.shape)]));
  await expectAgreement(graph, feeds, 2e-5, JSON.stringify(example));
}

/** relu(conv(x))·factor, of the shape of x. */
function scaledConvolution(b: GraphBuilder, x: Value): Value {
  const channels = x.type.shape[1] ?? 0;
  const weight = b.input("first", { dtype: "float32", shape: [channels, channels, 1, 1] });
  return multiply(b, relu(b, conv(b, x, weight, undefined)), b.input("factor", { dtype: "float32", shape: [] }));
}

/** A convolution of one pixel, of the shape of x. */
function mixedChannels(b: GraphBuilder, x: Value): Value {
  const channels = x.type.shape[1] ?? 0;
  return conv(b, x, b.input("mixing", { dtype: "float32", shape: [channels, channels, 1, 1] }), undefined);
}

/** Counts the blocked convolutions in the cpu lowering of this case: y, dx and dw are one each when all are blocked. */
function blockedCount(example: Case): number {
  return lowerGraph(convolutionGraph(example), operators, cpuTarget).nodes.filter(
    ({ op, domain }) => op === "Conv" && domain === blockedDomain,
  ).length;
}

const square = (n: number) => [n, n, n, n];

describe("the cpu lowering of a convolution", () => {
  const axis = fc.record({
    kernel: fc.constantFrom(1, 2, 3, 3, 3, 5),
    stride: fc.constantFrom(1, 1, 2, 2, 3),
    dilation: fc.constantFrom(1, 1, 1, 2),
    before: fc.integer({ min: 0, max: 2 }),
    after: fc.integer({ min: 0, max: 2 }),
    extra: fc.integer({ min: 0, max: 7 }),
  });
  const channels = fc.constantFrom(1, 3, block, block, 2 * block, block + 4);
  const geometry = fc.record({
    rows: axis,
    columns: axis,
    batch: fc.constantFrom(1, 2, block, 2 * block, block + 3),
    inChannels: channels,
    outChannels: channels,
    group: fc.constantFrom(1, 1, 1, 2),
    behind: fc.boolean(),
    seed: fc.integer(),
  });

  it("agrees with the generic one for random geometries", async () => {
    await fc.assert(
      fc.asyncProperty(geometry, async ({ rows, columns, batch, inChannels, outChannels, group, behind, seed }) => {
        const axes = [rows, columns];
        const sizes = axes.map((a) => Math.max(1, (a.kernel - 1) * a.dilation + 1 - a.before - a.after) + a.extra);
        const options = {
          strides: axes.map((a) => a.stride),
          dilations: axes.map((a) => a.dilation),
          pads: [...axes.map((a) => a.before), ...axes.map((a) => a.after)],
          group,
        };
        const weight = [group * outChannels, inChannels, ...axes.map((a) => a.kernel)];
        await compare({ x: [batch, group * inChannels, ...sizes], weight, options, behind }, seed);
      }),
      { seed: 7, numRuns: 120 },
    );
  });

  it("agrees with the generic one for random depthwise convolutions", async () => {
    const depthwise = fc.record({
      rows: axis,
      columns: axis,
      batch: fc.constantFrom(1, 2, 5),
      channels: fc.constantFrom(3, block, 2 * block, block + 4),
      filters: fc.constantFrom(1, 1, 1, 2),
      seed: fc.integer(),
    });
    await fc.assert(
      fc.asyncProperty(depthwise, async ({ rows, columns, batch, channels, filters, seed }) => {
        const axes = [rows, columns];
        const sizes = axes.map((a) => Math.max(1, (a.kernel - 1) * a.dilation + 1 - a.before - a.after) + a.extra);
        const options = {
          strides: axes.map((a) => a.stride),
          dilations: axes.map((a) => a.dilation),
          pads: [...axes.map((a) => a.before), ...axes.map((a) => a.after)],
          group: channels,
        };
        const weight = [filters * channels, 1, ...axes.map((a) => a.kernel)];
        await compare({ x: [batch, channels, ...sizes], weight, options }, seed);
      }),
      { seed: 17, numRuns: 100 },
    );
  });

  // What the lowering is for: each must keep its fast form, and agree.
  const cases: readonly (readonly [string, Case, number])[] = [
    ["3x3", { x: [block, block, 8, 6], weight: [2 * block, block, 3, 3], options: { pads: square(1) } }, 3],
    [
      "3x3 of stride 2 (dx in four phases)",
      { x: [block, block, 8, 6], weight: [2 * block, block, 3, 3], options: { pads: square(1), strides: [2, 2] } },
      6,
    ],
    [
      "5x5 of stride 2",
      { x: [2 * block, block, 8, 12], weight: [2 * block, block, 5, 5], options: { pads: square(2), strides: [2, 2] } },
      6,
    ],
    [
      "3x3 of stride 2 on odd sizes (dx left to ConvTranspose)",
      { x: [block, block, 9, 7], weight: [block, block, 3, 3], options: { pads: square(1), strides: [2, 2] } },
      2,
    ],
    [
      "1x1 of stride 2 (dw as matrices, dx left to ConvTranspose)",
      { x: [3, block, 8, 8], weight: [2 * block, block, 1, 1], options: { strides: [2, 2] } },
      1,
    ],
    ["3x3 from an image", { x: [block, 3, 9, 8], weight: [block, 3, 3, 3], options: { pads: square(1) } }, 2],
    [
      "3x3 with a batch that fills no whole block",
      { x: [block + 4, block, 6, 6], weight: [block, block, 3, 3], options: { pads: square(1) } },
      3,
    ],
    [
      "depthwise 3x3",
      { x: [3, 2 * block, 7, 6], weight: [2 * block, 1, 3, 3], options: { pads: square(1), group: 2 * block } },
      3,
    ],
    [
      "depthwise 3x3 of stride 2 (dx in four phases)",
      {
        x: [3, 2 * block, 8, 6],
        weight: [2 * block, 1, 3, 3],
        options: { pads: square(1), strides: [2, 2], group: 2 * block },
      },
      6,
    ],
    [
      "3x3 dilated",
      {
        x: [block, block, 9, 9],
        weight: [block, block, 3, 3],
        options: { pads: square(2), dilations: [2, 2] },
      },
      3,
    ],
  ];
  it("makes one product of all pixels where those of single images would be larger, and agrees", async () => {
    const example: Case = {
      x: [3, 2 * block, 2, 3],
      weight: [4 * block, 2 * block, 1, 1],
      options: {},
      behind: true,
      blockedGradient: true,
    };
    const products = lowerGraph(convolutionGraph(example), operators, cpuTarget).nodes.filter(
      ({ op }) => op === "Gemm",
    );
    if (cpuTarget.blockSize > 1) expect(products).toHaveLength(1);
    await compare(example);
  });

  for (const [name, example, count] of cases) {
    it(`is blocked and agrees: ${name}`, async () => {
      if (cpuTarget.blockSize > 1) expect(blockedCount(example)).toBe(count);
      await compare(example);
      await compare({ ...example, behind: true });
    });
  }
});
