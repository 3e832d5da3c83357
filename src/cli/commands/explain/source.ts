/** Reads the argument CONFIG of `subbyte explain`. */

import { stat } from "node:fs/promises";
import { text as readStream } from "node:stream/consumers";
import { didYouMean } from "../../../base/nearest-word.ts";
import { overrideTargets } from "../../../compile/override-targets.ts";
import { resolveTrainingConfig } from "../../../config/config.ts";
import { readConfigFile } from "../../../config/file.ts";
import { quantizationOf } from "../../../config/quantization.ts";
import type { TrainingConfig } from "../../../config/schema/schema.ts";
import { mostTextBytes } from "../../../config/source.ts";
import { ConfigError, InputOutputError, SubbyteError } from "../../../errors.ts";
import { readTextLimited } from "../../../io/read-limited.ts";
import { describeSystemError } from "../../../io/system-error.ts";
import type { Network } from "../../../ir/network.ts";
import type { QuantizationConfig } from "../../../qconfig/config.ts";
import type { ChangeVoice } from "../../../qconfig/explain/types.ts";
import { trainingVoice } from "../../../qconfig/explain/voice.ts";
import { presetNamed, presetNames } from "../../../qconfig/presets.ts";
import { quantizationConfigOf } from "../../../qconfig/torch/convert.ts";
import { torchQuantization } from "../../../qconfig/torch/modules.ts";
import type { Definitions } from "../../../qconfig/torch/script.ts";
import { parseTorchConfig, type TorchSource } from "../../../qconfig/torch/text.ts";
import { torchVoice } from "../../../qconfig/torch/voice.ts";
import { type LoadedRun, loadRun } from "../../../train/load-run.ts";
import { printNotesOn } from "../../output.ts";

/** The flags of `subbyte explain`. */
export interface ExplainFlags {
  readonly weightBits?: number;
  readonly activationBits?: number;
  readonly placement?: "fused" | "everyModule";
  readonly define?: readonly string[];
  readonly data?: string;
  readonly stripQuantizers?: true;
  readonly from?: string;
  readonly threads: number;
  readonly json?: true;
  readonly quiet?: true;
  readonly verbose?: true;
}

/** The configuration for one network. */
export interface NetworkConfig {
  readonly config: QuantizationConfig;
  /** Remarks on how CONFIG was read, each with its place. */
  readonly notes: readonly string[];
}

/** A configuration to explain. */
export interface ExplainSource {
  /** Its name in the output. */
  readonly title: string;
  readonly config: QuantizationConfig;
  /** Where the network's layers decide it: the configuration for one network, and notes about it. */
  readonly forNetwork?: (network: Network, config: QuantizationConfig) => NetworkConfig;
  readonly voice: ChangeVoice;
  /** The training configuration that names model and data; that of the defaults where CONFIG is none. */
  readonly training: TrainingConfig;
  /** Present when CONFIG is a run: its network and data. */
  readonly run?: LoadedRun;
}

/** Reads CONFIG. @throws ConfigError or InputOutputError saying what it could have been. */
export async function readExplainSource(argument: string, flags: ExplainFlags): Promise<ExplainSource> {
  const source = await readAny(argument, flags);
  if (flags.placement === undefined) return source;
  if (source.run !== undefined) {
    throw new ConfigError("a run has its own placement", { where: "--placement", remedy: "Leave it out." });
  }
  return { ...source, config: { ...source.config, placement: flags.placement } };
}

async function readAny(argument: string, flags: ExplainFlags): Promise<ExplainSource> {
  if (presetNames().includes(argument)) return fromPreset(argument, flags);
  refuse(flags.weightBits !== undefined, "--weight-bits", argument);
  refuse(flags.activationBits !== undefined, "--activation-bits", argument);
  if (argument === "-") return fromTorch({ name: "standard input", text: await readStream(process.stdin) }, flags);
  const entry = await stat(argument).catch(() => undefined);
  if (entry === undefined) throw unknownSource(argument);
  if (/\.(py|txt)$/i.test(argument)) return fromTorch({ name: argument, text: await read(argument) }, flags);
  if (flags.define !== undefined) {
    const remedy = "Leave it out: it sets variables of Python code.";
    throw new ConfigError(`${argument} is not Python code`, { where: `--define ${flags.define[0]}`, remedy });
  }
  if (entry.isDirectory() || /\.safetensors$/i.test(argument)) return fromRun(argument);
  return fromTraining(argument);
}

