/** ONNX Runtime keeps and sends nothing: the home folder stays empty, and nobody is looked up. */
import { type SpawnSyncReturns, spawn, spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";
import { repositoryRoot } from "../../support/repository.ts";
import { temporaryFolder } from "../../support/training/tiny-run.ts";

const source = (path: string) => JSON.stringify(pathToFileURL(join(repositoryRoot, "src", path)).href);
const onnxRuntime = JSON.stringify(
  pathToFileURL(join(repositoryRoot, "node_modules/onnxruntime-node/dist/index.js")).href,
);
const withTypeScript = ["--import", import.meta.resolve("tsx")];

/** Opens a session through subbyte. */
const openSession = `
const { nodeEngine } = await import(${source("runtime/node/node.ts")});
await nodeEngine({ threads: 1 }).target();
`;
/** Opens one in a worker thread, whose main thread knows nothing of subbyte. */
const openInWorker = (isMainBusy: boolean) => `
import { Worker } from "node:worker_threads";
const flag = new Int32Array(new SharedArrayBuffer(4));
const code = \`import(${JSON.stringify(import.meta.resolve("tsx/esm/api"))})
  .then(async ({ register }) => { register(); ${openSession}
    const flag = require("node:worker_threads").workerData; Atomics.store(flag, 0, 1); Atomics.notify(flag, 0); })\`;
new Worker(code, { eval: true, workerData: flag, execArgv: [] });
${isMainBusy ? 'if (Atomics.wait(flag, 0, 0, 30000) === "timed-out") process.exit(3);' : ""}
`;

/** The variables by which ONNX Runtime knows a build server, where it sends nothing: with one of them nothing is tested. */
const buildServer = ["CI", "TF_BUILD", "GITHUB_ACTIONS", "GITLAB_CI", "CIRCLECI", "TRAVIS", "JENKINS_URL"];

/** The environment of somebody at their own desk whose home folder is empty. */
function environment(home: string, more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const foreign = new Set([...buildServer, "ORT_DISABLE_TELEMETRY"]);
  const isForeign = (name: string) => name.startsWith("XDG_") || foreign.has(name);
  const kept = Object.entries(process.env).filter(([name]) => !isForeign(name));
  return { ...Object.fromEntries(kept), HOME: home, USERPROFILE: home, LOCALAPPDATA: home, ...more };
}

async function emptyHome(): Promise<string> {
  const home = join(await temporaryFolder(), "home");
  mkdirSync(home);
  return home;
}

function run(home: string, code: string, more: NodeJS.ProcessEnv = {}): SpawnSyncReturns<string> {
  const args = [...withTypeScript, "--input-type=module", "-e", code];
  return spawnSync(process.execPath, args, { encoding: "utf8", env: environment(home, more) });
}

const leftIn = (home: string) => readdirSync(home, { recursive: true }).map(String);

describe("the home folder of somebody who uses subbyte", () => {
  it("stays empty when a command opens a session", async () => {
    const home = await emptyHome();
    const runs = await temporaryFolder();
    const sizes = ["--set", "data.trainLimit=64", "--set", "data.testLimit=32", "--set", "model.width=4"];
    const flags = ["--model", "resnet8", "--epochs", "1", "--batch", "32", "--threads", "1", "-o", runs, "-q"];
    const main = join(repositoryRoot, "src/cli/main.ts");
    const command = [...withTypeScript, main, "train", ...flags, ...sizes, "--name", "one"];
    const { status, stderr } = spawnSync(process.execPath, command, { encoding: "utf8", env: environment(home) });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(leftIn(home)).toEqual([]);
  });

  it("stays empty when a program imports it", async () => {
    const home = await emptyHome();
    expect(run(home, openSession)).toMatchObject({ status: 0, stderr: "" });
    expect(leftIn(home)).toEqual([]);
  });

  for (const isMainBusy of [false, true]) {
    it(`stays empty when only a worker thread imports it, the main thread ${isMainBusy ? "waits" : "is idle"}`, async () => {
      const home = await emptyHome();
      expect(run(home, openInWorker(isMainBusy))).toMatchObject({ status: 0, stderr: "" });
      expect(leftIn(home)).toEqual([]);
    });
  }

  it("passes the variable on to child processes", async () => {
    const code = `${openSession}
      const { execFileSync } = await import("node:child_process");
      process.stdout.write(execFileSync(process.execPath, ["-p", "process.env.ORT_DISABLE_TELEMETRY"]));`;
    expect(run(await emptyHome(), code).stdout.trim()).toBe("1");
  });

  for (const value of ["0", ""]) {
    it(`is the user's, whose own ORT_DISABLE_TELEMETRY=${JSON.stringify(value)} stays`, async () => {
      const code = `${openSession} console.log(JSON.stringify(process.env.ORT_DISABLE_TELEMETRY));`;
      const { stdout } = run(await emptyHome(), code, { ORT_DISABLE_TELEMETRY: value });
      expect(stdout.trim()).toBe(JSON.stringify(value));
    });
  }
});

/** Whether this machine can watch a process that has no network: Linux, strace, and the right to make a namespace. */
const canWatch = ["strace", "-f", "-e", "trace=network", "-o", "/dev/null", "true"];
const cannotWatch =
  process.platform !== "linux" || spawnSync("unshare", ["-rn", ...canWatch], { stdio: "ignore" }).status !== 0;

/** The sockets to other machines that a program asks for while it lives for 14 seconds; telemetry looks up after 9. */
async function sockets(code: string): Promise<string[]> {
  const home = await emptyHome();
  const log = join(home, "..", "network.log");
  const waiting = `${code}\nawait new Promise((resolve) => setTimeout(resolve, 14_000));`;
  const watched = ["-rn", "strace", "-f", "-e", "trace=network", "-o", log];
  const program = [process.execPath, ...withTypeScript, "--input-type=module", "-e", waiting];
  const child = spawn("unshare", [...watched, ...program], { env: environment(home), stdio: "ignore" });
  const status = await new Promise((resolve) => child.on("close", resolve));
  expect(status).toBe(0);
  return readFileSync(log, "utf8")
    .split("\n")
    .filter((line) => line.includes("AF_INET") || line.includes("nscd"));
}

describe.skipIf(cannotWatch)("the network (needs Linux, strace and unshare -rn)", () => {
  it("is left alone, which ONNX Runtime by itself does not do", async () => {
    const byItself = `const { InferenceSession } = await import(${onnxRuntime});
      await InferenceSession.create(new Uint8Array([8, 1])).catch(() => undefined);`;
    const [withSubbyte, without] = await Promise.all([sockets(openSession), sockets(byItself)]);
    expect(withSubbyte).toEqual([]);
    expect(without).not.toEqual([]);
  });
});
