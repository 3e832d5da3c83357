/** A finished study whose files are damaged: its result is the same again, or the file is named. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ConfigError, DamagedFileError } from "../../../src/errors.ts";
import { readStudy } from "../../../src/study/result/read-study.ts";
import { runStudy } from "../../../src/study/run-study.ts";
import { copyStudy, temporaryFolder, tinyStudy } from "../support.ts";

let whole = "";
beforeAll(async () => {
  whole = join(mkdtempSync(join(tmpdir(), "subbyte-study-")), "study");
  await runStudy({ folder: whole, config: tinyStudy() });
}, 120_000);
afterAll(() => rmSync(dirname(whole), { recursive: true, force: true }));

const resultOf = (folder: string) => readFileSync(join(folder, "result.json"), "utf8");
const change = (file: string) => {
  const text = readFileSync(file, "utf8");
  writeFileSync(
    file,
    text.replace(/\d(?=\D*$)/, (digit) => String((Number(digit) + 1) % 10)),
  );
};

/** Resumes a study; returns the damaged file that was named for each trial, and fails where one is named twice. */
async function resumedDamages(folder: string): Promise<Record<string, string | undefined>> {
  const damages = new Map<string, string | undefined>();
  await runStudy(
    { folder },
    {
      onChange: ({ trial, damage }, event) => {
        if (event !== "damaged") return;
        expect(damages.has(trial.id)).toBe(false);
        damages.set(trial.id, damage);
      },
    },
  );
  return Object.fromEntries(damages);
}

describe("a finished study", () => {
  it("has the same result again after damage to every kind of file, and leaves nothing behind", async () => {
    const folder = copyStudy(whole);
    const [first = "", second = ""] = readdirSync(join(folder, "trials")).filter((name) => !name.startsWith("."));
    // The last word of a run is its summary: a digit of it went into the result unchecked.
    change(join(folder, "trials", first, "summary.json"));
    writeFileSync(join(folder, "trials", second, "metrics.jsonl"), "");
    rmSync(join(folder, "trials", second, "findings.json"));
    rmSync(join(folder, "float", "metrics.jsonl"));
    const records = await readStudy(copyStudy(folder)).catch((error: unknown) => error);
    expect(records).toBeInstanceOf(DamagedFileError);
    expect(records).toMatchObject({ where: expect.stringContaining("metrics.jsonl") });
    const damages = await resumedDamages(folder);
    expect(resultOf(folder)).toBe(resultOf(whole));
    expect(damages).toEqual({
      float: expect.stringMatching(/^float\/metrics\.jsonl: the file is missing/),
      [first]: expect.stringMatching(/\/summary\.json: the file is not what the run wrote/),
      [second]: expect.stringMatching(/\/metrics\.jsonl: the file is not what the run wrote/),
    });
    const left = readdirSync(folder, { recursive: true }).map(String);
    expect(left.filter((name) => /\.part$|\.lock$/.test(name))).toEqual([]);
  }, 120_000);

  it("names a damaged checkpoint of an interrupted trial, and nothing of a sound one", async () => {
    const folder = copyStudy(whole);
    const [first = "", second = ""] = readdirSync(join(folder, "trials")).filter((name) => !name.startsWith("."));
    for (const id of [first, second]) {
      for (const name of ["summary.json", "SHA256SUMS"]) rmSync(join(folder, "trials", id, name));
    }
    const checkpoint = join(folder, "trials", second, "checkpoints", "last.safetensors");
    writeFileSync(checkpoint, readFileSync(checkpoint).subarray(0, 100));
    expect(await resumedDamages(folder)).toEqual({
      [second]: expect.stringMatching(/last\.safetensors: .*; resuming from previous\.safetensors, step \d+$/),
    });
    expect(resultOf(folder)).toBe(resultOf(whole));
  }, 120_000);

  it.each(["fix.json", "fix.json/inner"])("names fix.json where it is a folder: %s", async (name) => {
    const folder = copyStudy(whole);
    mkdirSync(join(folder, name), { recursive: true });
    await expect(readStudy(folder)).rejects.toMatchObject({ where: join(folder, "fix.json") });
  });

  it("names the file where nothing may run", async () => {
    const folder = copyStudy(whole);
    const [first = ""] = readdirSync(join(folder, "trials")).filter((name) => !name.startsWith("."));
    change(join(folder, "trials", first, "metrics.jsonl"));
    const { result } = await readStudy(folder);
    const trial = result.trials.find(({ id }) => id === first);
    expect(trial).toMatchObject({ status: "failed", accuracy: null });
    expect(trial?.reason).toContain("metrics.jsonl: the file is not what the run wrote");
  });

  it("reads its index again from the files wherever a byte of that is wrong", async () => {
    const folder = copyStudy(whole);
    const { result } = await readStudy(folder);
    const file = join(folder, "study.db");
    const bytes = readFileSync(file);
    for (let at = 100; at < bytes.length; at += Math.ceil(bytes.length / 40)) {
      for (const value of [0xff, 0x31]) {
        const damaged = Buffer.from(bytes).fill(value, at, at + 40);
        writeFileSync(file, damaged);
        expect((await readStudy(folder)).result, `bytes ${at}`).toEqual(result);
      }
    }
  }, 60_000);
});

describe("the folder of a new study", () => {
  it("is not that of a run, and replaces no file of another program", async () => {
    const folder = join(temporaryFolder(), "mine");
    mkdirSync(folder);
    const start = () => runStudy({ folder, config: tinyStudy() });
    writeFileSync(join(folder, "env.json"), "{}");
    writeFileSync(join(folder, "config.yaml"), "seed: 1\n");
    await expect(start()).rejects.toThrow("the folder holds a run");
    rmSync(join(folder, "env.json"));
    writeFileSync(join(folder, "plan.json"), "precious");
    await expect(start()).rejects.toThrow(ConfigError);
    expect(readFileSync(join(folder, "plan.json"), "utf8")).toBe("precious");
    expect(readdirSync(folder).sort()).toEqual(["config.yaml", "plan.json"]);
  });
});
