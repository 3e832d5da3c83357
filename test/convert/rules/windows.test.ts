/** Attention in windows that are joined with the batch: in each axis of a window there may be one element. */
import { describe, expect, it } from "vitest";
import { convert } from "../../../src/convert/convert.ts";
import { showMismatch } from "../../../src/convert/prove/verify.ts";
import type { Value } from "../../../src/ir/graph.ts";
import type { Network } from "../../../src/ir/network.ts";
import { NetworkBuilder } from "../../../src/models/network-builder.ts";
import { matmul } from "../../../src/ops/families/matmul.ts";
import { flatten, reshape, split, transpose } from "../../../src/ops/families/shape/shape-ops.ts";
import { softmax } from "../../../src/ops/families/softmax.ts";
import { nodeEngine } from "../../../src/runtime/node/node.ts";
import { convertibleConfig, provenOn } from "../../support/convert/agreement.ts";
import { expectSameInC } from "../../support/convert/c-program.ts";
import { quantizedWith, withRandomValues } from "../../support/convert/random/network.ts";
import { randomTensor, seeded } from "../../support/random.ts";

interface Windows {
  readonly windows: number;
  readonly tokens: number;
  readonly heads: number;
  readonly size: number;
}

function networkOf({ windows, tokens, heads, size }: Windows): Network {
  const random = seeded(3);
  const network = new NetworkBuilder("windows", { uniform: random, normal: () => 2 * random() - 1 });
  const { builder: b } = network;
  const width = heads * size;
  const x = network.input("x", [windows * tokens * 3 * width]);
  const parts = split(b, reshape(b, x, [-1, tokens, 3 * width]), 2, [width, width, width]);
  const [queries, keys, values] = parts.map((part: Value) =>
    transpose(b, reshape(b, part, [-1, tokens, heads, size]), [0, 2, 1, 3]),
  );
  if (queries === undefined || keys === undefined || values === undefined) throw new Error("three parts are made");
  const scores = network.layer("scores", () => matmul(b, queries, transpose(b, keys, [0, 1, 3, 2])));
  const mixed = network.layer("mixed", () => matmul(b, softmax(b, scores), values));
  const joined = reshape(b, transpose(b, mixed, [0, 2, 1, 3]), [-1, windows * tokens * width]);
  return network.finish(network.linear("head", flatten(b, joined), 3));
}

describe("windows of tokens joined with the batch", () => {
  it.each<Windows>([
    { windows: 4, tokens: 2, heads: 2, size: 3 },
    { windows: 4, tokens: 1, heads: 2, size: 3 },
    { windows: 4, tokens: 3, heads: 2, size: 1 },
    { windows: 3, tokens: 1, heads: 1, size: 4 },
    { windows: 3, tokens: 1, heads: 2, size: 1 },
  ])("agree in every code: %o", async (windows) => {
    const random = seeded(5);
    const network = withRandomValues(networkOf(windows), random);
    const size = windows.windows * windows.tokens * 3 * windows.heads * windows.size;
    const data = randomTensor(random, [4, size], { low: -2, high: 2 });
    const config = convertibleConfig("lsq+", { weightBits: 4, activationBits: 4 }, 8);
    const converted = convert(await quantizedWith(network, config, data), { input: { dtype: "float32" } });
    const { programs } = await provenOn(converted, data, nodeEngine({ threads: 1 }));
    expect(programs.flatMap(({ first }) => (first === undefined ? [] : [showMismatch(first)]))).toEqual([]);
    expect(programs.every(({ compared }) => compared > 0)).toBe(true);
    if (data.data instanceof Float32Array) expectSameInC(converted, "float", data.data, 4);
  });
});
