/** The flags of `subbyte study` as overrides of its configuration. */

import { resolve } from "node:path";
import { type ConfigOverride, parseScalar } from "../../../config/source.ts";
import { ConfigError } from "../../../errors.ts";
import { type FlagTexts, flagOverrides, setOverrides } from "../../flag-overrides.ts";
import { pluginOverrides } from "../../plugins.ts";
import { dataOverrides, modelOverrides } from "../../train-overrides.ts";

/** Flags with one value: the property, the flag as written, and the configuration key. */
const valueFlags = [
  ["trainLimit", "--train-limit", "data.trainLimit"],
  ["testLimit", "--test-limit", "data.testLimit"],
  ["epochs", "--epochs", "train.epochs"],
  ["batch", "--batch", "train.batchSize"],
  ["lr", "--lr", "train.optimizer.learningRate"],
  ["floatEpochs", "--float-epochs", "float.epochs"],
  ["earlyStopping", "--early-stopping", "earlyStopping.rule"],
  ["maxBytes", "--max-bytes", "budget.bytes"],
  ["maxBitOperations", "--max-bit-operations", "budget.bitOperations"],
  ["device", "--device", "device"],
  ["threads", "--threads", "threads"],
] as const;

/** Flags with a comma-separated list. */
const listFlags = [
  ["weightBits", "--weight-bits", "weightBits"],
  ["activationBits", "--activation-bits", "activationBits"],
  ["recipes", "--recipes", "recipes"],
] as const;

/** The flags of `subbyte study` that set configuration keys, as text: the schema checks them. */
export interface StudyConfigFlags extends FlagTexts<typeof valueFlags | typeof listFlags> {
  readonly set?: readonly string[];
  readonly model?: string;
  readonly data?: string;
  readonly seeds?: string;
  readonly from?: string;
  readonly fix?: true;
  readonly resume?: string | true;
  readonly diagnose: boolean;
  readonly stopOnFault?: true;
}

/** Returns the overrides that the flags set. `--set` comes first, so that a dedicated flag wins over it. */
export function studyOverrides(flags: StudyConfigFlags): ConfigOverride[] {
  const overrides = [
    ...setOverrides(flags.set),
    ...pluginOverrides(),
    ...modelOverrides(flags),
    ...dataOverrides(flags),
  ];
  overrides.push(
    ...flagOverrides(flags, valueFlags, parseScalar),
    ...flagOverrides(flags, listFlags, (text) => text.split(",").map((item) => parseScalar(item.trim()))),
  );
  if (flags.from !== undefined) {
    overrides.push({ path: "float", value: { from: resolve(flags.from) }, origin: `--from ${flags.from}` });
  }
  // A resumed study keeps its configuration; with --resume, --fix is handled outside of it.
  if (flags.fix === true && flags.resume === undefined) {
    overrides.push({ path: "fix", value: true, origin: "--fix" });
  }
  if (!flags.diagnose) overrides.push({ path: "diagnose", value: false, origin: "--no-diagnose" });
  if (flags.stopOnFault === true) overrides.push({ path: "stopOnFault", value: true, origin: "--stop-on-fault" });
  if (flags.seeds !== undefined) overrides.push(seedsOverride(flags.seeds));
  return overrides;
}

function seedsOverride(text: string): ConfigOverride {
  const origin = `--seeds ${text}`;
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1 || count > 1000) {
    const remedy = "For seeds of your own: --set 'seeds=[3, 14]'.";
    throw new ConfigError("expected a number of seeds from 1 to 1000", { where: origin, remedy });
  }
  return { path: "seeds", value: Array.from({ length: count }, (_, seed) => seed), origin };
}
