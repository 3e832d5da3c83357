/** What a training takes over from the run that it starts from. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { setOverrides } from "../../src/cli/flag-overrides.ts";
import { trainOverrides } from "../../src/cli/train-overrides.ts";
import { configToYaml, resolveTrainingConfig } from "../../src/config/config.ts";
import { resolveStudyConfig } from "../../src/study/plan/config.ts";
import { takenFromRun } from "../../src/train/from-run.ts";
import { temporaryFolder } from "../support/training/tiny-run.ts";

async function runWith(config: object): Promise<string> {
  const folder = join(await temporaryFolder(), "float");
  mkdirSync(join(folder, "checkpoints"), { recursive: true });
  writeFileSync(
    join(folder, "config.yaml"),
    configToYaml(resolveTrainingConfig({ name: "run", text: JSON.stringify(config) })),
  );
  writeFileSync(join(folder, "checkpoints", "best"), "");
  return folder;
}

const own = {
  model: { file: "/models/mine.onnx" },
  data: { folder: "/data/pictures", normalization: "imagenet", task: "none", size: 48, crop: 0, splitSeed: 3 },
};

async function resolved(flags: Parameters<typeof trainOverrides>[0]) {
  const overrides = trainOverrides(flags);
  const { overrides: taken, sentence } = await takenFromRun(undefined, overrides);
  return { config: resolveTrainingConfig(undefined, [...taken, ...overrides]), sentence };
}

describe("a training from a run", () => {
  it.each(["", "checkpoints/best"])("has its model, data, normalization and task (%j)", async (file) => {
    const from = join(await runWith(own), file);
    const { config, sentence } = await resolved({ from, preset: "lsq" });
    const { model, data } = resolveTrainingConfig({ name: "run", text: JSON.stringify(own) });
    expect(config.model).toEqual(model);
    expect(config.data).toEqual(data);
    expect(config.quantization?.preset).toBe("lsq");
    expect(sentence).toBe(
      `taken from ${from}: model mine, data /data/pictures, normalization imagenet, task distillation; flags and --set change them`,
    );
  });

  it("keeps what is given: another model, a key of the data, the task", async () => {
    const from = await runWith(own);
    const { config, sentence } = await resolved({
      from,
      model: "lenet",
      task: "classification",
      set: ["data.normalization=none", "data.splitSeed=5"],
    });
    expect(config.model).toEqual({ name: "lenet" });
    expect(config.data).toMatchObject({ folder: "/data/pictures", size: 48, normalization: "none", splitSeed: 5 });
    expect(config.data.task).toBe("classification");
    expect(sentence).toBe(`taken from ${from}: data /data/pictures; flags and --set change them`);
  });

  it("takes of a run on other data only what its network's input needs", async () => {
    const from = await runWith(own);
    const { config } = await resolved({ from, data: "/data/other" });
    expect(config.data).toMatchObject({ folder: "/data/other", normalization: "imagenet", size: 48, task: "none" });
    expect(config.data.splitSeed).toBeUndefined();
    const same = await resolved({ from, data: "/data/pictures" });
    expect(same.config.data.splitSeed).toBe(3);
    const named = await resolved({ from, data: "fashion-mnist-part" });
    expect(named.config.data).toMatchObject({ name: "fashion-mnist-part", normalization: "imagenet" });
    expect(named.config.data.folder).toBeUndefined();
  });

  it("takes nothing where no run is named, or the configuration says everything", async () => {
    expect(await resolved({})).toMatchObject({ sentence: null, config: { model: { name: "resnet20" } } });
    expect(await resolved({ from: "/no/such/run" })).toMatchObject({ sentence: null });
    const from = await runWith(own);
    const text = configToYaml(resolveTrainingConfig({ name: "run", text: JSON.stringify({ ...own, from }) }));
    expect(await takenFromRun({ name: "all", text }, [])).toEqual({ overrides: [], sentence: null });
  });

  it("is the same in a study, whose own defaults stand back", async () => {
    const from = await runWith(own);
    const overrides = setOverrides([`float.from=${from}`]);
    const taken = await takenFromRun(undefined, overrides, ["float.from"]);
    const config = resolveStudyConfig(undefined, [...taken.overrides, ...overrides]);
    expect(config.model).toMatchObject(own.model);
    expect(config.data).toMatchObject(own.data);
  });
});
