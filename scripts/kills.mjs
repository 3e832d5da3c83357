/**
 * Kills runs, studies and the processes of trials with SIGKILL at random moments, resumes them, and compares what they leave with
 * what an undisturbed one leaves: metrics, weights and findings to the last byte, no process, lock or temporary file.
 *
 *   npm run build && node scripts/kills.mjs [--kind run|study|child] [--count 100] [--seed 1]
 *
 * Needs Linux (/proc). The moments depend on the seed and on the machine's speed.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const { values: flags } = parseArgs({
  options: {
    kind: { type: "string", default: "run" },
    count: { type: "string", default: "100" },
    seed: { type: "string", default: "1" },
  },
});
const main = process.env.SUBBYTE_MAIN ?? fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
const parent = mkdtempSync(join(tmpdir(), "subbyte-kills-"));
const mark = `kills-${process.pid}`;
const environment = { ...process.env, SUBBYTE_KILLS: mark };

/** Mulberry32. */
let state = Number(flags.seed) >>> 0;
function random() {
  state = (state + 0x6d2b79f5) >>> 0;
  let t = Math.imul(state ^ (state >>> 15), state | 1);
  t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
}

const shared = {
  model: { name: "mlp", width: 8 },
  data: { trainLimit: 160, testLimit: 32 },
  train: { epochs: 2, batchSize: 16, optimizer: { learningRate: 0.05 }, checkpointEverySteps: 1 },
  threads: 1,
};
const runFile = join(parent, "run.yaml");
const studyFile = join(parent, "study.yaml");
writeFileSync(
  runFile,
  JSON.stringify({ ...shared, quantization: { preset: "lsq", weightBits: 4, activationBits: 4 } }),
);
writeFileSync(
  studyFile,
  JSON.stringify({
    ...shared,
    float: { epochs: 1, learningRate: 0.05 },
    weightBits: [4, 2],
    activationBits: [4],
    recipes: ["lsq"],
    retries: 50,
    parallel: 2,
  }),
);

function start(args) {
  const child = spawn(process.execPath, [main, ...args], { cwd: parent, env: environment, stdio: "ignore" });
  return { child, ended: once(child, "exit").then(([code]) => code) };
}

/** Processes with the mark in their environment, except this one. */
function marked() {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, "latin1").split("\0").includes(`SUBBYTE_KILLS=${mark}`);
      } catch {
        return false;
      }
    })
    .map(Number);
}

async function orphans() {
  for (let i = 0; i < 100 && marked().length > 0; i++) await sleep(50);
  return marked();
}

/** What must be the same, by its path; times and process numbers are no part of it. */
function left(folder) {
  const same =
    /(metrics\.jsonl|diagnosis\.jsonl|findings\.json|config\.yaml|result\.json|plan\.json|last\.safetensors|best\.safetensors)$/;
  const names = readdirSync(folder, { recursive: true }).map(String).sort();
  const content = new Map(
    names.filter((name) => same.test(name)).map((name) => [name, readFileSync(join(folder, name)).toString("latin1")]),
  );
  const litter = names.filter((name) => /\.part$|\.lock$|\.tmp$|[\da-f]{8}-[\da-f]{4}-[\da-f]{4}/.test(name));
  return { content, litter };
}

const problems = [];
let isClean = true;

async function compare(folder, whole, what) {
  const now = left(folder);
  const names = new Set([...now.content.keys(), ...whole.content.keys()]);
  const other = [...names].filter((name) => now.content.get(name) !== whole.content.get(name));
  const alive = await orphans();
  if (other.length > 0) problems.push(`${what}: other content of ${other.join(", ")} in ${relative(parent, folder)}`);
  if (now.litter.length > 0) problems.push(`${what}: left ${now.litter.join(", ")}`);
  if (alive.length > 0) problems.push(`${what}: processes ${alive.join(", ")} are left`);
  isClean &&= other.length === 0;
  if (other.length === 0) rmSync(folder, { recursive: true, force: true });
}

