/** The plugins of a configuration are loaded before it is resolved, from one reading of its text. @alone */
import { beforeEach, describe, expect, it, vi } from "vitest";
import { resolveTrainingConfig } from "../../src/config/config.ts";
import { loadPluginsOf } from "../../src/config/plugins.ts";
import { ConfigError, PluginError } from "../../src/errors.ts";

const parsed = vi.hoisted(() => ({ texts: [] as string[] }));

vi.mock("yaml", async (original) => {
  const yaml = await original<typeof import("yaml")>();
  const parseDocument: typeof yaml.parseDocument = (text, options) => {
    parsed.texts.push(text);
    return yaml.parseDocument(text, options);
  };
  return { ...yaml, parseDocument };
});

beforeEach(() => {
  parsed.texts.length = 0;
});

describe("a configuration with plugins", () => {
  it("is parsed once, and resolves from the same text each time", async () => {
    const source = { name: "a.yaml", text: "plugins: []\nseed: 3\ntrain: { epochs: 4 }\n" };
    await loadPluginsOf(source);
    const first = resolveTrainingConfig(source, [{ path: "train.epochs", value: 9, origin: "--epochs 9" }]);
    const second = resolveTrainingConfig(source);
    expect(parsed.texts).toEqual([source.text]);
    expect([first.train.epochs, second.train.epochs, second.seed]).toEqual([9, 4, 3]);
  });

  it("reports its mistakes at their places", async () => {
    const missing = { name: "a.yaml", text: "plugins: [./there-is-none.mjs]" };
    await expect(loadPluginsOf(missing)).rejects.toThrow(PluginError);
    const broken = { name: "a.yaml", text: "seed: [1\nplugins: {}" };
    await expect(loadPluginsOf(broken)).rejects.toThrow(
      expect.objectContaining({ where: expect.stringMatching(/^a\.yaml:2:/) }),
    );
    const odd = { name: "a.yaml", text: "seed: 1\nplugins: {}" };
    await loadPluginsOf(odd);
    expect(() => resolveTrainingConfig(odd)).toThrow(ConfigError);
    expect(() => resolveTrainingConfig(odd)).toThrow(
      expect.objectContaining({ where: expect.stringMatching(/^a\.yaml:2:/) }),
    );
  });
});
