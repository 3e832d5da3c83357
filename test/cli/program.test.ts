import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { commandEntries } from "../../src/cli/commands/index.ts";
import { modelNames } from "../../src/models/names.ts";
import { loadedPackages } from "../support/imports.ts";
import { capture } from "../support/machine/capture.ts";

describe("help", () => {
  it("names every built-in network", async () => {
    const { stdout } = await capture("inspect", "--help");
    expect(stdout.replaceAll(/\s+/g, " ")).toContain(modelNames.join(", "));
  });

  it("of the program, with examples and exit codes", async () => {
    const { code, stdout, stderr } = await capture("--help");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    await expect(stdout).toMatchFileSnapshot("snapshots/help/subbyte.txt");
    expect((await capture()).stdout).toBe(stdout);
  });

  it.each([
    "train",
    "eval",
    "explain",
    "demo",
    "data",
    "data fetch",
    "data info",
    "import",
    "inspect",
    "profile",
    "diagnose",
  ])("of %s", async (command) => {
    const { code, stdout } = await capture(...command.split(" "), "--help");
    expect(code).toBe(0);
    await expect(stdout).toMatchFileSnapshot(`snapshots/help/${command.replace(" ", "/")}.txt`);
  });

  it("loads nothing but the parser, the colours and the distance of words", () => {
    const packages = loadedPackages("cli/main.ts").filter((name) => !name.startsWith("node:"));
    expect(packages).toEqual(["@commander-js/extra-typings", "commander", "fastest-levenshtein", "picocolors"]);
  });

  it.each(commandEntries.map(({ name }) => name))("of %s loads no action", (name) => {
    const packages = loadedPackages(`cli/commands/${name}/${name}.ts`).filter((each) => !each.startsWith("node:"));
    const parser = ["@commander-js/extra-typings", "commander", "fastest-levenshtein", "picocolors"];
    expect(packages.filter((each) => !parser.includes(each))).toEqual([]);
  });

  it("prints the version", async () => {
    expect(await capture("--version")).toEqual({
      code: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
      stderr: "",
    });
  });
});

describe("usage errors", () => {
  it.each([
    [["trian"], "unknown command 'trian'\n(Did you mean train?)"],
    [["train", "--epoch", "3"], "unknown option '--epoch'\n(Did you mean --epochs?)"],
    [["train", "--dry-run", "--preset", "lsqq"], "Did you mean lsq?"],
    [["train", "--dry-run", "--set", "plugins=[./mine.mjs]"], "Give --plugin ./mine.mjs."],
    [["study", "--dry-run", "--set", "plugins=[]"], "Give --plugin FILE."],
    [["train", "extra"], "too many arguments"],
    [["eval"], "missing required argument 'run|model'"],
    [["eval", "x", "--batch", "0"], "Expected a whole number of at least 1."],
    [["demo", "--weight-bits", "17"], "Expected a whole number from 1 to 16."],
    [["data", "fetch", "mnist"], "Allowed choices are fashion-mnist."],
    [["train", "--dry-run", "--epochs", "many"], '--epochs many: train.epochs: expected a number, got "many"'],
    [["train", "--dry-run", "--recompute", "sometimes"], "Allowed choices are auto, always, never"],
    [["train", "--dry-run", "--set", "train.recompute=maybe"], "train.recompute"],
    [["train", "--dry-run", "--activation-bits", "0"], "expected a bit-width from 1 to 16, got 0"],
    [["train", "--dry-run", "--model", "resnet21"], "Did you mean resnet"],
    [["train", "--dry-run", "--model", "mine"], 'there is no network or file "mine"\n  Give an ONNX file, or one of'],
    [["train", "--dry-run", "--data", "fashion-mnst"], "Did you mean fashion-mnist?"],
    [["train", "--dry-run", "--data", "mine"], 'there is no folder, file or data set "mine"\n  Check the path'],
    [["train", "--dry-run", "--preset", "float", "--weight-bits", "3"], "a float training has no --weight-bits"],
    [["train", "--dry-run", "--set", "train.epoch=3"], "Did you mean train.epochs?"],
  ])("%j", async (args, words) => {
    const { code, stdout, stderr } = await capture(...args);
    expect(stderr).toContain(words);
    expect(stderr).toMatch(/^error: /);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  });
});

