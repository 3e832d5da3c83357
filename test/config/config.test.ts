import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { nearestWord } from "../../src/base/nearest-word.ts";
import { configToYaml, resolveTrainingConfig } from "../../src/config/config.ts";
import { readConfigFile } from "../../src/config/file.ts";
import { knownKeys, trainingConfigJsonSchema } from "../../src/config/keys.ts";
import { presetChoices } from "../../src/config/schema/schema.ts";
import { type ConfigOverride, parseSetOption } from "../../src/config/source.ts";
import { ConfigError, InputOutputError } from "../../src/errors.ts";
import { modelNames } from "../../src/models/names.ts";
import { presets } from "../../src/qconfig/presets.ts";

function resolve(text: string, ...sets: string[]) {
  return resolveTrainingConfig({ name: "train.yaml", text }, sets.map(parseSetOption));
}

function failure(text: string, ...sets: string[]): string {
  try {
    resolve(text, ...sets);
  } catch (error) {
    if (error instanceof ConfigError) return error.describe();
    throw error;
  }
  throw new Error("this configuration should have been refused");
}

describe("a training configuration", () => {
  it("has every default filled in", () => {
    const config = resolveTrainingConfig(undefined);
    expect(config.model).toEqual({ name: "resnet20" });
    expect(config.quantization).toBeNull();
    expect(config.seed).toBe(0);
    expect(config.train.schedule.milestones).toEqual([5, 7.5]);
    expect(config.train.optimizer.groups.batchNorm).toEqual({ learningRateScale: 1, weightDecay: 0 });
  });

  it("fills in what depends on another key", () => {
    expect(resolve("train: { optimizer: { name: adam } }").train.optimizer.learningRate).toBe(1e-3);
    expect(resolve("quantization: { preset: thread, weightBits: 2 }").quantization).toEqual({
      preset: "thread",
      weightBits: 2,
      activationBits: 4,
      placement: "everyModule",
      firstLayerBits: "same",
      lastLayerBits: "same",
      reduceRange: true,
      residualBits: "float",
    });
    expect(resolve("quantization: {}").quantization).toMatchObject({ preset: "lsq", firstLayerBits: 8 });
    expect(resolve("quantization: { preset: float }").quantization).toBeNull();
    expect(resolve("data: { folder: ./mine }").data).toEqual({ folder: "./mine", crop: 2, flip: true });
  });

  it("is read from JSON too, tabs and all", () => {
    expect(resolve('{\n\t"seed": 7,\n\t"train": {"epochs": 3}\n}')).toMatchObject({ seed: 7, train: { epochs: 3 } });
  });

  it("resolves to itself when written and read again", () => {
    const config = resolve("quantization: { preset: minmax, activationBits: 3 }\ntrain: { schedule: { name: step } }");
    expect(resolve(configToYaml(config))).toEqual(config);
  });

  it("is one text, in whatever order and completeness it was written", () => {
    const short = resolve(
      "quantization: { freezeBatchNormAfterEpoch: 1, preset: thread }\ntrain: { epochs: 4 }\nfrom: x",
    );
    const text = configToYaml(short);
    expect(configToYaml(resolve(text))).toBe(text);
    expect(
      configToYaml(
        resolve(
          "from: x\ntrain: { epochs: 4, batchSize: 64 }",
          "quantization.preset=thread",
          "quantization.freezeBatchNormAfterEpoch=1",
        ),
      ),
    ).toBe(text);
  });
});

describe("a former name", () => {
  it("of a kind of data still means that kind", () => {
    const kindOf = (kind: string) =>
      resolveTrainingConfig({ name: "c", text: `data: { folder: a, kind: ${kind} }` }).data.kind;
    expect(kindOf("pictures")).toBe("images");
    expect(kindOf("images")).toBe("images");
  });
});