function refuse(given: boolean, flag: string, argument: string): void {
  if (!given) return;
  throw new ConfigError(`${argument} has its own bit widths`, {
    where: flag,
    remedy: "Leave it out: it belongs to presets. Set variables of Python code with --define.",
  });
}

function unknownSource(argument: string): ConfigError {
  return new ConfigError("there is no such preset, file or run", {
    where: argument,
    remedy: didYouMean(argument, presetNames()) ?? `The presets are ${presetNames().join(", ")}.`,
  });
}

async function read(file: string): Promise<string> {
  return readTextLimited(file, mostTextBytes).catch((cause: unknown) => {
    if (cause instanceof SubbyteError) throw cause;
    const { reason, remedy } = describeSystemError(cause);
    throw new InputOutputError(`cannot read it: ${reason}`, {
      where: file,
      ...(remedy === undefined ? {} : { remedy }),
      cause,
    });
  });
}

function fromPreset(name: string, flags: ExplainFlags): ExplainSource {
  const { weightBits = 4, activationBits = 4 } = flags;
  if (flags.define !== undefined) {
    throw new ConfigError("a preset has no variables", {
      where: "--define",
      remedy: "Use --weight-bits and --activation-bits.",
    });
  }
  return {
    title: `preset ${name}, W${weightBits}A${activationBits}`,
    config: presetNamed(name, { weightBits, activationBits }),
    voice: trainingVoice(name),
    training: resolveTrainingConfig(undefined),
  };
}

function fromTorch(source: TorchSource, flags: ExplainFlags): ExplainSource {
  const parsed = parseTorchConfig(source, definitions(flags.define ?? []));
  return {
    title: `the QConfig in ${source.name}`,
    config: quantizationConfigOf(parsed.qconfig, { placement: parsed.placement }),
    forNetwork: (network, { placement, residualBits }) => {
      const targets = overrideTargets(network, { placement, residualBits });
      const { config, notes } = torchQuantization({ ...parsed, placement }, targets);
      return {
        config,
        notes: [
          ...parsed.notes.map(({ where, text }) => `${where}: ${text}`),
          ...notes.map((text) => `${source.name}: ${text}`),
        ],
      };
    },
    voice: torchVoice(parsed),
    training: resolveTrainingConfig(undefined),
  };
}

function definitions(flags: readonly string[]): Definitions {
  return Object.fromEntries(
    flags.map((flag) => {
      const [name = "", text = ""] = flag.split(/=(.*)/s).map((part) => part.trim());
      if (name === "" || text === "") {
        throw new ConfigError("expected name=value", {
          where: `--define ${flag}`,
          remedy: "Write for example --define bits=4.",
        });
      }
      const number = Number(text);
      const truth = text === "True" ? true : text === "False" ? false : undefined;
      return [name, Number.isFinite(number) ? number : (truth ?? text)];
    }),
  );
}

async function fromTraining(file: string): Promise<ExplainSource> {
  const source = await readConfigFile(file);
  const training = resolveTrainingConfig(source);
  const config = quantizationFrom(training, file);
  const lines = source.text.split("\n");
  const locate = (key: string) => {
    const line = lines.findIndex((text) => new RegExp(`^\\s*"?${key.split(".").at(-1)}"?\\s*:`).test(text));
    return line < 0 ? undefined : `${file}:${line + 1}`;
  };
  return { title: file, config, voice: trainingVoice(training.quantization?.preset ?? "", locate), training };
}

async function fromRun(path: string): Promise<ExplainSource> {
  const run = await loadRun(path);
  printNotesOn(run.notes, {});
  const config = quantizationFrom(run.config, path);
  const voice = trainingVoice(run.config.quantization?.preset ?? "");
  return { title: `the run ${path}`, config, voice, training: run.config, run };
}

function quantizationFrom(training: TrainingConfig, where: string): QuantizationConfig {
  if (training.quantization !== null) return quantizationOf(training.quantization);
  throw new ConfigError("it trains in float, without quantizers", {
    where,
    remedy: "Explain a preset with its weights: subbyte explain lsq --from RUN.",
  });
}
