/** Paths of configurations: against the working folder on the command line, against the file in a file, absolute after that. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { studyOverrides } from "../../src/cli/commands/study/overrides.ts";
import { setOverrides } from "../../src/cli/flag-overrides.ts";
import { trainOverrides } from "../../src/cli/train-overrides.ts";
import { configToYaml, resolveTrainingConfig } from "../../src/config/config.ts";
import { readConfigFile } from "../../src/config/file.ts";
import { trainingConfigJsonSchema } from "../../src/config/keys.ts";
import { pathKeys } from "../../src/config/path-keys.ts";
import { type ConfigOverride, isMapping, setPath } from "../../src/config/source.ts";
import { resolveStudyConfig, settleStudyConfig, studyToYaml } from "../../src/study/plan/config.ts";

const folder = mkdtempSync(join(tmpdir(), "subbyte-paths-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

type Key = (typeof pathKeys)[number];
const given = ["mine.onnx", "./deep/mine.onnx", "../mine.onnx", "/else/where/mine.onnx"];

function at(root: unknown, path: string): unknown {
  return path.split(".").reduce((value: unknown, key) => (isMapping(value) ? value[key] : undefined), root);
}

/** A mapping with one key. */
function nested(path: string, value: unknown): Record<string, unknown> {
  const root = {};
  setPath(root, path, value);
  return root;
}

const flags: Partial<Record<Key, (value: string) => readonly ConfigOverride[]>> = {
  "model.file": (model) => trainOverrides({ model }),
  "data.folder": (data) => trainOverrides({ data: data.includes("/") ? data : `./${data}` }),
  "train.distillation.teacher": (teacher) => trainOverrides({ teacher }),
  from: (from) => trainOverrides({ from }),
};

const studyFlags: Partial<Record<Key, (value: string) => readonly ConfigOverride[]>> = {
  "model.file": (model) => studyOverrides({ model, diagnose: true }),
  "data.folder": (data) => studyOverrides({ data: data.includes("/") ? data : `./${data}`, diagnose: true }),
  "float.from": (from) => studyOverrides({ from, diagnose: true }),
};

/** The ways to write a path, with the folder that a relative one belongs to. */
function waysOf(key: Key, ofFlag: ((value: string) => readonly ConfigOverride[]) | undefined) {
  const inFile = async (path: string) => {
    const file = join(folder, "config.yaml");
    writeFileSync(file, JSON.stringify(nested(key, path)));
    return { source: await readConfigFile(file), overrides: [], base: folder };
  };
  const bySet = async (path: string) => ({
    source: undefined,
    overrides: setOverrides([`${key}=${path}`]),
    base: process.cwd(),
  });
  const byParent = async (path: string) => {
    const [first = "", ...rest] = key.split(".");
    const value = rest.length === 0 ? path : JSON.stringify(nested(rest.join("."), path));
    return { source: undefined, overrides: setOverrides([`${first}=${value}`]), base: process.cwd() };
  };
  const byFlag = async (path: string) => ({ source: undefined, overrides: ofFlag?.(path) ?? [], base: process.cwd() });
  return {
    "a file in another folder": inFile,
    "--set": bySet,
    "--set of the part": byParent,
    ...(ofFlag ? { "a flag": byFlag } : {}),
  };
}

describe("paths of a training's configuration", () => {
  for (const key of pathKeys.filter((path) => path !== "float.from")) {
    it.each(Object.entries(waysOf(key, flags[key])))(`${key} by %s`, async (_way, write) => {
      for (const path of given) {
        const { source, overrides, base } = await write(path);
        const config = resolveTrainingConfig(source, overrides);
        expect(at(config, key)).toBe(resolve(base, path));
        // The form that a run keeps, and that its processes get.
        expect(at(resolveTrainingConfig({ name: "again", text: configToYaml(config) }), key)).toBe(resolve(base, path));
      }
    });
  }
});

describe("paths of a study's configuration", () => {
  for (const key of pathKeys.filter((path) => path !== "from")) {
    it.each(Object.entries(waysOf(key, studyFlags[key])))(`${key} by %s`, async (_way, write) => {
      for (const path of given) {
        const { source, overrides, base } = await write(path);
        const config = settleStudyConfig(resolveStudyConfig(source, overrides), 2);
        expect(at(config, key)).toBe(resolve(base, path));
        expect(at(resolveStudyConfig({ name: "again", text: studyToYaml(config) }), key)).toBe(resolve(base, path));
      }
    });
  }

  it("resolve against the working folder where a program gives them", () => {
    const text = JSON.stringify({ model: { file: "mine.onnx" }, data: { folder: "pictures" } });
    const config = settleStudyConfig(resolveStudyConfig({ name: "study", text }), 2);
    expect(config.model.file).toBe(resolve("mine.onnx"));
    expect(config.data.folder).toBe(resolve("pictures"));
  });
});

/** Keys of texts that are no paths. */
const texts = new Set(["data.target", "data.ignore", "data.classes", "quantization.overrides.layer", "plugins"]);

function textKeys(schema: unknown, prefix = ""): string[] {
  if (!isMapping(schema)) return [];
  const own = schema.type === "string" && schema.enum === undefined && schema.const === undefined ? [prefix] : [];
  const parts = [schema.anyOf, schema.oneOf, schema.allOf].flatMap((list) => (Array.isArray(list) ? list : []));
  const inner = [...parts, schema.items].flatMap((part) => textKeys(part, prefix));
  const properties = isMapping(schema.properties) ? Object.entries(schema.properties) : [];
  const below = properties.flatMap(([key, part]) => textKeys(part, prefix === "" ? key : `${prefix}.${key}`));
  return [...own, ...inner, ...below];
}

it("each text of the schema is a path, or known to be none", () => {
  const found = new Set(textKeys(trainingConfigJsonSchema()));
  const paths = new Set<string>(pathKeys);
  const unknown = [...found].filter((key) => !paths.has(key) && !texts.has(key) && !key.startsWith("quantization."));
  expect(unknown).toEqual([]);
  for (const key of pathKeys) if (key !== "float.from") expect([...found]).toContain(key);
});