describe("overrides", () => {
  it("are YAML scalars or flow lists on dotted paths, the last one winning", () => {
    const config = resolve(
      "train: { epochs: 2 }",
      "train.epochs=3",
      "train.epochs=5",
      "train.schedule.milestones=[1, 2]",
      "from=null",
    );
    expect(config.train.epochs).toBe(5);
    expect(config.train.schedule.milestones).toEqual([1, 2]);
    expect(config.from).toBeUndefined();
  });

  it("make the mapping that they need", () => {
    expect(resolve("quantization: null", "quantization.weightBits=3").quantization?.weightBits).toBe(3);
  });

  it("are named in errors as they were written", () => {
    expect(failure("seed: 1", "train.epochs=many")).toBe(
      '--set train.epochs=many: train.epochs: expected a number, got "many"',
    );
    expect(failure("", "train.epoch=3")).toBe(
      "--set train.epoch=3: unknown key train.epoch\n  Did you mean train.epochs?",
    );
    expect(failure("", "epochs=3")).toContain("Did you mean train.epochs?");
    expect(failure("", "seed.x=3")).toContain("seed holds a value, not keys.");
    expect(failure("", "__proto__.x=3")).toContain("unknown key __proto__.x");
    expect(failure("", "train.epochs")).toContain("expected key=value");
    expect(failure("", "train.schedule.milestones=[1")).toMatch(/^--set train.schedule.milestones=\[1: /);
  });

  it("name the flag that they come from", () => {
    const override: ConfigOverride = { path: "train.batchSize", value: 0, origin: "--batch 0" };
    expect(() => resolveTrainingConfig(undefined, [override])).toThrow("train.batchSize: expected at least 1, got 0");
    expect(() => resolveTrainingConfig(undefined, [override])).toThrow(expect.objectContaining({ where: "--batch 0" }));
  });
});

describe("a mistake in the file", () => {
  it("unknown key: file, line, column, path and the nearest known key", () => {
    expect(failure("seed: 1\ntrain:\n  optimiser:\n    name: adam\n")).toBe(
      "train.yaml:3:3: unknown key train.optimiser\n  Did you mean train.optimizer?",
    );
    expect(failure("train: { optimizer: { learning_rate: 1 } }")).toContain("train.optimizer.learningRate?");
    expect(failure("weightBits: 4")).toContain(
      "train.yaml:1:1: unknown key weightBits\n  Did you mean quantization.weightBits?",
    );
    expect(failure("model:\n  zzzzzzzzzz: 1")).toContain(
      "Known keys here: name, file, restoreBatchNorm, stripQuantizers, allowFrozen, weightsByOutput, width, stem.",
    );
  });

  it("bits out of range: the range and what was got", () => {
    for (const bits of ["0", "17", "4.5", "four"]) {
      expect(failure(`quantization:\n  weightBits: ${bits}`)).toContain(
        "train.yaml:2:15: quantization.weightBits: expected a bit-width from 1 to 16, got",
      );
    }
    expect(failure("quantization: { firstLayerBits: eight }")).toContain('"same" or "float", got "eight"');
    expect(failure("quantization: { firstLayerBits: 0 }")).toContain("from 1 to 16");
  });

  it("a wrong name: the names there are and the nearest", () => {
    const text = failure("model: { name: resnet-20 }");
    expect(text).toContain(`model.name: expected one of ${modelNames.join(", ")}, got "resnet-20"`);
    expect(text).toContain("Did you mean resnet20?");
  });

  it("all mistakes at once, each with its place", () => {
    const text = failure("seed: -1\nthreads: x\nmodle: {}\n");
    expect(text).toContain("train.yaml:1:7: seed: expected at least 0, got -1");
    expect(text).toContain("train.yaml:2:10: threads: expected a number");
    expect(text).toContain("train.yaml:3:1: unknown key modle\n  Did you mean model?");
  });

  it("keys that contradict each other", () => {
    expect(failure("data: { name: fashion-mnist, folder: x }")).toContain("expected either name or folder, got both");
    expect(failure("quantization: { preset: lsq, reduceRange: true }")).toContain("learns its ranges");
    expect(failure("train: { optimizer: { name: adam, nesterov: true } }")).toContain("nesterov needs sgd");
    expect(failure("train: { schedule: { milestones: [3, 2] } }")).toContain("rising order");
    for (const limit of [0, -1, "none"]) {
      expect(failure(`train: { optimizer: { gradientClip: ${limit} } }`)).toContain("train.optimizer.gradientClip");
    }
  });

  it("broken YAML, a list, a key twice, a prototype", () => {
    expect(failure("train: [1,\nseed: 2")).toMatch(/^train\.yaml:\d+:\d+: /);
    expect(failure("- 1")).toContain("train.yaml:1:1: expected a mapping of keys");
    expect(failure("seed: 1\nseed: 2")).toMatch(/^train\.yaml:2:1: .*unique/);
    expect(failure("__proto__: { seed: 1 }")).toContain("unknown key __proto__");
    expect(failure("seed: *nowhere")).toMatch(/^train\.yaml/);
  });
});

describe("configuration files", () => {
  it("are read by name; a missing one says so", async () => {
    const folder = await mkdtemp(join(tmpdir(), "subbyte-config-"));
    try {
      const file = join(folder, "a.yaml");
      await writeFile(file, "seed: 3\n");
      expect(resolveTrainingConfig(await readConfigFile(file)).seed).toBe(3);
      const missing = readConfigFile(join(folder, "b.yaml"));
      await expect(missing).rejects.toThrow(InputOutputError);
      await expect(missing).rejects.toThrow("no such file");
      await expect(readConfigFile(folder)).rejects.toThrow("EISDIR");
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

describe("presets", () => {
  it("are those of qconfig, and float", () => {
    expect(presetChoices().sort()).toEqual([...Object.keys(presets), "float"].sort());
  });
});

describe("keys", () => {
  it("come from the schema", () => {
    expect(knownKeys("train.optimizer.groups")).toEqual(["weights", "batchNorm", "quantizer"]);
    expect(knownKeys("quantization")).toContain("freezeObserversAfterEpoch");
    expect(trainingConfigJsonSchema().properties).toHaveProperty("quantization");
  });

  it("are matched only when near", () => {
    expect(nearestWord("momentun", ["momentum", "nesterov"])).toBe("momentum");
    expect(nearestWord("elephant", ["momentum", "nesterov"])).toBeUndefined();
  });
});
