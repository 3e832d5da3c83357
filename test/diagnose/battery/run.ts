/** Trains the runs of the battery as a user would: files on disk, a configuration, a run's folder, `diagnose`. */

import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { deserialize, serialize } from "node:v8";
import { gunzipSync, gzipSync } from "node:zlib";
import { randomStream } from "../../../src/base/random.ts";
import { resolveTrainingConfig } from "../../../src/config/config.ts";
import { diagnose } from "../../../src/diagnose/diagnose.ts";
import { diagnoseRun, type RunDiagnosis } from "../../../src/diagnose/diagnose-run.ts";
import { sourceOfWeights } from "../../../src/diagnose/facts.ts";
import type { DiagnosisInput } from "../../../src/diagnose/input.ts";
import { watchAndKeep } from "../../../src/diagnose/keep-findings.ts";
import type { Counterfactual } from "../../../src/diagnose/remedy/verdict.ts";
import { SubbyteError } from "../../../src/errors.ts";
import type { Tensor } from "../../../src/ir/tensor.ts";
import { readCheckpoint, writeCheckpoint } from "../../../src/runs/checkpoint.ts";
import type { Finding, Remedy } from "../../../src/runs/finding.ts";
import { runPaths } from "../../../src/runs/folder.ts";
import { readRunRecord } from "../../../src/runs/record.ts";
import type { Engine } from "../../../src/runtime/engine.ts";
import { startRun } from "../../../src/train/run.ts";
import { type RawData, rawData, writeData } from "./data.ts";
import { type Planted, type Situation, strongest } from "./fault.ts";
import type { Settings } from "./networks.ts";
import type { Plan } from "./plan.ts";
import { structureOf } from "./structure.ts";

/** What came of a run of the battery. */
export interface Outcome {
  readonly id: string;
  readonly base: string;
  readonly family: string;
  readonly preset: string;
  readonly bits: string;
  readonly kind: string | null;
  readonly severity: number;
  /** Accuracies of float, of the run without the fault, and of the run. */
  readonly float: number;
  readonly reference: number;
  readonly accuracy: number;
  /** The training stopped because the loss was not finite. */
  readonly diverged: boolean;
  readonly findings: readonly Pick<Finding, "cause" | "confidence" | "title" | "layers" | "remedy">[];
  /** The accuracy with the first remedy; null: it was not tried. */
  readonly remedied: number | null;
  /** The findings after the counterfactual check; null: there was nothing to check; absent: it was not asked for. */
  readonly verified?: Verified | null;
  readonly seconds: number;
  readonly error?: string;
}

/** The findings of a run after the counterfactual check, and what was measured for each change. */
export interface Verified {
  readonly findings: readonly Pick<Finding, "cause" | "confidence">[];
  readonly checks: readonly (Pick<Remedy, "changes"> & { readonly check: Counterfactual })[];
}

/** Where a battery's files are, and its engine. */
export interface Workshop {
  readonly folder: string;
  readonly engine: Engine;
  /** Interval of probes in steps; default: the diagnosis' own. */
  readonly every?: number;
  readonly keep?: boolean;
  /** The counterfactual check of a run that ended; default: none. */
  readonly verify?: (diagnosis: RunDiagnosis) => Promise<Verified | null>;
}

interface FloatRun {
  readonly folder: string;
  readonly accuracy: number;
}

function configOf(settings: Settings, folder: string) {
  const overrides = Object.entries(settings)
    .filter(([, value]) => value !== null)
    .map(([path, value]) => ({ path, value, origin: path }));
  return resolveTrainingConfig({ name: join(folder, "battery.yaml"), text: "" }, overrides);
}

const still: Settings = { "data.crop": 0, "data.flip": false, threads: 1 };

/** Trains, and returns the accuracy; a run that diverged has none. */
async function trainRun(shop: Workshop, settings: Settings, folder: string, isWatched: boolean) {
  rmSync(folder, { recursive: true, force: true });
  const config = configOf(settings, folder);
  let found: (() => DiagnosisInput) | undefined;
  const run = { config, parent: dirname(folder), name: folder.slice(dirname(folder).length + 1) };
  try {
    const { summary } = await startRun(run, {
      ...(isWatched
        ? {
            watch: (watched) => {
              const from = sourceOfWeights(config);
              const watch = watchAndKeep(watched, {
                settings: config,
                ...(from === undefined ? {} : { from }),
                ...(shop.every === undefined ? {} : { every: shop.every }),
              });
              found = () => watch.input();
              return watch.watcher;
            },
          }
        : {}),
    });
    return { accuracy: summary.accuracy, diverged: false, findings: found };
  } catch (error) {
    if (!(error instanceof SubbyteError) || error.exitCode !== 1) throw error;
    const { epochs } = await readRunRecord(runPaths(folder));
    return { accuracy: epochs.at(-1)?.testAccuracy ?? 0, diverged: true, findings: found };
  }
}

/** The data of a base, written once. */
async function dataFolder(shop: Workshop, { base, seed }: Plan): Promise<{ folder: string; data: RawData }> {
  const folder = join(shop.folder, "data", `${base.data}-${seed}`);
  const data = await rawData(base.data, seed);
  if (!existsSync(join(folder, "y_test.npy"))) writeData(folder, data);
  return { folder, data };
}

