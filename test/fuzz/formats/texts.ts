/** Texts that people write: configurations of runs and of studies, and Python with a QConfig. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { configToYaml, resolveTrainingConfig } from "../../../src/config/config.ts";
import { readConfigFile } from "../../../src/config/file.ts";
import { quantizationConfigOf } from "../../../src/qconfig/torch/convert.ts";
import { parseTorchConfig } from "../../../src/qconfig/torch/text.ts";
import { resolveStudyConfig, studyToYaml } from "../../../src/study/plan/config.ts";
import { damagedText, type FuzzFormat, oneOf, putFiles } from "../format.ts";

const yamlSigns = [
  "&a",
  "*a",
  "<<: *a",
  "<<: 3",
  "!!binary",
  "!!js/function 'f'",
  "!!set",
  "- ",
  "? ",
  "|",
  ">",
  "~",
  "{}",
  "[]",
  "---",
  "...",
  "%TAG ! x:",
  "\t",
  ".inf",
  ".nan",
  "0x10",
  "2001-01-01",
  "1_000",
];

const training = `
# a comment
model: {name: resnet8, width: 8}
data:
  folder: images
  crop: 2
  flip: true
quantization:
  preset: lsq
  weightBits: 4
  activationBits: 4
train:
  epochs: 3
  batchSize: 64
  optimizer: {name: sgd, learningRate: 0.01, momentum: 0.9, weightDecay: 1e-4}
  schedule: {name: cosine}
seed: 7
`;

const study = `
model: {name: mlp, width: 8}
data: {trainLimit: 128, testLimit: 64, crop: 0, flip: false}
train:
  epochs: 2
  batchSize: 32
  optimizer: {learningRate: 0.02}
float: {epochs: 2, learningRate: 0.05}
weightBits: [4, 2]
activationBits: &bits [4, 8]
recipes:
  - lsq
  - name: mine
    preset: pact
    epochs: 3
seeds: [0, 1]
parallel: 2
threads: 1
fix: {remedies: 2}
`;

const python = `
import torch.ao.quantization as tq
def threadq(wb=4, ab=2**2):
    fa = tq.FakeQuantize.with_args(observer=tq.MovingAverageMinMaxObserver.with_args(quant_min=0, quant_max=2**ab-1,
        dtype=torch.quint8, qscheme=torch.per_tensor_affine, reduce_range=True))
    fw = tq.FakeQuantize.with_args(observer=tq.MovingAveragePerChannelMinMaxObserver,
        quant_min=-(2**wb)//2, quant_max=(2**wb)//2-1, dtype=torch.qint8, qscheme=torch.per_channel_symmetric, ch_axis=0)
    return tq.QConfig(activation=fa, weight=fw)
`;

const pythonSigns = [
  "**",
  "2**99**9",
  "<<",
  "1<<1000000",
  "lambda:",
  '"""',
  "\\",
  "#",
  "(",
  ")",
  "[",
  "=",
  ",",
  "-",
  "~",
  "0x",
];

/** Configurations as text files. */
export const textFormats: readonly FuzzFormat[] = [
  {
    name: "YAML of a run",
    write: (stream, folder) => putFiles(folder, { "run.yaml": damagedText(training, stream, yamlSigns) }),
    read: async (folder) => {
      const config = resolveTrainingConfig(await readConfigFile(join(folder, "run.yaml")));
      const text = configToYaml(config);
      const again = configToYaml(resolveTrainingConfig({ name: "again", text }));
      if (again !== text) throw new Error(`the configuration changes when it is written:\n${text}\n${again}`);
    },
  },
  {
    name: "YAML of a study",
    write: (stream, folder) => putFiles(folder, { "study.yaml": damagedText(study, stream, yamlSigns) }),
    read: async (folder) => {
      const config = resolveStudyConfig(await readConfigFile(join(folder, "study.yaml")));
      const text = studyToYaml(config);
      const again = studyToYaml(resolveStudyConfig({ name: "again", text }));
      if (again !== text) throw new Error(`the configuration changes when it is written:\n${text}\n${again}`);
    },
  },
  {
    name: "Python",
    write: (stream, folder) => {
      putFiles(folder, { "qconfig.py": damagedText(python, stream, [...pythonSigns, oneOf(stream, pythonSigns)]) });
    },
    read: (folder) => {
      const text = readFileSync(join(folder, "qconfig.py"), "utf8");
      const { qconfig, placement } = parseTorchConfig({ name: "qconfig.py", text });
      quantizationConfigOf(qconfig, { placement });
    },
  },
];
