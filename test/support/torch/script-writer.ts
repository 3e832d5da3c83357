/**
 * Writes Python scripts from random QConfigs in many styles: where the arguments stand, how their numbers are computed, how
 * the QConfig reaches the model, and what stands around it. Each comes with the forms that it means and an expression that
 * gives the QConfig in Python, so that torch itself can be asked.
 */
import { randomStream } from "../../../src/base/random.ts";
import {
  FakeQuantize,
  type FakeQuantizeArguments,
  type FakeQuantizeForm,
  FusedMovingAvgObsFakeQuantize,
  HistogramObserver,
  MinMaxObserver,
  MovingAverageMinMaxObserver,
  MovingAveragePerChannelMinMaxObserver,
  type ObserverForm,
  PerChannelMinMaxObserver,
  QConfig,
} from "../../../src/qconfig/torch/torch.ts";
import { delivered, model, noise } from "./deliveries.ts";
import { StyleWriter } from "./style-writer.ts";

/** A script with its meaning. */
export interface WrittenScript {
  readonly text: string;
  /** The axes of variety, for counts: `deliver mapping`. */
  readonly styles: readonly string[];
  readonly qconfig: QConfig;
  /** Python that gives the QConfig after the script ran. */
  readonly probe: string;
}

const argumentNames: Readonly<Record<string, string>> = {
  quantMin: "quant_min",
  quantMax: "quant_max",
  dtype: "dtype",
  qscheme: "qscheme",
  reduceRange: "reduce_range",
  averagingConstant: "averaging_constant",
  chAxis: "ch_axis",
  eps: "eps",
};

function argumentText(writer: StyleWriter, name: string, value: unknown): string {
  if (typeof value === "boolean") return value ? "True" : "False";
  if (name === "dtype" || name === "qscheme") return `torch.${String(value)}`;
  if (name === "eps") return `2 ** ${Math.log2(Number(value))}`;
  if (name === "averagingConstant") return String(value);
  return writer.number(Number(value));
}

function pairs(writer: StyleWriter, args: FakeQuantizeArguments): [string, string][] {
  return Object.entries(args).flatMap(([name, value]): [string, string][] => {
    const python = argumentNames[name];
    return python === undefined ? [] : [[python, argumentText(writer, name, value)]];
  });
}

const observers: readonly ObserverForm[] = [
  MinMaxObserver,
  MovingAverageMinMaxObserver,
  PerChannelMinMaxObserver,
  MovingAveragePerChannelMinMaxObserver,
  HistogramObserver,
];

/** Arguments of a kind; some contradict themselves, as people's do. */
function randomArguments(
  writer: StyleWriter,
  kind: "activation" | "weight",
  observer: ObserverForm,
): FakeQuantizeArguments {
  const bits = 2 + Math.floor(writer.pick([0, 1, 2, 2, 2, 3, 4, 6]));
  const isPerChannel = observer.observer.includes("PerChannel");
  const signed = writer.chance(kind === "weight" ? 0.9 : 0.15);
  const limits = writer.pick(["full", "full", "full", "narrow", "none", "unsigned"] as const);
  const [min, max] = signed && limits !== "unsigned" ? [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] : [0, 2 ** bits - 1];
  const scheme =
    `per_${isPerChannel ? "channel" : "tensor"}_${writer.chance(kind === "weight" ? 0.8 : 0.2) ? "symmetric" : "affine"}` as const;
  return {
    ...(limits === "none" ? {} : { quantMin: limits === "narrow" && signed ? min + 1 : min, quantMax: max }),
    ...(signed && !writer.chance(0.05)
      ? { dtype: "qint8" as const }
      : writer.chance(0.6)
        ? { dtype: "quint8" as const }
        : {}),
    ...(writer.chance(0.8) ? { qscheme: scheme } : {}),
    ...(writer.chance(0.3) ? { reduceRange: writer.chance(0.5) } : {}),
    ...(writer.chance(0.15) ? { eps: 2 ** -12 } : {}),
    ...(isPerChannel && writer.chance(0.4) ? { chAxis: 0 } : {}),
    ...(observer.observer.startsWith("Moving") && writer.chance(0.2) ? { averagingConstant: 0.05 } : {}),
  };
}

