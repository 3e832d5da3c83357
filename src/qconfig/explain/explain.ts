/**
 * Explains the effect of a configuration on a network: requested and effective levels, ranges, repeated quantization,
 * and the traps that it steps into, as data. `compile/explain.ts` has the forms that know the operators.
 */
import { defined } from "../../base/defined.ts";
import { type Graph, producers } from "../../ir/graph.ts";
import type { QuantizerSpec } from "../../quantizers/definition.ts";
import { isFakeQuantize } from "../../quantizers/fake-quantize.ts";
import { quantizerNamed } from "../../quantizers/index.ts";
import type { QuantizationConfig } from "../config.ts";
import { type QuantizedPath, quantizedPaths, type TraitsOf } from "./path.ts";
import type { RuleRemark, Subject } from "./rule.ts";
import { rules } from "./rules.ts";
import type {
  ChangeRequest,
  ChangeVoice,
  ExplainedSite,
  Explanation,
  KindSummary,
  Observation,
  Remark,
  TensorExplanation,
} from "./types.ts";
import { libraryVoice } from "./voice.ts";

/** A network with quantizers, as far as an explanation needs it. */
export interface ExplainedNetwork {
  readonly name: string;
  readonly graph: Graph;
  readonly sites: readonly ExplainedSite[];
}

/** What an explanation needs of a configuration; without its bits the summary is about those of most tensors. */
export type ExplainedConfig = Pick<QuantizationConfig, "placement"> &
  Partial<Pick<QuantizationConfig, "weight" | "activation">>;

/** Inputs of an explanation besides the configuration. */
export interface ExplainOptions {
  /** Observations on a batch of data, by site name. */
  readonly observed?: ReadonlyMap<string, Observation>;
  /** In which words the lines to change are given. */
  readonly voice?: ChangeVoice;
}

const severities: readonly Remark["severity"][] = ["error", "warning", "info"];

/** Explains a quantized network, with what is known of its operators. */
export function explainSites(
  network: ExplainedNetwork,
  config: ExplainedConfig,
  traitsOf: TraitsOf,
  options: ExplainOptions,
): Explanation {
  const { observed = new Map<string, Observation>(), voice = libraryVoice } = options;
  const activations = network.sites.filter(({ kind }) => kind === "activation");
  const paths = quantizedPaths(network.graph, new Set(activations.map(({ id }) => id)), traitsOf);
  const subjects = subjectsOf(network, observed, paths, traitsOf);
  const remarks = subjects.flatMap((subject) =>
    rules.flatMap((rule) => {
      const remark = rule(subject);
      return remark === undefined ? [] : [{ remark, tensor: subject.tensor }];
    }),
  );
  const findings = [...grouped(remarks, voice), ...repeated(paths.complete, network.sites, voice)];
  const tensors = subjects.map(({ tensor }) => tensor);
  const used = new Map<TensorExplanation, number>();
  for (const { remark, tensor } of remarks) {
    const { levelsUsed } = remark.evidence;
    if (levelsUsed !== undefined && remark.severity === "error") used.set(tensor, levelsUsed);
  }
  return {
    schemaVersion: 1,
    network: network.name,
    placement: config.placement,
    weights: summaryOf(
      tensors.filter(({ kind }) => kind === "weight"),
      used,
      config.weight?.bits,
    ),
    activations: summaryOf(
      tensors.filter(({ kind }) => kind === "activation"),
      used,
      config.activation?.bits,
    ),
    tensors,
    findings: findings.sort((a, b) => severities.indexOf(a.severity) - severities.indexOf(b.severity)),
  };
}

function subjectsOf(
  network: ExplainedNetwork,
  observed: ReadonlyMap<string, Observation>,
  paths: ReturnType<typeof quantizedPaths>,
  traitsOf: TraitsOf,
): Subject[] {
  const madeBy = producers(network.graph);
  const nodes = new Map(network.graph.nodes.filter(isFakeQuantize).map((node) => [node.name, node]));
  const layers = network.graph.nodes.filter((node) => traitsOf(node).layer !== undefined);
  const [first, last] = [layers[0]?.name, layers.at(-1)?.name];
  return network.sites.map((site) => {
    const { spec } = site;
    const bitsAsked = site.asked?.bits ?? spec.bits;
    const observation = observed.get(site.id);
    const [input] = nodes.get(site.id)?.inputs ?? [];
    const source = input === undefined ? undefined : madeBy.get(input);
    const tensor: TensorExplanation = {
      name: site.tensor,
      kind: site.kind,
      layer: site.layer,
      shape: input?.type.shape ?? [],
      quantizer: spec.quantizer,
      granularity: granularityOf(site),
      bitsAsked,
      levelsAsked: 2 ** bitsAsked,
      quantMin: spec.quantMin,
      quantMax: spec.quantMax,
      codes: codesText(spec),
      levels: quantizerNamed(spec.quantizer).levels(spec),
      nonNegative: spec.nonNegative === true || (source !== undefined && traitsOf(source).nonNegative === "always"),
      timesQuantized: paths.pathTo.get(site.id)?.sites.length ?? 1,
      observed: observation === undefined ? null : { min: observation.min, max: observation.max },
      representable: observation?.representable ?? null,
      codesSeen: observation?.codesSeen ?? null,
      deadShare: observation?.deadShare ?? null,
    };
    return {
      site,
      tensor,
      observation,
      beforeRelu: paths.beforeRelu.has(site.id),
      isFirst: site.layer === first,
      isLast: site.layer === last,
    };
  });
}

