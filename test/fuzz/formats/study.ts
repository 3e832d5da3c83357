/** Folders of studies, with any of their files damaged, replaced or left over, and configurations that `mix` writes. */

import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { RandomStream } from "../../../src/base/random.ts";
import { configToYaml, resolveTrainingConfig } from "../../../src/config/config.ts";
import { readConfigFile } from "../../../src/config/file.ts";
import { removeTemporaries } from "../../../src/io/atomic-file.ts";
import { writeReport } from "../../../src/report/write-report.ts";
import { resolveStudyConfig } from "../../../src/study/plan/config.ts";
import { lockStudy, readStudyConfig, studyPaths } from "../../../src/study/plan/folder.ts";
import { keepPlugins } from "../../../src/study/plan/plugins.ts";
import { readStudy } from "../../../src/study/result/read-study.ts";
import { runStudy } from "../../../src/study/run-study.ts";
import { damagedBytes, damagedText, type FuzzFormat, oddTexts, oneOf, putFiles } from "../format.ts";

const study = JSON.stringify({
  model: { name: "mlp", width: 4 },
  data: { trainLimit: 64, testLimit: 32, crop: 0, flip: false },
  train: { epochs: 1, batchSize: 32, optimizer: { learningRate: 0.02 } },
  float: { epochs: 1, learningRate: 0.05 },
  weightBits: [4, 2],
  activationBits: [4],
  recipes: ["lsq"],
  parallel: 2,
  threads: 1,
});

const wholeName = "whole study";

/** The files that each say something of the whole study, besides those of its trials. */
const ownFiles = ["study.yaml", "plan.json", "result.json", "study.db", "study.db.sha256", "study.lock", "fix.json"];

const words = [
  ...["null", "[]", "{}", "true", "-1", "1e300", '"lsq_W4A4_seed0"', '"finished"', '"../../x"', '"/etc/hostname"'],
  ...['{"pid":1}', '{"schemaVersion":2}', '"impossible"', "trials", "1", "4294967296"],
];

/** Replaces, damages, moves or removes one file. */
function damageFile(path: string, stream: RandomStream): void {
  const isThere = existsSync(path);
  if (!isThere || stream.integerBelow(8) === 0) {
    const content = oneOf(stream, [...words, ...oddTexts, String(process.pid), "1\n", "{"]);
    if (isThere) rmSync(path, { recursive: true });
    writeFileSync(path, content);
    return;
  }
  const bytes = readFileSync(path);
  const way = stream.integerBelow(10);
  if (way < 2) {
    rmSync(path);
    if (way === 1) mkdirSync(path);
  } else if (way === 2) writeFileSync(path, damagedBytes(bytes, stream));
  else if (way === 3) {
    const left = `.${basename(path)}.${2 ** 22 + stream.integerBelow(9)}.0-0-0.part`;
    writeFileSync(join(dirname(path), left), bytes);
  } else {
    const isText = /\.(json|jsonl|yaml|lock|sha256)$|SUMS$/.test(path);
    const damaged = isText ? damagedText(bytes.toString("utf8"), stream, words) : damagedBytes(bytes, stream);
    writeFileSync(path, damaged);
  }
}

function writeStudy(stream: RandomStream, folder: string): void {
  const copy = join(folder, "study");
  cpSync(join(dirname(folder), wholeName), copy, { recursive: true });
  for (let times = 1 + stream.integerBelow(3); times > 0; times--) {
    const all = readdirSync(copy, { recursive: true })
      .map((name) => join(copy, String(name)))
      .filter((path) => statSync(path).isFile());
    const own = ownFiles.map((name) => join(copy, name)).filter((path) => !existsSync(path) || statSync(path).isFile());
    damageFile(oneOf(stream, stream.integerBelow(2) === 0 && own.length > 0 ? own : all), stream);
  }
  if (stream.integerBelow(20) === 0) {
    rmSync(join(copy, "trials"), { recursive: true });
    writeFileSync(join(copy, "trials"), "");
  }
}

const mixed = `
model: { name: mlp, width: 8 }
quantization:
  preset: lsq
  weightBits: 4
  activationBits: 4
  overrides:
    - { layer: fc1, weight: { bits: 8 }, activation: { bits: 8 } }
    - { layer: "fc2.*", weight: { bits: 2 }, activation: float }
train: { epochs: 4, batchSize: 32, optimizer: { learningRate: 0.002 } }
`;

/** The state of a study, as it is resumed (without training) and reported, and what `mix` leaves. */
export const studyFormats: readonly FuzzFormat[] = [
  {
    name: "study resumed",
    prepare,
    write: writeStudy,
    read: async (folder) => {
      const paths = studyPaths(join(folder, "study"));
      const unlock = lockStudy(paths);
      try {
        await removeTemporaries(paths.folder, { recursive: true });
        await keepPlugins(paths, await readStudyConfig(paths.folder));
        await readStudy(paths.folder);
      } finally {
        unlock();
      }
    },
  },
  {
    name: "study reported",
    prepare,
    write: writeStudy,
    read: (folder) => writeReport(join(folder, "study")),
  },
  {
    name: "mix configuration",
    write: (stream, folder) =>
      putFiles(folder, { "mix.yaml": damagedText(mixed, stream, ["float", "**", "- {", "bits"]) }),
    read: async (folder) => {
      const config = resolveTrainingConfig(await readConfigFile(join(folder, "mix.yaml")));
      const text = configToYaml(config);
      if (configToYaml(resolveTrainingConfig({ name: "again", text })) !== text) throw new Error("it changes");
    },
  },
];

async function prepare(folder: string): Promise<void> {
  const whole = join(folder, wholeName);
  if (existsSync(whole)) return;
  await runStudy({ folder: whole, config: resolveStudyConfig({ name: "study", text: study }) });
}
