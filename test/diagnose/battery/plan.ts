/** Draws the runs of the battery: network, quantizer, bits, recipe, and a fault or none. */

import { randomStream } from "../../../src/base/random.ts";
import { dataFaults } from "./data-faults.ts";
import { type FaultKind, graded, oneOf, strongest } from "./fault.ts";
import { networkFaults } from "./network-faults.ts";
import { type Base, bases, type Settings } from "./networks.ts";
import { optimizationFaults } from "./optimization-faults.ts";
import { quantizerFaults } from "./quantizer-faults.ts";
import { scaleFaults } from "./scale-faults.ts";

/** Every kind of fault. */
export const faultKinds: readonly FaultKind[] = [
  ...optimizationFaults,
  ...scaleFaults,
  ...quantizerFaults,
  ...networkFaults,
  ...dataFaults,
];

/** A run to make. */
export interface Plan {
  /** `seed/number`. */
  readonly id: string;
  readonly base: Base;
  readonly seed: number;
  readonly preset: string;
  readonly weightBits: number;
  readonly activationBits: number;
  readonly learningRate: number;
  readonly epochs: number;
  readonly batchSize: number;
  /** The recipe's other settings. */
  readonly settings: Settings;
  /** undefined: healthy. */
  readonly fault: FaultKind | undefined;
  readonly severity: number;
}

/** The bits that a preset trains well at: weights and activations. */
const sane: Readonly<Record<string, readonly (readonly [number, number])[]>> = {
  lsq: [
    [2, 2],
    [2, 4],
    [3, 3],
    [3, 4],
    [4, 2],
    [4, 4],
    [4, 8],
    [8, 4],
    [8, 8],
  ],
  "lsq+": [
    [2, 2],
    [2, 4],
    [3, 3],
    [4, 4],
    [4, 8],
    [8, 8],
  ],
  ewgs: [
    [2, 2],
    [3, 3],
    [4, 4],
    [4, 8],
  ],
  tqt: [
    [4, 4],
    [4, 8],
    [8, 8],
  ],
  pact: [
    [3, 4],
    [4, 4],
    [8, 8],
  ],
  dorefa: [
    [3, 4],
    [4, 4],
    [8, 8],
  ],
  apot: [
    [4, 4],
    [5, 5],
  ],
  n2uq: [
    [2, 2],
    [3, 3],
    [4, 4],
  ],
  minmax: [
    [4, 5],
    [5, 5],
    [4, 6],
    [6, 6],
    [4, 8],
    [8, 8],
  ],
  thread: [[8, 8]],
  binary: [
    [1, 4],
    [1, 8],
  ],
  fp4: [[4, 4]],
};

const common: readonly [string, ...string[]] = [
  "lsq",
  "lsq",
  "lsq",
  "lsq+",
  "lsq+",
  "minmax",
  "minmax",
  "ewgs",
  "tqt",
  "pact",
  "dorefa",
];
const rare: readonly [string, ...string[]] = ["apot", "n2uq", "binary", "fp4", "thread"];

/** Draws run `number` of a seed. Odd ones have a fault; `only` restricts the kinds. */
export function drawPlan(seed: number, number: number, only?: (kind: FaultKind) => boolean): Plan {
  const random = randomStream(seed, "battery", number);
  for (;;) {
    const base = bases[random.integerBelow(bases.length)] ?? bases[0];
    if (base === undefined) throw new Error("there is no network");
    const preset = random.uniform() < 0.85 ? oneOf(random, common) : oneOf(random, rare);
    // N2UQ's activations have no sign.
    if (preset === "n2uq" && base.hasSigned) continue;
    const pairs = sane[preset] ?? [];
    const [weightBits, activationBits] = pairs[random.integerBelow(pairs.length)] ?? [4, 4];
    const batchSize = oneOf(random, [16, 32, 32, 64]);
    const isSgd = base.optimizer["train.optimizer.name"] === "sgd";
    const learningRate = Number(
      (
        base.learningRate *
        Math.sqrt(batchSize / 32) *
        graded(random, strongest * random.uniform(), 0.6, 1.6)
      ).toPrecision(3),
    );
    const epochs = oneOf(random, [2, 3, 3, 4]);
    const momentum = oneOf(random, [0.8, 0.9, 0.9, 0.95]);
    const settings: Settings = {
      "train.optimizer.weightDecay": isSgd ? oneOf(random, [0, 1e-4, 1e-4, 5e-4]) : 0,
      ...(isSgd ? { "train.optimizer.momentum": momentum } : {}),
      "train.schedule.name": oneOf(random, ["cosine", "cosine", "step"]),
      "train.schedule.warmupEpochs": oneOf(random, [0, 0, 0.5]),
      "train.labelSmoothing": oneOf(random, [0, 0, 0, 0.1]),
    };
    const plan = {
      id: `${seed}/${number}`,
      base,
      seed: random.integerBelow(3),
      preset,
      weightBits,
      activationBits,
      learningRate: isSgd && momentum > 0.9 ? learningRate / 2 : learningRate,
      epochs,
      batchSize,
      settings,
      severity: random.integerBelow(strongest + 1),
    };
    if (number % 2 === 0) return { ...plan, fault: undefined };
    // The kind is drawn first, and then runs until one fits: kinds that fit few runs are drawn as often as others.
    const kinds = only === undefined ? faultKinds : faultKinds.filter(only);
    const fault = kinds[randomStream(seed, "kind", number).integerBelow(kinds.length)];
    // What the float run has is known once it is there; every network of the battery has more than three layers.
    const layers = [1, 2, 3, 4].map(() => ({ name: "", weight: "", shape: [] }));
    if (fault?.fits({ ...plan, layers, links: [], normalization: { mean: [], std: [] } }) === true) {
      return { ...plan, fault };
    }
  }
}
