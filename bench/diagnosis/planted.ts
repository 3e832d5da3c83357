/**
 * Runs made to fail on purpose: is the fault found, as which finding, with its layer? And what do probes cost?
 *
 *     npx tsx bench/diagnosis/planted.ts [--seed N] [--fault TEXT] [--network NAME] [--verbose]   planted faults
 *     npx tsx bench/diagnosis/planted.ts --cost                                                  the cost of probes
 *
 * Prints the tables that stand in docs/diagnosis-tests.md.
 */
import { parseArgs } from "node:util";
import { randomStream } from "../../src/base/random.ts";
import { median } from "../../src/base/statistics.ts";
import { quantize } from "../../src/compile/passes/quantize.ts";
import { loadFashionMnist } from "../../src/data/formats/fashion-mnist.ts";
import { watchTraining } from "../../src/diagnose/watch-run.ts";
import { makeModel } from "../../src/models/index.ts";
import { type Finding, highConfidence } from "../../src/runs/finding.ts";
import { nodeEngine } from "../../src/runtime/node/node.ts";
import { calibrate } from "../../src/train/loop/calibrate.ts";
import { train } from "../../src/train/loop/trainer.ts";
import type { TrainingWatcher } from "../../src/train/loop/watcher.ts";
import {
  type Fault,
  faults,
  healthyQuantization,
  type Setup,
  threadFault,
} from "../../test/diagnose/planted-faults.ts";
import {
  baseRecipe,
  healthySetup,
  runSetup,
  type SmallNetwork,
  smallNetworks,
} from "../../test/diagnose/small-networks.ts";

const { values: flags } = parseArgs({
  options: {
    fault: { type: "string" },
    network: { type: "string" },
    verbose: { type: "boolean" },
    seed: { type: "string", default: "0" },
    cost: { type: "boolean" },
  },
});

/** The interval of long runs. */
const probeSteps = 200;
/** Steps between two probes whose cost is measured: more probes, and so less noise, than at the default interval. */
const measuredEvery = 30;

const engine = nodeEngine({ threads: 2 });
const data = await loadFashionMnist({ trainCount: 1024, testCount: 256 });
const setups = new Map<SmallNetwork, Promise<Setup>>();

function setupOf(network: SmallNetwork): Promise<Setup> {
  const known = setups.get(network) ?? healthySetup(network, data, engine, Number(flags.seed));
  setups.set(network, known);
  return known;
}

function networksFor(fault: Fault): readonly SmallNetwork[] {
  const { resnet8, plain, resnet6 } = smallNetworks;
  return fault.residual === true ? [resnet8, resnet6] : [resnet8, plain];
}

function show({ cause, confidence, layers }: Finding): string {
  const where = layers.length === 0 ? "" : ` (${layers.slice(0, 2).join(", ")}${layers.length > 2 ? ", …" : ""})`;
  return `${cause} ${confidence.toFixed(2)}${where}`;
}

function details(findings: readonly Finding[]): void {
  if (flags.verbose !== true) return;
  for (const finding of findings) {
    console.log(`    ${finding.confidence.toFixed(2)} ${finding.title} [${finding.layers.join(" ")}]`);
    for (const { measurement, layer, value, threshold, supports } of finding.evidence) {
      console.log(
        `         ${supports ? "+" : "-"} ${measurement}${layer === undefined ? "" : ` (${layer})`}: ${value.toPrecision(3)}, ${threshold}`,
      );
    }
  }
}

