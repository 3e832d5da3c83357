/** The answer whether a network converts is the conversion's own: the same refusals, and all of them. */
import { describe, expect, it } from "vitest";
import { randomStream } from "../../src/base/random.ts";
import { integerLines, integerWarning } from "../../src/cli/view/integers-text.ts";
import { quantize } from "../../src/compile/passes/quantize.ts";
import { convert } from "../../src/convert/convert.ts";
import { integerObstacles } from "../../src/convert/obstacles.ts";
import { UnsupportedError } from "../../src/errors.ts";
import type { Network } from "../../src/ir/network.ts";
import { makeModel } from "../../src/models/index.ts";
import { NetworkBuilder } from "../../src/models/network-builder.ts";
import { presetNamed, presetNames } from "../../src/qconfig/presets.ts";
import { seeded } from "../support/random.ts";

const input = { dtype: "float32" } as const;

/** conv → x·sigmoid(x) → tanh → fc: some nodes without an integer form, and layers that have one. */
function gated(gateOp: string, lastOp: string): Network {
  const random = seeded(1);
  const builder = new NetworkBuilder("gated", { uniform: random, normal: () => random() - 0.5 });
  const x = builder.conv("conv", builder.input("images", [3, 4, 4]), 2, { kernel: 3, bias: true });
  const gate = builder.builder.one(gateOp, [x], {}, { name: `/1/${gateOp}` });
  const y = builder.builder.one("Mul", [x, gate], {}, { name: "/1/Mul" });
  const z = builder.builder.one(lastOp, [y], {}, { name: `/2/${lastOp}` });
  return builder.finish(builder.linear("fc", builder.builder.one("Flatten", [z], { axis: 1 }), 2));
}

/** The error of the conversion; undefined where it converts. */
function thrownBy(network: Network): UnsupportedError | undefined {
  try {
    convert(network, { input });
  } catch (error) {
    if (error instanceof UnsupportedError) return error;
    throw error;
  }
  return undefined;
}

describe("integer obstacles", () => {
  it("name every operator that is refused, and nothing that follows from another", () => {
    const found = integerObstacles(gated("LRN", "Hardmax"));
    expect(found.map(({ op, name }) => `${op} ${name}`)).toEqual(["LRN /1/LRN", "Hardmax /2/Hardmax"]);
    expect(integerLines(found)[0]).toBe("integers: no, LRN (/1/LRN): there is no integer form of LRN");
    expect(integerWarning(found)).toMatch(/LRN \(\/1\/LRN\).*; and 1 more/);
  });

  it("are none where functions of one value read codes, and name them where they do not", () => {
    const silu = gated("Sigmoid", "Tanh");
    expect(integerObstacles(silu)).toEqual([]);
    const bare = quantize(silu, { ...presetNamed("lsq", { weightBits: 4, activationBits: 4 }), residualBits: null });
    const found = integerObstacles(bare, { input });
    // The last one reads what stands for the product, which has codes.
    expect(found.map(({ op }) => op)).toEqual(["Sigmoid", "Mul"]);
    expect(found[0]?.remedy).toMatch("--residual-bits 8");
  });

  it.each(["resnet8", "vit", "lenet", "mlp"])(
    "of %s agree with the conversion for every preset that it takes",
    (name) => {
      const float = makeModel(name, { sampleShape: [1, 16, 16], classes: 3, width: 8 }, randomStream(0, "weights"));
      for (const preset of presetNames()) {
        let network: Network;
        try {
          network = quantize(float, presetNamed(preset, { weightBits: 4, activationBits: 4 }));
        } catch {
          continue;
        }
        const found = integerObstacles(network, { input });
        const [first] = found;
        const thrown = thrownBy(network);
        expect([preset, first?.message]).toEqual([preset, thrown?.message]);
        expect(integerLines(found)[0]).toMatch(thrown === undefined ? /^integers: yes$/ : /^integers: no, /);
      }
    },
  );

  it("fold nodes of one operator, unless all are asked for", () => {
    const found = ["a", "b", "c", "d", "e"].map((name) => ({
      op: "Erf",
      name,
      message: "there is no integer form of Erf",
    }));
    expect(integerLines(found)).toEqual(["integers: no, Erf (a, b, c and 2 more): there is no integer form of Erf"]);
    expect(integerLines(found, { verbose: true })[0]).toContain("Erf (a, b, c, d, e)");
  });
});
