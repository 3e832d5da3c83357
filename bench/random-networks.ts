/**
 * Counts the codes in which the simulation, the ONNX file on integers and the interpreter differ, over random small networks.
 *
 *     npx tsx bench/random-networks.ts [--networks 1000] [--seed 1] [--out runs/proof/random-networks-1.json]
 *
 * The networks are those of test/convert/three-programs.test.ts, drawn by fast-check from the seed: kinds of layers, strides,
 * groups and widths at random, then weights, gains of both signs and of zero, and channels of zeros. Presets, bits and
 * `residualBits` take turns. The first network that disagrees is printed, and the exit code is 1. bench/proof.ts puts the
 * files of --out into docs/proof.md.
 */
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { parseArgs } from "node:util";
import fc from "fast-check";
import { showMismatch } from "../src/convert/prove/verify.ts";
import { writeFileAtomic } from "../src/io/atomic-file.ts";
import type { Network } from "../src/ir/network.ts";
import { float32Data } from "../src/ir/tensor.ts";
import { nodeEngine } from "../src/runtime/node/node.ts";
import {
  convertibleConfig,
  convertiblePresets,
  isConvertible,
  proofOfRandom,
} from "../test/support/convert/agreement.ts";
import { type NetworkDescription, networkDescriptions, randomNetwork } from "../test/support/convert/random/network.ts";

const { values: flags } = parseArgs({
  options: {
    networks: { type: "string", default: "1000" },
    seed: { type: "string", default: "1" },
    out: { type: "string" },
  },
});

export interface RandomNetworksResult {
  readonly seed: number;
  readonly networks: number;
  readonly compared: number;
  readonly mismatches: number;
  /** How many of the networks have each trait. */
  readonly traits: Readonly<Record<string, number>>;
}

function rowsOf(network: Network, role: string): Float32Array[] {
  return network.parameters
    .filter((parameter) => parameter.role === role)
    .flatMap(({ value }) => {
      const data = float32Data(value);
      const [channels = 1] = value.shape;
      const length = data.length / channels;
      return Array.from({ length: channels }, (_, k) => data.subarray(k * length, (k + 1) * length));
    });
}

/** What conversions are said to survive, as the network itself has it. */
function traitsOf({ layers }: NetworkDescription, network: Network, residualBits: number | null): string[] {
  const convolutions = network.graph.nodes.filter(({ op }) => op === "Conv");
  const shapes = convolutions.flatMap(({ outputs }) => outputs.map(({ type }) => type.shape));
  const gains = rowsOf(network, "normalization-scale").flatMap((row) => [...row]);
  const isResidual = layers.some(({ kind }) => kind === "residual" || kind === "downsample");
  const found: Readonly<Record<string, boolean>> = {
    strides: layers.some(({ kind, stride }) => stride === 2 && kind !== "residual" && kind !== "concat"),
    groups: convolutions.some(({ attributes }) => Number(attributes.group ?? 1) > 1),
    "residual additions": isResidual,
    "their branches in codes": isResidual && residualBits !== null,
    concatenations: layers.some(({ kind }) => kind === "concat"),
    "odd channels": shapes.some(([, channels = 0]) => channels % 2 === 1),
    "negative gains": gains.some((gain) => gain < 0),
    "gains of zero": gains.some((gain) => Math.abs(gain) < 1e-6),
    "channels of zeros": rowsOf(network, "weight").some((row) => row.every((weight) => weight === 0)),
    "maps of one pixel": shapes.some(([, , height, width]) => height === 1 && width === 1),
  };
  return Object.entries(found).flatMap(([trait, has]) => (has ? [trait] : []));
}

const seed = Number(flags.seed);
const networks = Number(flags.networks);
const engine = nodeEngine({ threads: 1 });
const traits: Record<string, number> = {};
const totals = { compared: 0, mismatches: 0 };
const cases = fc.record({
  description: networkDescriptions,
  preset: fc.constantFrom(...convertiblePresets),
  bits: fc.constantFrom(8, 4, 3, 2),
  residualBits: fc.constantFrom(null, 8, 4),
});
const drawn = fc.sample(
  cases.filter(({ preset, description, residualBits }) => isConvertible(preset, description, residualBits)),
  { seed, numRuns: networks },
);
for (const { description, preset, bits, residualBits } of drawn) {
  const config = convertibleConfig(preset, { weightBits: bits, activationBits: bits }, residualBits);
  for (const trait of traitsOf(description, randomNetwork(description), config.residualBits)) {
    traits[trait] = (traits[trait] ?? 0) + 1;
  }
  const { programs } = await proofOfRandom(description, config, engine);
  for (const { compared, mismatches, first } of programs) {
    if (first !== undefined && totals.mismatches === 0) {
      console.log(JSON.stringify({ preset, bits, residualBits, description }), showMismatch(first));
    }
    totals.compared += compared;
    totals.mismatches += mismatches;
  }
}
const result: RandomNetworksResult = { seed, networks, ...totals, traits };
console.log(JSON.stringify(result, undefined, 2));
if (flags.out !== undefined) {
  await mkdir(dirname(flags.out), { recursive: true });
  await writeFileAtomic(flags.out, [new TextEncoder().encode(JSON.stringify(result))]);
}
process.exitCode = totals.mismatches === 0 ? 0 : 1;
