/** Trials that really fail, as processes: on a full disk and out of memory. The others continue, and the next start repairs it. */
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { runStudy } from "../../../src/study/run-study.ts";
import { type Launch, launchWorker } from "../../../src/study/schedule/launch.ts";
import { temporaryFolder, tinyStudy } from "../support.ts";

const config = tinyStudy({ float: null, retries: 1 });
const spoilt = "lsq_W4A4_seed0";

/** Refuses to write worker.json, as a full disk does. */
const fullDisk = `
  import promises from "node:fs/promises";
  import { syncBuiltinESMExports } from "node:module";
  const { rename } = promises;
  promises.rename = async (from, to) => {
    if (/trials.*worker[.]json$/.test(String(to))) throw Object.assign(new Error("ENOSPC"), { code: "ENOSPC" });
    return rename(from, to);
  };
  syncBuiltinESMExports();`;

/** Starts a worker with options of Node's. */
function launchWith(options: string, ...[at, job, onEvent]: Parameters<Launch>): ReturnType<Launch> {
  const before = process.env.NODE_OPTIONS;
  process.env.NODE_OPTIONS = options;
  try {
    return launchWorker(at, job, onEvent);
  } finally {
    if (before === undefined) delete process.env.NODE_OPTIONS;
    else process.env.NODE_OPTIONS = before;
  }
}

describe.skipIf(process.platform !== "linux")("a study", () => {
  it("tells of a trial for which the disk is full, and of no defect", async () => {
    const folder = join(temporaryFolder(), "study");
    let attempts = 0;
    const launch: Launch = (at, job, onEvent) => {
      if (job.name !== spoilt) return launchWorker(at, job, onEvent);
      attempts++;
      return launchWith(`--import data:text/javascript,${encodeURIComponent(fullDisk)}`, at, job, onEvent);
    };
    const { result } = await runStudy({ folder, config, launch });
    expect(result.trials.map(({ id, status, reason }) => [id, status, reason])).toEqual([
      [spoilt, "failed", expect.stringContaining("worker.json: cannot write: the disk is full (ENOSPC)")],
      ["lsq_W2A4_seed0", "finished", null],
    ]);
    expect(attempts).toBe(1);
    expect((await runStudy({ folder })).result.counts).toMatchObject({ finished: 2, failed: 0 });
  }, 60_000);

  it("reports a trial that runs out of memory, after restarting it", async () => {
    const folder = join(temporaryFolder(), "study");
    let attempts = 0;
    const launch: Launch = (at, job, onEvent) => {
      if (job.name !== spoilt) return launchWorker(at, job, onEvent);
      attempts++;
      return launchWith("--max-old-space-size=14", at, job, onEvent);
    };
    const { result } = await runStudy({ folder, config, launch });
    expect(result.counts).toMatchObject({ finished: 1, failed: 1 });
    const [failed] = result.trials;
    expect(failed?.reason).toBe(
      "it ran out of memory; run fewer trials at a time (--parallel) or smaller batches (2 attempts)",
    );
    expect(attempts).toBe(2);
    expect((await runStudy({ folder })).result.counts).toMatchObject({ finished: 2, failed: 0 });
  }, 60_000);
});
