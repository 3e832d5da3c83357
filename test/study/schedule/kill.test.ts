/**
 * Studies that are killed. SUBBYTE_KILLS sets how often (default 2): twenty take minutes.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import Database from "libsql";
import { beforeAll, describe, expect, it } from "vitest";
import { randomStream } from "../../../src/base/random.ts";
import { keepDiagnosis } from "../../../src/diagnose/keep-findings.ts";
import { studyToYaml } from "../../../src/study/plan/config.ts";
import { readStudy } from "../../../src/study/result/read-study.ts";
import { runStudy } from "../../../src/study/run-study.ts";
import { type Launch, launchWorker } from "../../../src/study/schedule/launch.ts";
import { repositoryRoot } from "../../support/repository.ts";
import { copyStudy, temporaryFolder, tinyStudy } from "../support.ts";

const kills = Number(process.env.SUBBYTE_KILLS ?? 2);
const config = tinyStudy();

/** Everything that training left behind and that must not depend on interruptions, by path. */
function numbersOf(folder: string): Map<string, string> {
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((path) =>
    /(metrics\.jsonl|\.safetensors|result\.json|config\.yaml)$/.test(path),
  );
  return new Map(
    files.sort().map((path) => [
      path,
      createHash("sha256")
        .update(readFileSync(join(folder, path)))
        .digest("hex"),
    ]),
  );
}

let uninterrupted = "";
beforeAll(async () => {
  uninterrupted = join(mkdtempSync(join(tmpdir(), "subbyte-study-")), "study");
  await runStudy({ folder: uninterrupted, config });
  return () => rmSync(join(uninterrupted, ".."), { recursive: true, force: true });
}, 60_000);

/** Starts the study in a process and kills that after a while, its workers being left to notice. True: it was done by then. */
async function runFor(folder: string, milliseconds: number): Promise<boolean> {
  const script = join(repositoryRoot, "test", "study", "study-process.ts");
  const child = spawn(process.execPath, ["--import", "tsx", script, folder, studyToYaml(config)], {
    cwd: repositoryRoot,
    stdio: "ignore",
  });
  const ended = new Promise<boolean>((settle) => child.on("close", (code) => settle(code === 0)));
  const timer = setTimeout(() => child.kill("SIGKILL"), milliseconds);
  const isDone = await ended;
  clearTimeout(timer);
  return isDone;
}

/** What a process that was killed while it wrote would leave. */
function temporariesOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((path) => path.endsWith(".part"));
}

const worker = join(repositoryRoot, "src", "study", "schedule", "worker.ts");

/** Processes of this machine that run a trial of a folder. */
function workersOf(folder: string): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const words = readFileSync(`/proc/${pid}/cmdline`, "utf8");
        return words.includes(worker) && readFileSync(`/proc/${pid}/environ`, "utf8").includes(folder);
      } catch {
        return false;
      }
    });
}

