/** Paths of every kind in every argument and flag that takes one: each is refused clearly and soon. @slow */

import { execFileSync } from "node:child_process";
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "@commander-js/extra-typings";
import { afterAll, describe, expect, it } from "vitest";
import { commandEntries } from "../../src/cli/commands/index.ts";
import { checkGivenPaths } from "../../src/cli/given-paths.ts";
import { capture } from "../support/machine/capture.ts";

const top = mkdtempSync(join(tmpdir(), "subbyte-paths-"));
afterAll(() => rmSync(top, { recursive: true }));

const pipe = join(top, "pipe.onnx");
execFileSync("mkfifo", [pipe]);
const folder = join(top, "folder.onnx");
mkdirSync(folder);
const file = join(top, "file");
writeFileSync(file, "a text\n");

interface Slot {
  readonly name: string;
  readonly args: (path: string) => string[];
}

interface Declared {
  readonly commands: readonly Declared[];
  readonly registeredArguments: readonly { name(): string; readonly required: boolean }[];
  readonly options: readonly { readonly flags: string; readonly long?: string | null | undefined }[];
  name(): string;
}

/** What an argument or a flag that takes a path is called in its declaration. */
const isPath = (text: string) => /folder|file|run|model|checkpoint|data|config|[<][ab][>]/.test(text);

function slotsOf(command: Declared, words: readonly string[]): Slot[] {
  // Its argument is one of a list of names.
  if (command.name() === "fetch") return [];
  if (command.commands.length > 0) return command.commands.flatMap((inner) => slotsOf(inner, [...words, inner.name()]));
  const given = command.registeredArguments;
  const needed = given.filter(({ required }) => required).map(() => file);
  const args = given.flatMap((argument, index): Slot[] => {
    if (!isPath(`<${argument.name()}>`)) return [];
    const around = (path: string) =>
      given.slice(0, Math.max(index + 1, needed.length)).map((_, i) => (i === index ? path : file));
    return [{ name: `${words.join(" ")} ${argument.name()}`, args: (path) => [...words, ...around(path)] }];
  });
  const flags = command.options.flatMap(({ flags: text, long }): Slot[] => {
    const value = /[<[].*/.exec(text)?.[0];
    if (value === undefined || typeof long !== "string" || !isPath(value)) return [];
    return [{ name: `${words.join(" ")} ${long}`, args: (path) => [...words, ...needed, long, path] }];
  });
  return [...args, ...flags];
}

const slots: Slot[] = [];
for (const entry of commandEntries) {
  const command = new Command(entry.name);
  (await entry.load())(command);
  slots.push(...slotsOf(command, [entry.name]));
}

async function refusal(slot: Slot, path: string): Promise<string> {
  const start = process.cpuUsage().user;
  const { code, stderr } = await capture(...slot.args(path));
  expect(code, `${slot.name}: ${stderr}`).toBeGreaterThan(0);
  expect(stderr, slot.name).not.toContain("internal error");
  expect((process.cpuUsage().user - start) / 1e6, slot.name).toBeLessThan(2);
  return stderr;
}

describe("paths on the command line", () => {
  it("are found in the declarations", () => {
    const names = slots.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(["train --model", "eval run|model", "compare b"]));
    expect(names.length).toBeGreaterThan(30);
  });

  it.each(slots.map((slot) => [slot.name, slot] as const))("%s refuses a device", async (_, slot) => {
    for (const device of ["/dev/zero", "/dev/null"]) {
      expect(await refusal(slot, device)).toContain(`${device}: it is a device, not a file or a folder`);
    }
  });

  const entering = slots.filter(({ name }) => !/ --/.test(name));
  it.each(entering.map((slot) => [slot.name, slot] as const))(
    "%s refuses a folder or a file in the other's place",
    async (_, slot) => {
      for (const path of [folder, file, join(top, "missing")]) await refusal(slot, path);
    },
  );

  it("a named pipe is refused where no process writes to it, and left to the command where one does", async () => {
    await expect(checkGivenPaths([], { model: pipe })).rejects.toThrow("no process writes to it");
    await expect(checkGivenPaths([`model.file=${pipe}`], {})).rejects.toThrow("no process writes to it");
    const writer = openSync(pipe, "r+");
    await checkGivenPaths([pipe], {});
    closeSync(writer);
  });
});
