/**
 * Faults drawn at random, trained and diagnosed: does the true cause stand first, and is a healthy run left alone?
 *
 *     npx tsx bench/diagnosis/battery.ts --seed N --count 600 --out FOLDER [--parallel 2] [--remedies] [--verify]   train; resumes
 *     npx tsx bench/diagnosis/battery.ts --out FOLDER --report                                           the tables
 *     npx tsx bench/diagnosis/battery.ts --out FOLDER --rediagnose                                       with the present rules
 *     npx tsx bench/diagnosis/battery.ts --out FOLDER --early                                 what is said while they train
 *     npx tsx bench/diagnosis/battery.ts --out FOLDER --misses 12                      the hardest misses, with the present rules
 *     npx tsx bench/diagnosis/battery.ts --seed N --only "learning rate" --count 40 --out FOLDER         one kind
 *
 * With --report or --rediagnose, --diagram FILE.svg draws the reliability diagram. These, --misses and --early take several folders
 * (--out A --out B, or --out A,B). Half of the runs have a fault. Each run is a line of FOLDER/outcomes-*.jsonl; the same command skips those that are there.
 */
import { spawn } from "node:child_process";
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { diagnose } from "../../src/diagnose/diagnose.ts";
import { nodeEngine } from "../../src/runtime/node/node.ts";
import { bases } from "../../test/diagnose/battery/networks.ts";
import { drawPlan, type Plan } from "../../test/diagnose/battery/plan.ts";
import { describePlan, keptInput, type Outcome, runPlan, toldBy } from "../../test/diagnose/battery/run.ts";
import { diagramOf, printReport } from "./battery-report.ts";
import { printEarly } from "./early-report.ts";
import { printMisses } from "./misses.ts";
import { verifiedAgain, verifiedOf } from "./verified.ts";

const { values: flags } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    count: { type: "string", default: "600" },
    out: { type: "string", multiple: true, default: ["battery"] },
    parallel: { type: "string", default: "2" },
    only: { type: "string" },
    base: { type: "string" },
    number: { type: "string" },
    worker: { type: "string" },
    every: { type: "string" },
    remedies: { type: "boolean" },
    verify: { type: "boolean" },
    keep: { type: "boolean" },
    report: { type: "boolean" },
    all: { type: "boolean" },
    rediagnose: { type: "boolean" },
    early: { type: "boolean" },
    diagram: { type: "string" },
    misses: { type: "string" },
  },
});

const folders = flags.out.flatMap((out) => out.split(","));
const [folder = "battery"] = folders;

/** An outcome with the folder of its battery. */
type KeptOutcome = Outcome & { readonly folder: string };

function outcomesIn(folder: string): KeptOutcome[] {
  if (!existsSync(folder)) return [];
  const all = readdirSync(folder)
    .filter((name) => name.startsWith("outcomes-"))
    .flatMap((name) => readFileSync(join(folder, name), "utf8").split("\n").filter(Boolean))
    .map((line): KeptOutcome => ({ ...JSON.parse(line), folder }));
  // A run that was trained again for its check is there twice.
  const checked = new Set(all.flatMap(({ id, verified }) => (verified === undefined ? [] : id)));
  return all.filter(({ id, verified }) => verified !== undefined || !checked.has(id));
}

function inputOf({ folder, id }: KeptOutcome) {
  return keptInput(folder, id);
}

function plans(): Plan[] {
  const { only, base } = flags;
  const kinds = only === undefined ? undefined : (kind: { readonly name: string }) => kind.name.includes(only);
  const numbers =
    flags.number === undefined ? Array.from({ length: Number(flags.count) }, (_, i) => i) : [Number(flags.number)];
  return numbers
    .filter((number) => only === undefined || number % 2 === 1)
    .map((number) => drawPlan(Number(flags.seed), number, kinds))
    .filter((plan) => base === undefined || plan.base.name === base);
}

/** Whether a run needs no training: one of a battery without the check is trained again for it. */
function isDone({ verified, error }: Outcome): boolean {
  return flags.verify !== true || verified !== undefined || error !== undefined;
}

