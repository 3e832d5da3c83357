/** Who may write into a run's folder, and what it is whole by. */
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { describe, expect, it } from "vitest";
import { keepDiagnosis, watchAndKeep } from "../../src/diagnose/keep-findings.ts";
import { ConfigError, DamagedFileError } from "../../src/errors.ts";
import { runPaths } from "../../src/runs/folder.ts";
import { readRunRecord } from "../../src/runs/record.ts";
import { resumeRun, startRun } from "../../src/train/run.ts";
import { smallestConfig, temporaryFolder } from "../support/training/tiny-run.ts";

const config = smallestConfig();

async function finished() {
  const parent = await temporaryFolder();
  const watch = { watch: (run: Parameters<typeof watchAndKeep>[0]) => watchAndKeep(run).watcher };
  const { paths } = await startRun({ config, parent, name: "run" }, watch);
  return { parent, paths };
}

describe("a run's folder", () => {
  it("is locked while it is written, and not after", async () => {
    const parent = await temporaryFolder();
    const refused: unknown[] = [];
    // Long enough that the others come while it is written, whatever else the machine does.
    const long = { ...config, train: { ...config.train, epochs: 50 } };
    const { paths } = await startRun(
      { config: long, parent, name: "run" },
      {
        onStart: ({ paths: own }) => {
          expect(existsSync(own.lock)).toBe(true);
          refused.push(
            resumeRun(own.folder).catch((error: unknown) => error),
            startRun({ config: long, parent, name: "run", existOk: true }).catch((error: unknown) => error),
          );
        },
      },
    );
    for (const error of await Promise.all(refused)) {
      expect(error).toBeInstanceOf(ConfigError);
      expect(error).toMatchObject({ message: "this process is writing this run", where: paths.folder });
    }
    expect(existsSync(paths.lock)).toBe(false);
    expect((await readFile(paths.metrics, "utf8")).trim().split("\n")).toHaveLength(5 * 50);
  });

  it("of another kind is not written into: every file stays", async () => {
    const parent = await temporaryFolder();
    await mkdir(join(parent, "mine"));
    for (const name of ["config.yaml", "metrics.jsonl", "notes.txt"]) {
      await writeFile(join(parent, "mine", name), "precious");
      const start = startRun({ config, parent, name: "mine", existOk: true });
      await expect(start).rejects.toThrow(`the folder holds ${name}, but no run`);
      expect(await readFile(join(parent, "mine", name), "utf8")).toBe("precious");
      await rm(join(parent, "mine", name));
    }
    expect(await readdir(join(parent, "mine"))).toEqual([]);
  });

  it("of a study's trial that was killed at its start is one", async () => {
    const parent = await temporaryFolder();
    await mkdir(join(parent, "trial"));
    await writeFile(join(parent, "trial", "worker.json"), "{}");
    await writeFile(join(parent, "trial", ".env.json.99999999.0b1c2d3e-0000-4000-8000-0123456789ab.part"), "{");
    const { paths } = await startRun({ config, parent, name: "trial", existOk: true });
    expect((await readdir(paths.folder)).filter((name) => name.endsWith(".part"))).toEqual([]);
  });
});

describe("the checksums of an ended run", () => {
  it("name each file that is changed, emptied or deleted", async () => {
    const { paths } = await finished();
    const whole = await readRunRecord(paths);
    expect(whole.findings.length + whole.epochs.length).toBeGreaterThan(0);
    for (const file of [paths.metrics, paths.summary, paths.findings, paths.diagnosis]) {
      const text = await readFile(file, "utf8");
      for (const wrong of [text.replace(/\d(?=\D*$)/, (digit) => String((Number(digit) + 1) % 10)), "", undefined]) {
        if (wrong === undefined) await rm(file);
        else await writeFile(file, wrong);
        // Without a summary the run has not ended; without measurements it was not watched.
        if (wrong === undefined && (file === paths.summary || file === paths.diagnosis)) continue;
        const error = await readRunRecord(paths).catch((thrown: unknown) => thrown);
        expect(error, `${basename(file)} ${wrong?.length}`).toBeInstanceOf(DamagedFileError);
        expect(error).toMatchObject({ where: file });
      }
      await writeFile(file, text);
    }
    expect(await readRunRecord(paths)).toEqual(whole);
  });

  it("follow the findings that a later diagnosis writes", async () => {
    const { paths } = await finished();
    const sums = await readFile(paths.sums, "utf8");
    await keepDiagnosis({ folder: paths.folder, step: 4, findings: [] });
    expect(await readFile(paths.sums, "utf8")).not.toBe(sums);
    expect((await readRunRecord(paths)).findings).toEqual([]);
  });

  it("are written again by resuming, which repairs what can be made again", async () => {
    const { paths } = await finished();
    const whole = await readRunRecord(paths);
    await rm(paths.findings);
    await writeFile(
      paths.summary,
      (await readFile(paths.summary, "utf8")).replace(/"accuracy": [\d.]+/, '"accuracy": 0.99'),
    );
    await resumeRun(paths.folder, { watch: (run) => watchAndKeep(run).watcher });
    const { summary, ...rest } = await readRunRecord(runPaths(paths.folder));
    expect(rest).toEqual({ epochs: whole.epochs, findings: whole.findings, ablation: null });
    expect(summary?.accuracy).toBe(whole.summary?.accuracy);
  });
});