/** A float run of a base, trained once; `other labels` learns the classes in another order. */
async function floatRun(
  shop: Workshop,
  plan: Plan,
  kind: "float" | "hardly trained" | "other labels",
): Promise<FloatRun> {
  const { base, seed } = plan;
  const folder = join(shop.folder, "float", `${base.name}-${seed}-${kind.replaceAll(" ", "-")}`);
  if (!existsSync(join(folder, "SHA256SUMS"))) {
    const { folder: own, data } = await dataFolder(shop, plan);
    let dataOf = own;
    if (kind === "other labels") {
      dataOf = `${folder}-data`;
      const turned = (labels: Int32Array) => labels.map((label) => (label + 1) % data.classes);
      writeData(dataOf, {
        ...data,
        train: { ...data.train, labels: turned(data.train.labels) },
        test: { ...data.test, labels: turned(data.test.labels) },
      });
    }
    mkdirSync(dirname(folder), { recursive: true });
    const short =
      kind === "hardly trained"
        ? { "train.epochs": 1, "data.trainLimit": 128, "train.optimizer.learningRate": base.learningRate / 4 }
        : {};
    await trainRun(
      shop,
      {
        ...still,
        ...base.model(dirname(folder), seed),
        ...base.optimizer,
        "data.folder": dataOf,
        "train.epochs": base.float.epochs,
        "train.batchSize": 32,
        "train.optimizer.learningRate": base.float.learningRate,
        seed,
        ...short,
      },
      folder,
      false,
    );
  }
  const { summary } = await readRunRecord(runPaths(folder));
  return { folder, accuracy: summary?.accuracy ?? 0 };
}

/** A copy of a run with other weights in its checkpoints. */
async function withWeights(
  from: string,
  to: string,
  change: NonNullable<Planted["weights"]>,
  plan: Plan,
): Promise<string> {
  rmSync(to, { recursive: true, force: true });
  cpSync(from, to, { recursive: true });
  for (const name of ["last.safetensors", "best.safetensors"]) {
    const file = join(runPaths(to).checkpoints, name);
    const checkpoint = await readCheckpoint(file);
    const state: ReadonlyMap<string, Tensor> = change(checkpoint.state, randomStream(plan.seed, plan.id, "weights"));
    await writeCheckpoint(file, { ...checkpoint, state });
  }
  return to;
}

/** Settings with the changes of a remedy: a key that changes takes the keys under it away. */
export function changedSettings(settings: Settings, changes: Settings): Settings {
  const changed = Object.keys(changes);
  const kept = Object.entries(settings).filter(([key]) => !changed.some((other) => key.startsWith(`${other}.`)));
  return { ...Object.fromEntries(kept), ...changes };
}

/** The settings of a healthy run. */
function healthySettings(plan: Plan, data: string, from: string): Settings {
  return {
    ...still,
    ...plan.base.optimizer,
    ...plan.settings,
    from,
    "data.folder": data,
    "quantization.preset": plan.preset,
    "quantization.weightBits": plan.weightBits,
    "quantization.activationBits": plan.activationBits,
    "train.epochs": plan.epochs,
    "train.batchSize": plan.batchSize,
    "train.optimizer.learningRate": plan.learningRate,
    seed: plan.seed,
  };
}

/** Accuracies of runs without a fault, which several faults are compared with. */
const references = new Map<string, Promise<number>>();

function reference(shop: Workshop, settings: Settings, folder: string): Promise<number> {
  const key = JSON.stringify(settings);
  const known = references.get(key) ?? trainRun(shop, settings, folder, false).then(({ accuracy }) => accuracy);
  references.set(key, known);
  return known;
}

/** What an outcome says of its plan. */
export function describePlan(plan: Plan): Pick<Outcome, "id" | "base" | "family" | "preset" | "bits" | "kind"> {
  return {
    id: plan.id,
    base: plan.base.name,
    family: plan.base.family,
    preset: plan.preset,
    bits: `W${plan.weightBits}A${plan.activationBits}`,
    kind: plan.fault?.name ?? null,
  };
}

/**
 * Trains a plan, its reference, and the run with the first remedy.
 *
 * @param options.remedy Whether to try the first remedy of a run with a fault.
 */