describe("a study", () => {
  it("repeats nothing when it is started again", async () => {
    const before = numbersOf(uninterrupted);
    const launch: Launch = () => {
      throw new Error("nothing was left to train");
    };
    const { result } = await runStudy({ folder: uninterrupted, launch });
    expect(result.counts.finished).toBe(2);
    expect(numbersOf(uninterrupted)).toEqual(before);
  });

  it("ends with every number of an uninterrupted one, after SIGKILL at random moments", async () => {
    const random = randomStream(7, "kills");
    const expected = numbersOf(uninterrupted);
    let folder = join(temporaryFolder(), "study");
    for (let killed = 0; killed < kills; ) {
      if (!(await runFor(folder, 500 + 4500 * random.uniform()))) {
        killed++;
        continue;
      }
      expect(numbersOf(folder)).toEqual(expected);
      folder = join(temporaryFolder(), "study");
    }
    await runStudy({ folder, config });
    expect(numbersOf(folder)).toEqual(expected);
    expect(temporariesOf(folder)).toEqual([]);
  }, 600_000);

  it("ends with the same numbers when its trials are killed", async () => {
    const folder = join(temporaryFolder(), "study");
    let killed = 0;
    const launch: Launch = (at, job, onEvent) => {
      const worker = launchWorker(at, job, (event) => {
        onEvent(event);
        // Each trial twice: in its first epoch, and when its first checkpoint is written.
        if (killed < 4 && (event.kind === "step" || event.kind === "epoch")) {
          killed++;
          worker.kill();
        }
      });
      return worker;
    };
    const { result } = await runStudy({ folder, config: tinyStudy({ retries: 5 }), launch });
    expect(result.counts.failed).toBe(0);
    expect(killed).toBe(4);
    const numbers = numbersOf(folder);
    expect(numbers).toEqual(numbersOf(uninterrupted));
    expect(temporariesOf(folder)).toEqual([]);
  }, 120_000);

  it.skipIf(process.platform !== "linux")(
    "leaves no worker behind when it is killed",
    async () => {
      const folder = join(temporaryFolder(), "orphans");
      process.env.SUBBYTE_TEST_MARK = folder;
      try {
        let isOver = false;
        const run = runFor(folder, 6000).finally(() => {
          isOver = true;
        });
        let seen = 0;
        while (!isOver) {
          seen = Math.max(seen, workersOf(folder).length);
          await sleep(50);
        }
        await run;
        expect(seen).toBeGreaterThan(0);
        for (let i = 0; i < 200 && workersOf(folder).length > 0; i++) await sleep(50);
        expect(workersOf(folder)).toEqual([]);
      } finally {
        delete process.env.SUBBYTE_TEST_MARK;
      }
    },
    60_000,
  );

  it("refuses another configuration, another version, and a second process", async () => {
    const folder = copyStudy(uninterrupted);
    await expect(runStudy({ folder, config: tinyStudy({ seeds: [1] }) })).rejects.toMatchObject({
      code: "CONFIG",
      message: "the folder holds a study with another seeds",
    });
    writeFileSync(join(folder, "study.lock"), `${process.ppid}\n`);
    await expect(runStudy({ folder })).rejects.toMatchObject({
      message: `process ${process.ppid} is running this study`,
    });
    rmSync(join(folder, "study.lock"));
    const yaml = readFileSync(join(folder, "study.yaml"), "utf8");
    writeFileSync(join(folder, "study.yaml"), yaml.replace("format: 1", "format: 99"));
    await expect(runStudy({ folder })).rejects.toMatchObject({
      code: "CONFIG",
      message: expect.stringContaining("format 99"),
    });
  });
});

describe("the index", () => {
  const rows = (file: string, sql: string): unknown[] => {
    const database = new Database(file);
    try {
      return database.prepare(sql).all();
    } finally {
      database.close();
    }
  };

  it("is made again from the files when it is missing, damaged or of another version", async () => {
    const folder = copyStudy(uninterrupted);
    const file = join(folder, "study.db");
    const sql = "SELECT id, status, accuracy, weight_levels FROM trials ORDER BY id";
    const before = rows(file, sql);
    expect(before).toHaveLength(2);
    const { result } = await readStudy(folder);
    rmSync(file);
    expect((await readStudy(folder)).result).toEqual(result);
    expect(rows(file, sql)).toEqual(before);
    writeFileSync(
      file,
      "this is no database, but it is long enough to be taken for one by its length alone".repeat(20),
    );
    expect((await readStudy(folder)).result).toEqual(result);
    expect(rows(file, sql)).toEqual(before);
    const database = new Database(file);
    database.exec("PRAGMA user_version = 99");
    database.close();
    expect((await readStudy(folder)).result).toEqual(result);
    expect(rows(file, sql)).toEqual(before);
    expect(rows(file, "SELECT count(*) AS n FROM epochs")).toEqual([{ n: 4 }]);
  });

  it("tells damaged files of one trial on that trial", async () => {
    const folder = copyStudy(uninterrupted);
    const [first] = (await readStudy(folder)).records;
    writeFileSync(join(folder, "trials", first?.id ?? "", "metrics.jsonl"), "{not json}\n");
    const { result } = await readStudy(folder);
    expect(result.counts).toMatchObject({ finished: 1, failed: 1 });
    expect(result.trials[0]?.reason).toContain("metrics.jsonl: the file is not what the run wrote");
  });

  it("follows the files", async () => {
    const folder = copyStudy(uninterrupted);
    const { records } = await readStudy(folder);
    const [first] = records;
    if (first === undefined) throw new Error("no trial");
    const findings = [{ cause: "x", title: "X.", layers: [], evidence: [], confidence: 1, remedy: null }];
    await keepDiagnosis({ folder: join(folder, "trials", first.id), step: 8, findings });
    const again = await readStudy(folder);
    expect(again.records[0]?.findings).toEqual(findings);
    expect(again.records[1]?.findings).toEqual(records[1]?.findings);
  });
});
