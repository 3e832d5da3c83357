import { execFileSync } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { repeatCommand, withCommands } from "../../src/runs/remedy-command.ts";
import { temporaryFolder } from "../support/training/tiny-run.ts";

const rate = { "train.optimizer.learningRate": 0.005 };

describe("the command that repeats a run with a remedy", () => {
  it("names the configuration, the changes and the new run", () => {
    expect(repeatCommand({ folder: "runs/a" }, rate, "slower")).toBe(
      "subbyte train --config runs/a/config.yaml --set train.optimizer.learningRate=0.005 --name a-slower",
    );
  });

  it("starts from what the run started from, or what the remedy says", () => {
    const run = { folder: "other/a", from: "/data/float" };
    expect(repeatCommand(run, { "quantization.overrides": null }, "b")).toBe(
      "subbyte train --config other/a/config.yaml --from /data/float --set quantization.overrides=null --name a-b --out other",
    );
    expect(repeatCommand(run, { from: "runs/better" }, "b")).toBe(
      "subbyte train --config other/a/config.yaml --from runs/better --name a-b --out other",
    );
  });

  it("finds the float network of a trial in the study's folder", async () => {
    const study = await temporaryFolder();
    await mkdir(join(study, "float"));
    await writeFile(join(study, "float", "best.safetensors"), "");
    const folder = join(study, "trials", "a");
    const run = { folder, from: "float/best.safetensors", show: (path: string) => path.replace(study, "study") };
    expect(repeatCommand(run, rate, "b")).toBe(
      "subbyte train --config study/trials/a/config.yaml --from study/float/best.safetensors --set train.optimizer.learningRate=0.005 --name a-b",
    );
  });

  it("quotes what a shell would read otherwise", () => {
    expect(repeatCommand({ folder: "my runs/it's" }, rate, "b")).toContain(
      `--config 'my runs/it'\\''s/config.yaml' --set`,
    );
  });

  it("is the same words in a shell, whatever the folder is called", () => {
    const name = fc
      .string({ unit: "grapheme", minLength: 1, maxLength: 12 })
      .filter((text) => !/[\0/]|^\.{1,2}$/.test(text));
    fc.assert(
      fc.property(name, name, (folder, from) => {
        const command = repeatCommand({ folder: `runs/${folder}`, from: `/${from}` }, rate, "b");
        fc.pre(command !== undefined);
        const shell = execFileSync("sh", ["-c", `printf '%s\\0' ${command}`], { encoding: "utf8" });
        expect(shell.split("\0").slice(2, 6)).toEqual(["--config", `runs/${folder}/config.yaml`, "--from", `/${from}`]);
      }),
      { numRuns: 25 },
    );
  });

  it("is none where a path would not be seen as it is", () => {
    for (const hidden of ["a\nb", "a\u001b[2K", "a\u202eb", "a\u2028b"]) {
      expect(repeatCommand({ folder: hidden }, rate, "b")).toBeUndefined();
    }
  });

  it("is none where nothing changes", () => {
    expect(repeatCommand({ folder: "runs/a" }, {}, "b")).toBeUndefined();
    const finding = { cause: "c", title: "t", layers: [], evidence: [], confidence: 0.9 };
    const remedy = { title: "f", changes: rate };
    const commands = withCommands(
      [
        { ...finding, remedy: null },
        { ...finding, remedy },
      ],
      { folder: "runs/a" },
    );
    expect(commands.map(({ command }) => command)).toEqual([undefined, expect.stringContaining("--name a-c")]);
  });
});