export async function runPlan(shop: Workshop, plan: Plan, options: { readonly remedy: boolean }): Promise<Outcome> {
  const begin = performance.now();
  const folder = join(shop.folder, "runs", plan.id.replaceAll("/", "-"));
  mkdirSync(folder, { recursive: true });
  const { folder: dataOf, data } = await dataFolder(shop, plan);
  const float = await floatRun(shop, plan, "float");
  const model = plan.base.model(dirname(float.folder), plan.seed);
  const healthy = { ...model, ...healthySettings(plan, dataOf, float.folder) };
  const situation: Situation = { ...plan, ...(await structureOf(float.folder)) };
  const base = { ...describePlan(plan), float: float.accuracy };
  let outcome: Omit<Outcome, "seconds">;
  if (plan.fault === undefined) {
    const run = join(folder, "run");
    const { accuracy, diverged, findings } = await trainRun(shop, healthy, run, true);
    const told = await diagnosed(shop, run, diverged ? findings : undefined, inputFile(dirname(shop.folder), plan.id));
    outcome = { ...base, severity: 0, reference: accuracy, accuracy, diverged, ...told, remedied: null };
  } else {
    outcome = await faulty(plan.severity);
  }
  if (shop.keep !== true) rmSync(folder, { recursive: true, force: true });
  return { ...outcome, seconds: Number(((performance.now() - begin) / 1000).toFixed(1)) };

  async function faulty(severity: number): Promise<Omit<Outcome, "seconds">> {
    const random = randomStream(plan.seed, plan.id, "fault", severity);
    const planted = plan.fault?.plant(situation, random, severity) ?? {};
    const model = planted.model?.(folder, plan.seed) ?? {};
    const settings = {
      ...healthy,
      ...model,
      ...planted.settings,
      ...(await startOf(planted)),
      ...(await teacherOf(planted)),
    };
    const without = { ...healthy, ...planted.reference };
    const spoiled = planted.data === undefined ? settings : { ...settings, "data.folder": spoilData(planted.data) };
    const run = join(folder, "run");
    const [expected, result] = [
      await reference(shop, without, join(folder, "reference")),
      await trainRun(shop, spoiled, run, true),
    ];
    const isHarmless = !result.diverged && expected - result.accuracy < 0.03;
    if (isHarmless && severity < strongest) return faulty(severity + 1);
    const told = await diagnosed(
      shop,
      run,
      result.diverged ? result.findings : undefined,
      inputFile(dirname(shop.folder), plan.id),
    );
    const changes = told.findings[0]?.remedy?.changes ?? {};
    const isTried = options.remedy && !isHarmless && Object.keys(changes).length > 0;
    const remedied = isTried
      ? (await trainRun(shop, changedSettings(spoiled, changes), join(folder, "remedied"), false)).accuracy
      : null;
    const { accuracy, diverged } = result;
    return { ...base, severity, reference: expected, accuracy, diverged, ...told, remedied };
  }

  async function startOf({ start, weights }: Planted): Promise<Settings> {
    if (start === "random") return { from: null };
    if (start === "hardly trained") return { from: (await floatRun(shop, plan, "hardly trained")).folder };
    if (weights === undefined) return {};
    return { from: await withWeights(float.folder, join(folder, "start"), weights, plan) };
  }

  async function teacherOf({ teacher }: Planted): Promise<Settings> {
    if (teacher === undefined) return {};
    return { "train.distillation.teacher": (await floatRun(shop, plan, teacher)).folder };
  }

  function spoilData(change: NonNullable<Planted["data"]>): string {
    const spoiled = join(folder, "data");
    writeData(spoiled, change(data, randomStream(plan.seed, plan.id, "data")));
    return spoiled;
  }
}

/** What `subbyte diagnose RUN` finds, and its check; of a run that diverged, what was found until then. */
async function diagnosed(
  { engine, verify }: Workshop,
  run: string,
  found: (() => DiagnosisInput) | undefined,
  file: string,
): Promise<Pick<Outcome, "findings" | "verified">> {
  const told = (input: DiagnosisInput) => {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, gzipSync(serialize(stored(input))));
    return { findings: toldBy(input) };
  };
  if (found !== undefined) return { ...told(found()), ...(verify === undefined ? {} : { verified: null }) };
  const diagnosis = await diagnoseRun(run, { engine });
  return { ...told(diagnosis.input), ...(verify === undefined ? {} : { verified: await verify(diagnosis) }) };
}

/** The input of a diagnosis as it is kept: without the teacher's network. */
function stored(input: DiagnosisInput): DiagnosisInput {
  const { recipe } = input.facts;
  const { distillation } = recipe ?? {};
  if (recipe === undefined || distillation === undefined) return input;
  const teacher = {
    name: "",
    graph: { ...distillation.teacher.graph, nodes: [], inputs: [], outputs: [] },
    parameters: [],
  };
  return { ...input, facts: { ...input.facts, recipe: { ...recipe, distillation: { ...distillation, teacher } } } };
}

/** The input of the diagnosis of a run that was made before. */
export function keptInput(folder: string, id: string): DiagnosisInput | undefined {
  const file = inputFile(folder, id);
  if (!existsSync(file)) return undefined;
  const kept: DiagnosisInput = deserialize(gunzipSync(readFileSync(file)));
  // What an earlier version kept has no trained parameters but scales.
  const records = kept.records.map((record) => ({
    ...record,
    sites: record.sites.map((site) => ({ ...site, learned: site.learned ?? [] })),
  }));
  return { ...kept, records };
}

function inputFile(folder: string, id: string): string {
  return join(folder, "inputs", `${id.replaceAll("/", "-")}.bin`);
}

/** The findings of an input, as an outcome has them. */
export function toldBy(input: DiagnosisInput): Outcome["findings"] {
  return diagnose(input).map(({ cause, confidence, title, layers, remedy }) => ({
    cause,
    confidence,
    title,
    layers,
    remedy,
  }));
}