function writeForm(
  writer: StyleWriter,
  kind: "activation" | "weight",
): { readonly form: FakeQuantizeForm; readonly text: string } {
  const isFused = writer.chance(0.25);
  const choices = isFused ? observers.filter(({ observer }) => observer.startsWith("Moving")) : observers;
  const observer = writer.pick(
    choices.filter(({ observer: name }) => kind === "weight" || !name.includes("PerChannel")),
  );
  const module = isFused ? FusedMovingAvgObsFakeQuantize : FakeQuantize;
  const args = randomArguments(writer, kind, observer);
  const place = writer.style("place", ["module", "observer", "chain", "partial"]);
  const [moduleName, observerName] = [writer.torch(module.module), writer.torch(observer.observer)];
  const text = (of: FakeQuantizeArguments) => writer.keywords(pairs(writer, of));
  const joined = (...parts: string[]) => parts.filter((part) => part !== "").join(", ");
  if (place === "module") {
    return {
      form: module.withArgs({ observer, ...args }),
      text: `${moduleName}.with_args(${joined(`observer=${observerName}`, text(args))})`,
    };
  }
  if (place === "observer") {
    const inner = `${observerName}.with_args(${text(args)})`;
    return {
      form: module.withArgs({ observer: observer.withArgs(args) }),
      text: `${moduleName}.with_args(observer=${inner})`,
    };
  }
  if (place === "partial") {
    writer.imports.add("from functools import partial");
    const inner = `partial(${joined(moduleName, `observer=${observerName}`, text(args))})`;
    return { form: module.withArgs({ observer, ...args }), text: inner };
  }
  const name = writer.fresh("base");
  writer.setup.push(`${name} = ${moduleName}.with_args(observer=${observerName})`);
  return { form: module.withArgs({ observer }).withArgs(args), text: `${name}.with_args(${text(args)})` };
}

/** Writes script number `index` of a seed. */
export function writeTorchScript(seed: number, index: number): WrittenScript {
  const writer = new StyleWriter(randomStream(seed, "script", index));
  const activation = writer.chance(0.1) ? null : writeForm(writer, "activation");
  const weight = writer.chance(0.1) && activation !== null ? null : writeForm(writer, "weight");
  const none = () => (writer.chance(0.5) ? "None" : "torch.nn.Identity");
  const parts = [activation?.text ?? none(), weight?.text ?? none()];
  const named = writer.style("parts", ["inline", "variables"]) === "variables";
  if (named) parts.forEach((text, i) => void writer.setup.push(`${i === 0 ? "act" : "wt"} = ${text}`));
  const [a = "", w = ""] = named ? ["act", "wt"] : parts;
  const isPositional = writer.style("arguments", ["keywords", "positions"]) === "positions";
  const made = `${writer.torch("QConfig")}(${isPositional ? `${a}, ${w}` : `activation=${a}, weight=${w}`})`;
  const decoy = `${writer.torch("QConfig")}(activation=${writer.torch("default_fake_quant")}, weight=${writer.torch("default_weight_fake_quant")})`;
  const { body, probe } = delivered(writer, made, decoy);
  const around = Array.from({ length: 3 }, () => (writer.chance(0.6) ? writer.pick(noise) : []));
  const lines = [
    "import torch",
    ...writer.imports,
    "",
    ...model,
    "",
    ...(around[0] ?? []),
    ...writer.setup,
    ...(around[1] ?? []),
    ...body,
    ...(around[2] ?? []),
  ];
  const qconfig = new QConfig({ activation: activation?.form ?? null, weight: weight?.form ?? null });
  return { text: `${lines.join("\n")}\n`, styles: writer.styles, qconfig, probe };
}