function granularityOf({ spec }: ExplainedSite): string {
  if (spec.groupSize !== undefined) return `per group of ${spec.groupSize}`;
  return spec.channelAxis === undefined ? "per tensor" : "per channel";
}

function codesText(spec: QuantizerSpec): string {
  const codes = quantizerNamed(spec.quantizer).integers?.codes(spec);
  if (codes === undefined) return `${spec.quantMin}..${spec.quantMax}`;
  const [low = 0, high = 0] = [codes[0], codes.at(-1)];
  if (codes.length <= 3) return codes.join(", ");
  return high - low + 1 === codes.length ? `${low}..${high}` : `${codes.length} of ${low}..${high}`;
}

/** One finding for all tensors of which the same is said. */
function grouped(
  remarks: readonly { readonly remark: RuleRemark; readonly tensor: TensorExplanation }[],
  voice: ChangeVoice,
): Remark[] {
  const groups = new Map<string, { remark: RuleRemark; tensors: string[]; evidence: Record<string, number> }>();
  for (const { remark, tensor } of remarks) {
    // The share of a ReLU's loss differs from tensor to tensor; the rest of the sentence does not.
    const key = `${remark.code}|${tensor.kind}|${remark.what.replaceAll(/about [\d.]+ %/g, "part")}`;
    const group = groups.get(key);
    if (group === undefined) {
      groups.set(key, { remark, tensors: [tensor.name], evidence: { ...remark.evidence } });
      continue;
    }
    group.tensors.push(tensor.name);
    for (const [name, value] of Object.entries(remark.evidence)) {
      const other = group.evidence[name] ?? value;
      const worse = /(Share|Min)$/.test(name) ? value < other : value > other;
      if (worse && name === "usefulShare") group.remark = remark;
      group.evidence[name] = worse ? value : other;
    }
  }
  return [...groups.values()].map(({ remark, tensors, evidence }) => ({
    code: remark.code,
    severity: remark.severity,
    tensors,
    what: remark.what,
    evidence,
    change: spoken(remark.change, voice),
  }));
}

function spoken(request: ChangeRequest | null, voice: ChangeVoice) {
  return request === null ? null : voice(request);
}

/** Ways on which a value is quantized more than once between two layers. */
function repeated(paths: readonly QuantizedPath[], sites: readonly ExplainedSite[], voice: ChangeVoice): Remark[] {
  const names = new Map(sites.map((site) => [site.id, site.tensor]));
  const groups = new Map<string, QuantizedPath[]>();
  for (const path of paths) {
    if (path.sites.length < 2) continue;
    const key = path.operators.join(" → ");
    groups.set(key, [...(groups.get(key) ?? []), path]);
  }
  return [...groups].map(([operators, same]) => {
    const times = same[0]?.sites.length ?? 0;
    return {
      code: "quantized-repeatedly",
      severity: "warning",
      tensors: same.map(({ sites: way }) => names.get(way.at(-1) ?? "") ?? ""),
      what: `${operators}: a value is rounded ${times} times on its way to the next layer, and every rounding adds its error.`,
      evidence: { times, places: same.length },
      change: voice({ kind: "network", key: "placement", from: "everyModule", to: "fused" }),
    };
  });
}

/** The levels of the tensors with the configuration's bits, which the first and the last layer may not have. */
function summaryOf(
  tensors: readonly TensorExplanation[],
  used: ReadonlyMap<TensorExplanation, number>,
  bitsOfConfig: number | undefined,
): KindSummary | null {
  const counts = new Map<string, { readonly tensor: TensorExplanation; count: number }>();
  for (const tensor of tensors) {
    const key = `${tensor.bitsAsked}|${tensor.levels}|${tensor.codes}|${used.get(tensor)}`;
    const entry = counts.get(key);
    if (entry === undefined) counts.set(key, { tensor, count: 1 });
    else entry.count++;
  }
  const hasBitsOfConfig = ({ tensor }: { readonly tensor: TensorExplanation }) => tensor.bitsAsked === bitsOfConfig;
  const kinds = [...counts.values()].sort(
    (a, b) => Number(hasBitsOfConfig(b)) - Number(hasBitsOfConfig(a)) || b.count - a.count,
  );
  const [most] = kinds;
  if (most === undefined) return null;
  const { bitsAsked, levelsAsked, levels, codes } = most.tensor;
  return {
    tensors: tensors.length,
    ...defined({ bitsOfConfig }),
    others: othersThan(bitsAsked, tensors),
    bitsAsked,
    levelsAsked,
    levels,
    bits: Math.log2(levels),
    codes,
    levelsUsed: used.get(most.tensor) ?? levels,
  };
}

/** Tensors with other bits, counted by bits, the fewest bits first. */
function othersThan(bits: number, tensors: readonly TensorExplanation[]): KindSummary["others"] {
  const counts = new Map<number, number>();
  for (const { bitsAsked } of tensors) counts.set(bitsAsked, (counts.get(bitsAsked) ?? 0) + 1);
  counts.delete(bits);
  return [...counts].sort(([a], [b]) => a - b).map(([bitsAsked, count]) => ({ bitsAsked, tensors: count }));
}