describe("train --print-config", () => {
  let folder = "";
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "subbyte-cli-"));
  });
  afterEach(async () => {
    await rm(folder, { recursive: true });
  });

  async function resolved(...flags: string[]): Promise<unknown> {
    const { code, stdout, stderr } = await capture("train", "--print-config", "--json", ...flags);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    return JSON.parse(stdout);
  }

  it("takes folders and models that are there by their plain names", async () => {
    await mkdir(join(folder, "images"));
    await writeFile(join(folder, "network.ONNX"), "");
    const before = process.cwd();
    process.chdir(folder);
    try {
      const flags = ["--data", "images", "--model", "network.ONNX"];
      const path = join(process.cwd(), "network.ONNX");
      expect(await resolved(...flags)).toMatchObject({
        config: { data: { folder: join(process.cwd(), "images") }, model: { file: path } },
      });
    } finally {
      process.chdir(before);
    }
  });

  it("lays flags over --set over the file over the defaults", async () => {
    const file = join(folder, "qat.yaml");
    await writeFile(
      file,
      "seed: 1\ndata: { name: fashion-mnist }\ntrain: { epochs: 1, batchSize: 1, labelSmoothing: 0.1 }\n",
    );
    const flags = ["--set", "train.batchSize=2", "--set", "train.epochs=2", "--epochs", "3", "--data", "./mine"];
    expect(await resolved("--config", file, ...flags)).toMatchObject({
      schemaVersion: 1,
      config: {
        seed: 1,
        data: { folder: resolve("mine") },
        train: { epochs: 3, batchSize: 2, labelSmoothing: 0.1 },
        quantization: null,
      },
    });
  });

  it("reads every flag that is a key", async () => {
    const quantized = "--preset minmax --weight-bits 2 --activation-bits 3 --placement everyModule --from runs/x";
    const others = "--model resnet8 --data fashion-mnist --batch 32 --lr 1e-2 --seed 7 --threads 2 --recompute always";
    expect(await resolved(...quantized.split(" "), ...others.split(" "))).toMatchObject({
      config: {
        model: { name: "resnet8" },
        data: { name: "fashion-mnist" },
        train: { batchSize: 32, optimizer: { learningRate: 0.01 }, recompute: "always" },
        quantization: { preset: "minmax", weightBits: 2, activationBits: 3, placement: "everyModule" },
        seed: 7,
        threads: 2,
        from: resolve("runs/x"),
      },
    });
  });

  it("takes --weight-bits alone as lsq, and --preset float as none", async () => {
    expect(await resolved("--weight-bits", "2")).toMatchObject({ config: { quantization: { preset: "lsq" } } });
    expect(await resolved("--set", "quantization.weightBits=2", "--preset", "float")).toMatchObject({
      config: { quantization: null },
    });
  });

  it("prints YAML that it reads again", async () => {
    const first = await capture("train", "--print-config", "--preset", "thread");
    const file = join(folder, "config.yaml");
    await writeFile(file, first.stdout);
    expect((await capture("train", "--print-config", "--config", file)).stdout).toBe(first.stdout);
  });

  it("names the place of a mistake in the file, and a file that is missing", async () => {
    const file = join(folder, "qat.yaml");
    await writeFile(file, "train:\n  epoch: 1\n");
    const { code, stderr } = await capture("train", "--config", file);
    expect(code).toBe(2);
    expect(stderr).toBe(`error: ${file}:2:3: unknown key train.epoch\n  Did you mean train.epochs?\n`);
    expect((await capture("train", "--config", join(folder, "no.yaml"))).code).toBe(1);
  });
});

describe("data info", () => {
  it("tells of the data that comes with subbyte, as a table and as JSON", async () => {
    const table = await capture("data", "info");
    expect(table.code).toBe(0);
    expect(table.stdout).toMatch(/│ train │ +12000 │ uint8 1x28x28 │/);
    const json = await capture("data", "info", "--json");
    expect(JSON.parse(json.stdout)).toMatchObject({
      schemaVersion: 1,
      folder: null,
      parts: [
        { part: "train", count: 12_000 },
        { part: "test", count: 2000 },
      ],
    });
  });

  it("refuses a folder without the data", async () => {
    const { code, stderr } = await capture("data", "info", "./no-such-folder");
    expect(code).toBe(1);
    expect(stderr).toContain("no-such-folder");
  });
});
