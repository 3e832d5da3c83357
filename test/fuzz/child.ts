/** Reads fuzzed inputs in a process of its own, which watch.ts ends when one takes too long or too much memory. */

import { mkdirSync, realpathSync, rmSync } from "node:fs";
import { join } from "node:path";
import { randomStream } from "../../src/base/random.ts";
import { reportError } from "../../src/cli/report-error.ts";
import { SubbyteError } from "../../src/errors.ts";
import { repositoryRoot } from "../support/repository.ts";
import type { FuzzFormat } from "./format.ts";
import { formats } from "./formats/index.ts";
import { plantedFormats } from "./formats/planted.ts";
import { guardFiles } from "./guard.ts";
import { type FuzzResult, fuzzTaskSchema } from "./protocol.ts";

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const controlCharacters = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/;

/** Above this the collector runs between inputs, so that memory counts for the input that takes it. */
const collectAbove = 600e6;

/** A lock's process is looked up in /proc. */
const guard = guardFiles([repositoryRoot, realpathSync(process.execPath), "/proc"]);
const cleanPrototype = Reflect.ownKeys(Object.prototype).length;

async function readOne(format: FuzzFormat, seed: number, index: number, folder: string): Promise<FuzzResult> {
  mkdirSync(folder, { recursive: true });
  await format.write(randomStream(seed, format.name, index), folder);
  guard.take();
  const start = performance.now();
  let kind: FuzzResult["kind"] = "success";
  let text = "";
  try {
    await format.read(folder);
  } catch (error) {
    kind = error instanceof SubbyteError ? "refused" : "defect";
    reportError(error, { stream: { write: (part) => (text += part) } });
  }
  const milliseconds = performance.now() - start;
  const outside = guard.take();
  if (Reflect.ownKeys(Object.prototype).length !== cleanPrototype) {
    kind = "defect";
    text = "Object.prototype was changed";
  }
  rmSync(folder, { recursive: true, force: true });
  return {
    format: format.name,
    index,
    kind,
    text: text.slice(0, 2000),
    milliseconds,
    outside: [...outside],
    control: controlCharacters.test(text),
  };
}

/** The format and the number in it of an input. */
function inputAt(names: readonly string[], position: number): { readonly format: FuzzFormat; readonly index: number } {
  const name = names[position % names.length];
  const format = [...formats, ...plantedFormats].find((known) => known.name === name);
  if (format === undefined) throw new Error(`there is no format ${name}`);
  return { format, index: Math.floor(position / names.length) };
}

process.on("message", (message) => {
  const task = fuzzTaskSchema.parse(message);
  void (async () => {
    for (let position = task.from; position < task.to; position++) {
      const { format, index } = inputAt(task.formats, position);
      guard.before = guard.folder;
      guard.folder = join(realpathSync(task.folder), String(index));
      process.send?.(await readOne(format, task.seed, index, guard.folder));
      if (process.memoryUsage().rss > collectAbove) globalThis.gc?.();
    }
  })();
});
process.send?.("ready");
