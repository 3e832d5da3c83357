/** A plugin file that changed since a run was trained with it is never used silently. @slow */
import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { acceptPlugin, checkPlugins } from "../../src/plugins/changes.ts";
import { loadPluginFile } from "../../src/plugins/load.ts";
import type { PluginRecord } from "../../src/plugins/plugin-files.ts";
import { readCheckpoint, writeCheckpoint } from "../../src/runs/checkpoint.ts";
import { studyPaths } from "../../src/study/plan/folder.ts";
import { keepPlugins } from "../../src/study/plan/plugins.ts";
import { tinyStudy } from "../study/support.ts";
import { capture } from "../support/machine/capture.ts";
import { temporaryFolder } from "../support/training/tiny-run.ts";

function record(file: string, digit: string, version?: string): PluginRecord {
  return { file, sha256: digit.repeat(64), ...(version === undefined ? {} : { version }) };
}

describe("checkPlugins", () => {
  it("takes the same contents, wherever their files are now and in whatever order", () => {
    const digits = fc.uniqueArray(fc.constantFrom(..."0123456789abcdef"), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(digits, fc.boolean(), (list, isMoved) => {
        const before = list.map((digit, i) => record(`/old/${i}.mjs`, digit));
        const now = list.map((digit, i) => record(isMoved ? `/new/${i}.mjs` : `/old/${i}.mjs`, digit)).reverse();
        expect(() => checkPlugins(before, now, "runs/a")).not.toThrow();
      }),
    );
  });

  it("names the file, both contents and the way to accept the change, whichever of the files changed", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), fc.nat(), (count, which) => {
        const changed = which % count;
        const before = Array.from({ length: count }, (_, i) => record(`/p/${i}.mjs`, String(i), "1.0"));
        const now = before.map((each, i) => (i === changed ? record(each.file, "f", "1.1") : each));
        const file = `/p/${changed}.mjs`;
        expect(() => checkPlugins(before, now, "runs/a")).toThrow(
          expect.objectContaining({
            where: file,
            message:
              "the plugin is not the file that runs/a was trained with: " +
              `version 1.0, sha256 ${String(changed).repeat(16)} then, version 1.1, sha256 ${"f".repeat(16)} now`,
            remedy: expect.stringContaining(`--plugin ${file}`),
          }),
        );
      }),
    );
  });

  it("uses a changed file that somebody named, and says so", () => {
    const said: string[] = [];
    acceptPlugin("/named.mjs", (sentence) => said.push(sentence));
    checkPlugins([record("/named.mjs", "a")], [record("/named.mjs", "b")], "runs/a");
    expect(said).toEqual([
      expect.stringMatching(/^the plugin \/named\.mjs is not the file that runs\/a .*a{16} then.*b{16} now/),
    ]);
    checkPlugins([record("/named.mjs", "b")], [record("/named.mjs", "b")], "runs/a");
    expect(said).toHaveLength(1);
  });

  it("knows nothing of runs that recorded no plugins", () => {
    expect(() => checkPlugins([], [record("/p.mjs", "a")], "runs/a")).not.toThrow();
  });
});

describe("a study with a plugin", () => {
  it("records the file when it starts, and refuses to resume with another content of it", async () => {
    const folder = await temporaryFolder();
    const paths = studyPaths(folder);
    const plugin = join(folder, "kept.mjs");
    await writeFile(plugin, 'export default { name: "kept", version: "3" };');
    await loadPluginFile(plugin);
    const config = { ...tinyStudy(), plugins: [plugin] };
    await keepPlugins(paths, config);
    const written: unknown = JSON.parse(await readFile(paths.plugins, "utf8"));
    expect(written).toEqual([{ file: plugin, version: "3", sha256: expect.stringMatching(/^[0-9a-f]{64}$/) }]);
    await expect(keepPlugins(paths, config)).resolves.toBeUndefined();

    await writeFile(paths.plugins, JSON.stringify([record(plugin, "0", "2")]));
    // A study compares its trainings: naming the file is no way to mix two of its contents.
    acceptPlugin(plugin);
    await expect(keepPlugins(paths, config)).rejects.toThrow(
      expect.objectContaining({
        where: plugin,
        message: expect.stringContaining(`version 2, sha256 ${"0".repeat(16)} then, version 3, sha256 `),
        remedy: expect.stringContaining("--out"),
      }),
    );
  });

  it("without plugins keeps nothing", async () => {
    const paths = studyPaths(await temporaryFolder());
    await keepPlugins(paths, tinyStudy());
    expect(existsSync(paths.plugins)).toBe(false);
  });
});

