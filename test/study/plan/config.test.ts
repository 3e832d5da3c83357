import { isAbsolute } from "node:path";
import { describe, expect, it } from "vitest";
import { gridCells, trialId } from "../../../src/study/plan/cells.ts";
import {
  floatConfig,
  resolveStudyConfig,
  settleStudyConfig,
  studyToYaml,
  trialConfig,
} from "../../../src/study/plan/config.ts";
import { makePlan } from "../../../src/study/plan/plan.ts";
import { tinyStudy } from "../support.ts";

const resolve = (text: string) => resolveStudyConfig({ name: "study.yaml", text });

describe("the configuration of a study", () => {
  it("is the thread's question when nothing is given", () => {
    const config = resolve("");
    expect(config.weightBits).toEqual([8, 4, 2]);
    expect(config.activationBits).toEqual([8, 6, 5, 4, 3]);
    expect(config.recipes.map(({ name }) => name)).toEqual(["thread", "lsq"]);
  });

  it("comes back from its YAML as it was", () => {
    const config = settleStudyConfig(resolve("recipes: [thread, {name: mine, preset: lsq, firstLayerBits: 2}]"), 2);
    expect(resolve(studyToYaml(config))).toEqual(config);
  });

  it("keeps a null float stage and the rest of the defaults under a flag", () => {
    expect(resolve("float: null").float).toBeNull();
    const limited = resolveStudyConfig(undefined, [{ path: "data.trainLimit", value: 5, origin: "--train-limit 5" }]);
    expect(limited.data).toEqual({ crop: 0, flip: false, trainLimit: 5 });
  });

  it.each([
    ["weightbits: [4]", "study.yaml:1:1", "unknown key weightbits", "Did you mean weightBits?"],
    ["train: {epoch: 3}", "study.yaml:1:9", "unknown key train.epoch", "Did you mean train.epochs?"],
    ["weightBits: [4, 17]", "study.yaml:1:17", "at most 16", undefined],
    ["weightBits: [4, 4]", "study.yaml:1:1", "each bit-width once", undefined],
    ["recipes: [lsq, {name: a b, preset: lsq}]", "study.yaml:1:", "a name of letters", undefined],
    ["recipes: [{name: x, preset: nothing}]", "study.yaml:1:", "expected presets out of thread", undefined],
    ["recipes: [{name: x, preset: lsq, firstlayerBits: 3}]", "study.yaml:1:", "recipe x: unknown key", undefined],
    ["recipes: [float]", "study.yaml:1:", "the float network is the stage", undefined],
    ["float: {from: runs/x, epochs: 2}", "study.yaml:1:", "from alone", undefined],
    ["format: 7", "study.yaml", "another version of subbyte (format 7)", undefined],
    ["- 1", "study.yaml", "a mapping of keys", undefined],
    ["model: {name: resnet21}", "study.yaml:1:", "expected one of", "Did you mean resnet"],
  ])("refuses %s", (text, where, message, remedy) => {
    let thrown: unknown;
    try {
      resolve(text);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({ code: "CONFIG", where: expect.stringContaining(where) });
    expect(thrown).toMatchObject({ message: expect.stringContaining(message) });
    if (remedy !== undefined) expect(thrown).toMatchObject({ remedy: expect.stringContaining(remedy) });
  });

  it("settles what depends on the machine and on the working directory", () => {
    const settled = settleStudyConfig(resolve("{data: {folder: ./mine}, float: {from: runs/x}}"), 8);
    expect(settled).toMatchObject({ parallel: 8, threads: 1 });
    expect(isAbsolute(String(settled.data.folder))).toBe(true);
    expect(isAbsolute(settled.float?.from ?? "")).toBe(true);
    expect(settleStudyConfig(resolve("parallel: 2"), 8).threads).toBe(4);
  });
});

describe("the trials of a study", () => {
  it("are every cell for every recipe and seed, the first seed's map first", () => {
    const config = tinyStudy({ recipes: ["thread", "lsq"], activationBits: [4, 3], seeds: [0, 5] });
    const ids = gridCells(config).map(trialId);
    expect(ids).toHaveLength(16);
    expect(ids.slice(0, 3)).toEqual(["thread_W4A4_seed0", "thread_W4A3_seed0", "thread_W2A4_seed0"]);
    expect(ids[8]).toBe("thread_W4A4_seed5");
  });

  it("take the recipe's own epochs and learning rate, and start from float", () => {
    const config = tinyStudy({ recipes: [{ name: "long", preset: "lsq", epochs: 7, learningRate: 0.5 }] });
    const [place] = gridCells(config);
    if (place === undefined) throw new Error("no place");
    expect(trialConfig(config, place, "float/x")).toMatchObject({
      train: { epochs: 7, optimizer: { learningRate: 0.5 }, schedule: { milestones: [3.5, 5.25] } },
      quantization: { preset: "lsq", weightBits: 4, activationBits: 4 },
      from: "float/x",
    });
    expect(floatConfig(config)).toMatchObject({ quantization: null, threads: 2, train: { epochs: 2 } });
  });

  it("say of a cell that cannot exist why, and of the others what they have and cost", async () => {
    const plan = await makePlan(tinyStudy({ recipes: ["thread"], activationBits: [4, 1] }));
    const [possible, impossible] = plan.trials;
    expect(possible).toMatchObject({ impossible: null, levels: { weights: 16, activations: 8 } });
    expect(impossible).toMatchObject({ cost: null, impossible: expect.stringContaining("reduceRange off") });
    expect(plan).toMatchObject({ samples: 128, classes: 10 });
  });
});