/** Processor time of this process and its threads, in milliseconds: other programs on the machine do not change it. */
function processorTime(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** Trains under watch at the default interval, and compares the processor time that the watch takes with that of the steps. */
async function printCost(model: string): Promise<void> {
  const all = await loadFashionMnist({ trainCount: 6000, testCount: 64 });
  const options = { sampleShape: all.train.sampleShape, classes: 10 };
  const quantized = quantize(makeModel(model, options, randomStream(0, "weights")), healthyQuantization());
  const single = nodeEngine({ threads: 1 });
  const network = await calibrate(
    quantized,
    all.train,
    Int32Array.from({ length: 64 }, (_, i) => i),
    single,
  );
  const run = { network, data: all, engine: single, recipe: { ...baseRecipe, epochs: 3, batchSize: 64 } };
  const { watcher } = watchTraining(run, { every: measuredEvery, onEarly: () => undefined });
  const probes: number[] = [];
  let [stepTime, windowTime, last] = [0, 0, processorTime()];
  const timed: TrainingWatcher = {
    ...bound(watcher),
    async beforeStep(step) {
      const start = processorTime();
      stepTime += start - last;
      await watcher.beforeStep(step);
      last = processorTime();
      if (step.step % measuredEvery === 0) probes.push(last - start);
      else windowTime += last - start;
    },
    // The evaluation after an epoch is no part of a step.
    afterEpoch(progress) {
      watcher.afterEpoch(progress);
      last = processorTime();
    },
  };
  const { steps } = await train({ ...run, watcher: timed });
  // The first probe compiles its graph, once per run, so it is timed separately.
  const [first = 0, ...later] = probes;
  const probe = median(later);
  const step = stepTime / (steps - run.recipe.epochs);
  const each = windowTime / probes.length;
  const cells = [
    model,
    step.toFixed(1),
    probe.toFixed(1),
    each.toFixed(1),
    `${((100 * (probe + each)) / (probeSteps * step)).toFixed(1)} %`,
    Math.max(0, first - probe).toFixed(0),
  ];
  console.log(`| ${cells.join(" | ")} |`);
}

function bound(watcher: TrainingWatcher): TrainingWatcher {
  return {
    beforeStep: (step) => watcher.beforeStep(step),
    afterStep: (step, loss) => watcher.afterStep(step, loss),
    afterEpoch: (progress) => watcher.afterEpoch(progress),
    afterTraining: (trained) => watcher.afterTraining(trained),
    release: () => watcher.release(),
  };
}

if (flags.cost === true) {
  console.log(
    `| network | step, ms | probe, ms | watching weights before it, ms | both of ${probeSteps} steps | compiling, once, ms |`,
  );
  console.log("|---|---|---|---|---|---|");
  for (const model of ["resnet8", "resnet20"]) await printCost(model);
  process.exit();
}

console.log("| planted | network | where | found as | first finding | second finding | accuracy % |");
console.log("|---|---|---|---|---|---|---|");
let missed = 0;
for (const fault of [...faults, threadFault]) {
  if (flags.fault !== undefined && !fault.name.includes(flags.fault)) continue;
  for (const network of networksFor(fault)) {
    if (flags.network !== undefined && network.name !== flags.network) continue;
    const setup = fault.plant(await setupOf(network), network.places);
    const { findings, result } = await runSetup(setup, data, engine);
    const layer = fault.layer?.(network.places);
    const place = findings.findIndex(
      ({ cause, layers }) => cause === fault.cause && (layer === undefined || layers.includes(layer)),
    );
    if (place < 0 || place > 1) missed++;
    const found = place < 0 ? "missed" : `${place + 1}`;
    const [first, second] = [findings[0], findings[1]].map((each) => (each === undefined ? "none" : show(each)));
    const cells = [fault.name, network.name, layer ?? "everywhere", found, first, second];
    console.log(`| ${cells.join(" | ")} | ${(100 * result.accuracy).toFixed(1)} |`);
    details(findings);
  }
}

if (flags.fault === undefined) {
  console.log("\n| healthy run | network | highest finding | with high confidence | accuracy % |");
  console.log("|---|---|---|---|---|");
  for (const network of Object.values(smallNetworks)) {
    if (flags.network !== undefined && network.name !== flags.network) continue;
    const setup = await setupOf(network);
    const runs: [string, Setup][] = [
      ["W4A4 LSQ", setup],
      ["W8A8 min-max", { ...setup, quantization: healthyQuantization("minmax", 8) }],
      [
        "float, from random weights",
        { ...setup, quantization: null, float: setup.fresh, recipe: { learningRate: 0.05 } },
      ],
      ["float, fine-tuned", { ...setup, quantization: null }],
    ];
    for (const [name, run] of runs) {
      const { findings, result } = await runSetup(run, data, engine);
      const high = findings.filter(({ confidence }) => confidence >= highConfidence).length;
      if (high > 0) missed++;
      const top = findings[0] === undefined ? "none" : show(findings[0]);
      console.log(`| ${name} | ${network.name} | ${top} | ${high} | ${(100 * result.accuracy).toFixed(1)} |`);
      details(findings);
    }
  }
}
if (missed > 0) {
  console.error(`${missed} rows are not as they should be`);
  process.exitCode = 1;
}