const isStudy = flags.kind !== "run";
const parentOf = isStudy ? (name) => ["-o", join(parent, name)] : (name) => ["-o", parent, "--name", name];
const beginning = isStudy
  ? (name) => ["study", studyFile, "-q", "--no-report", ...parentOf(name)]
  : (name) => ["train", "--config", runFile, "-q", "--exist-ok", ...parentOf(name)];
const resuming = isStudy
  ? (folder) => ["study", "--resume", folder, "-q", "--no-report"]
  : (folder) => ["train", "--resume", folder, "-q"];
const mainFile = isStudy ? "study.yaml" : "config.yaml";

const begun = performance.now();
const wholeFolder = join(parent, "whole");
const code = await start(beginning("whole")).ended;
if (code !== 0) throw new Error(`the undisturbed one ended with ${code}`);
const whole = left(wholeFolder);
const duration = performance.now() - begun;

let kills = 0;
let rounds = 0;

/** Waits until something of a size has been logged below a folder, or for a time. */
async function untilLogged(folder, size, limit) {
  const end = performance.now() + limit;
  const logged = () =>
    (existsSync(folder) ? readdirSync(folder, { recursive: true }).map(String) : [])
      .filter((name) => name.endsWith("metrics.jsonl"))
      .reduce((sum, name) => sum + (statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0), 0);
  while (performance.now() < end && logged() < size) await sleep(1);
}

/** Kills the process itself: half of the times at any moment, else while it trains. */
async function killItself({ child, ended }, folder) {
  const wait =
    random() < 0.5 ? sleep(duration * (0.1 + 0.9 * random())) : untilLogged(folder, 1 + 3000 * random(), 2 * duration);
  const end = await Promise.race([ended, wait.then(() => sleep(30 * random())).then(() => "late")]);
  if (end !== "late") return { killed: false, end };
  child.kill("SIGKILL");
  await ended;
  return { killed: true };
}

/** Kills processes of trials at random moments until the study ends. */
async function killChildren({ child, ended }) {
  let isOver = false;
  const end = ended.finally(() => {
    isOver = true;
  });
  while (!isOver) {
    await Promise.race([end, sleep(duration * 0.6 * random())]);
    const [victim] = marked().filter((pid) => pid !== child.pid);
    if (isOver || victim === undefined || random() < 0.3) continue;
    try {
      process.kill(victim, "SIGKILL");
      kills++;
    } catch {
      // It has ended in the meantime.
    }
  }
  return { killed: false, end: await end };
}

while (kills < Number(flags.count)) {
  const name = `r${rounds++}`;
  const folder = join(parent, name);
  const until = Math.min(kills + 1 + Math.floor(3 * random()), Number(flags.count));
  for (;;) {
    const args = existsSync(join(folder, mainFile)) ? resuming(folder) : beginning(name);
    const result = flags.kind === "child" ? await killChildren(start(args)) : await killItself(start(args), folder);
    if (result.killed) kills++;
    if (result.killed && kills < until) continue;
    // The last kill of a round is followed by a start that is left alone.
    if (result.killed)
      result.end = await start(existsSync(join(folder, mainFile)) ? resuming(folder) : beginning(name)).ended;
    if (result.end !== 0) problems.push(`${name}: ended with ${result.end}`);
    break;
  }
  await compare(folder, whole, name);
}
process.stdout.write(
  `${flags.kind}, seed ${flags.seed}: ${kills} kills, ${rounds} finished, ${rounds - new Set(problems.map((text) => text.split(":")[0])).size} identical and clean, ${((performance.now() - begun) / 1000).toFixed(0)} s\n`,
);
for (const problem of problems) process.stdout.write(`  ${problem}\n`);
if (isClean) rmSync(parent, { recursive: true, force: true });
else process.stdout.write(`  kept: ${parent}\n`);
process.exitCode = problems.length === 0 ? 0 : 1;