async function work(worker: number, workers: number): Promise<void> {
  const done = new Set(
    outcomesIn(folder)
      .filter(isDone)
      .map(({ id }) => id),
  );
  // A base belongs to one worker, which trains its float network once.
  const own = plans().filter((plan) => bases.indexOf(plan.base) % workers === worker && !done.has(plan.id));
  const shop = {
    folder: join(folder, `files-${worker}`),
    engine: nodeEngine({ threads: 1 }),
    ...(flags.every === undefined ? {} : { every: Number(flags.every) }),
    ...(flags.keep === true ? { keep: true } : {}),
    ...(flags.verify === true ? { verify: verifiedOf } : {}),
  };
  mkdirSync(shop.folder, { recursive: true });
  for (const [index, plan] of own.entries()) {
    const outcome = await runPlan(shop, plan, { remedy: flags.remedies === true }).catch((error: unknown) => ({
      ...failed(plan),
      error: error instanceof Error ? (error.stack ?? error.message) : String(error),
    }));
    appendFileSync(join(folder, `outcomes-${worker}.jsonl`), `${JSON.stringify(outcome)}\n`);
    const { id, base, preset, bits, kind, float, reference, accuracy, findings } = outcome;
    const points = [float, reference, accuracy].map((value) => (100 * value).toFixed(1)).join(" ");
    const told = findings.slice(0, 3).map(({ cause, confidence }) => `${cause} ${confidence.toFixed(2)}`);
    console.log(
      `${index + 1}/${own.length} ${id} ${base} ${preset} ${bits} [${kind ?? "healthy"}] ${points} → ${told.join(", ") || "none"}${"error" in outcome ? ` ERROR ${outcome.error}` : ""} (${outcome.seconds} s)`,
    );
  }
}

function failed(plan: Plan): Outcome {
  return {
    ...describePlan(plan),
    severity: plan.severity,
    float: 0,
    reference: 0,
    accuracy: 0,
    diverged: false,
    findings: [],
    remedied: null,
    seconds: 0,
  };
}

/** The outcomes with what the present rules say of the measurements that were kept. */
function diagnosedAgain(outcomes: readonly KeptOutcome[]): KeptOutcome[] {
  return outcomes.map((outcome) => {
    const input = inputOf(outcome);
    if (input === undefined) return outcome;
    const verified =
      outcome.verified === undefined ? {} : { verified: verifiedAgain(diagnose(input), outcome.verified) };
    return { ...outcome, findings: toldBy(input), ...verified };
  });
}

function report(outcomes: readonly Outcome[]): void {
  printReport(outcomes, { all: flags.all === true });
  if (flags.diagram !== undefined) writeFileSync(flags.diagram, diagramOf(outcomes));
}

/** Prints what the flags ask for of runs that were made before. */
function printKept(): void {
  const kept = folders.flatMap(outcomesIn);
  if (flags.rediagnose === true) report(diagnosedAgain(kept));
  else if (flags.report === true) report(kept);
  if (flags.early === true) printEarly(kept, inputOf);
  if (flags.misses !== undefined) printMisses(diagnosedAgain(kept), Number(flags.misses), inputOf);
}

const reads = [flags.report, flags.rediagnose, flags.early, flags.misses];
if (reads.some((flag) => flag !== undefined)) printKept();
else if (flags.worker !== undefined) await work(Number(flags.worker), Number(flags.parallel));
else {
  mkdirSync(folder, { recursive: true });
  const workers = Number(flags.parallel);
  const script = fileURLToPath(import.meta.url);
  const children = Array.from({ length: workers }, (_, i) =>
    spawn(process.execPath, [...process.execArgv, script, ...process.argv.slice(2), "--worker", `${i}`], {
      stdio: "inherit",
    }),
  );
  const codes = await Promise.all(
    children.map((child) => new Promise<number>((resolve) => child.on("exit", (code) => resolve(code ?? 1)))),
  );
  if (codes.some((code) => code !== 0)) process.exitCode = 1;
  else report(outcomesIn(folder));
}