describe("a run with a plugin", () => {
  it("is evaluated, explained, diagnosed, converted and resumed with the plugin that it was trained with", async () => {
    const folder = await temporaryFolder();
    const plugin = join(folder, "mine.mjs");
    const toy = await readFile(fileURLToPath(new URL("toy-plugin.mjs", import.meta.url)), "utf8");
    const text = toy.replaceAll("toy", "recorded").replaceAll("fixed-step", "recorded-step");
    await writeFile(plugin, text.replace('name: "recorded",', 'name: "recorded",\n  version: "2.0",'));
    const config = join(folder, "qat.yaml");
    await writeFile(
      config,
      "plugins: [./mine.mjs]\nmodel: { name: lenet }\ndata: { trainLimit: 64, testLimit: 40 }\nthreads: 1\n" +
        "train: { epochs: 2, batchSize: 32 }\nquantization: { preset: recorded, weightBits: 4, activationBits: 4 }\n",
    );
    const run = join(folder, "run");
    const train = await capture("train", "--config", config, "--out", folder, "--name", "run", "--quiet");
    expect(train).toMatchObject({ code: 0 });

    const last = join(run, "checkpoints", "last.safetensors");
    const checkpoint = await readCheckpoint(last);
    const recorded = [{ file: plugin, version: "2.0", sha256: expect.stringMatching(/^[0-9a-f]{64}$/) }];
    expect(checkpoint.plugins).toEqual(recorded);
    expect(JSON.parse(await readFile(join(run, "env.json"), "utf8"))).toMatchObject({ plugins: recorded });
    expect(await capture("eval", run, "--quiet")).toMatchObject({ code: 0 });

    // A process imports a module once: the content of the training's time is changed instead of the file.
    await writeCheckpoint(last, { ...checkpoint, plugins: [record(plugin, "0", "1.9")] });
    const commands = [
      ["eval", run],
      ["eval", last],
      ["explain", run],
      ["diagnose", run],
      ["convert", run],
      ["train", "--resume", run],
      ["train", "--model", "lenet", "--teacher", run, "--epochs", "1", "--out", folder],
    ];
    for (const command of commands) {
      const { code, stderr } = await capture(...command, "--quiet");
      expect({ command, code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining(plugin) });
      expect(stderr).toContain(`version 1.9, sha256 ${"0".repeat(16)} then, version 2.0, sha256 `);
    }

    const accepted = await capture("eval", run, "--quiet", "--plugin", plugin);
    expect(accepted).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/^note: the plugin .* is used as it is now\n$/),
    });
    const resumed = await capture("train", "--resume", run, "--quiet", "--plugin", plugin);
    expect(resumed).toMatchObject({ code: 0, stderr: expect.stringContaining("is used as it is now") });
  }, 60_000);

  it("refuses a version that is no text", async () => {
    const folder = await temporaryFolder();
    await mkdir(join(folder, "inner"));
    const plugin = join(folder, "inner", "numbered.mjs");
    await writeFile(plugin, 'export default { name: "numbered", version: 2 };');
    const { code, stderr } = await capture("eval", folder, "--plugin", plugin);
    expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining("version is not a text") });
  });
});
