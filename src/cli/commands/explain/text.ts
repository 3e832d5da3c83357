/** An explanation as text for the terminal: the bits in effect, the tensors by kind, the findings with lines to change. */
import type {
  Change,
  Explanation,
  KindSummary,
  Remark,
  TensorExplanation,
  ValueRange,
} from "../../../qconfig/explain/types.ts";
import { type Line, styled } from "../../output.ts";
import { printableLine } from "../../view/printable.ts";
import { type Cell, tableLines } from "../../view/table.ts";
import { displayWidth } from "../../view/text-width.ts";

/** Title and width of a printed explanation. */
export interface ExplainTextOptions {
  readonly title: string;
  /** Columns of the terminal. */
  readonly width: number;
  /** Every tensor in a row of its own. */
  readonly verbose: boolean;
  /** Without notes, which ask for no change. */
  readonly quiet: boolean;
  /** The source of the ranges, when there are any. */
  readonly observedOn?: string;
  /** Remarks on how the configuration was read, each with its place. */
  readonly readingNotes?: readonly string[];
}

/** Returns the lines of the whole text. */
export function explainText(explanation: Explanation, options: ExplainTextOptions): Line[] {
  const { width, quiet } = options;
  const findings = explanation.findings.filter((finding) => finding.severity !== "info");
  const notes = explanation.findings.filter((finding) => finding.severity === "info");
  return [
    ...headline("activations", explanation.activations, explanation, options),
    ...headline("weights", explanation.weights, explanation, options),
    ...(options.readingNotes ?? []).flatMap((note) => wrapped(`note ${note}`, width, "  ")),
    "",
    ...wrapped(aboutLine(explanation, options), width, ""),
    ...tensorTable(explanation.tensors, options),
    ...findings.flatMap((finding) => ["", ...findingLines(finding, explanation, options)]),
    ...(quiet ? [] : notes.flatMap((finding) => ["", ...findingLines(finding, explanation, options)])),
    "",
    summaryLine(findings, notes),
  ];
}

/** Returns whether the requested bits are in effect and, if not, the line that restores them. */
function headline(
  name: "activations" | "weights",
  summary: KindSummary | null,
  { findings }: Explanation,
  { width }: ExplainTextOptions,
): Line[] {
  const title = name === "activations" ? "Activations" : "Weights";
  if (summary === null) return [`${title}: not quantized.`];
  const { bitsAsked, levelsAsked, levels, bits, levelsUsed } = summary;
  const asked = `${bitsAsked} bit${bitsAsked === 1 ? "" : "s"}`;
  const codes = `codes ${summary.codes}`;
  const inEffect = `The ${asked} of the ${name} ${bitsAsked === 1 ? "is" : "are"} in effect`;
  const others = wrapped(othersText(summary), width, "  ").filter((line) => line.trim() !== "");
  if (levelsUsed < levels) {
    const worth = Math.log2(levelsUsed);
    const effect = Number.isInteger(worth) ? String(worth) : worth.toFixed(1);
    const lost = findings.find(({ severity, evidence }) => severity === "error" && evidence.levelsUsed === levelsUsed);
    const text = `${title}: ${asked} requested, ${effect} in effect (${levelsUsed} of ${levels} levels can be used, ${codes}).`;
    const line = lost?.change == null ? [] : wrapped(changeText(lost.change), width, "  ");
    return [[styled(text, "bold", "red")], ...line, ...others];
  }
  if (levels === levelsAsked) {
    return [[styled(`${inEffect}: ${levels} levels, ${codes}.`, "green")], ...others];
  }
  if (levels === levelsAsked - 1) {
    return [[styled(`${inEffect} but for one level: ${levels} levels, ${codes}.`, "green")], ...others];
  }
  const real = Number.isInteger(bits) ? String(bits) : bits.toFixed(1);
  const text = `${title}: ${asked} requested, ${real} in effect (${levels} levels instead of ${levelsAsked}, ${codes}).`;
  const cause = findings.find(({ severity, code, evidence, change }) => {
    const isAboutLevels = code === "reduce-range" || code === "limits-lost";
    return severity === "error" && isAboutLevels && change !== null && evidence.levels === levels;
  });
  const line = cause?.change == null ? [] : wrapped(changeText(cause.change), width, "  ");
  return [[styled(text, "bold", levels < levelsAsked ? "red" : "yellow")], ...line, ...others];
}

/** What the headline does not hold for: tensors with other bits, or that none has the configuration's. */
function othersText({ tensors, bitsAsked, bitsOfConfig, others }: KindSummary): string {
  const counts = others.map(({ bitsAsked: bits, tensors: some }) => `${some} with ${bits} bit${bits === 1 ? "" : "s"}`);
  const more = counts.length === 0 ? "" : `Others: ${counts.join(", ")}, of ${tensors}.`;
  if (bitsOfConfig === undefined || bitsOfConfig === bitsAsked) return more;
  return `No tensor has the ${bitsOfConfig} bits of the configuration: rules for the first and the last layer, or overrides, give others. ${more}`.trim();
}

function aboutLine({ network, placement, tensors }: Explanation, { title, observedOn }: ExplainTextOptions): string {
  const where = placement === "fused" ? "at the inputs of layers" : "after every module";
  const seen = observedOn === undefined ? "" : ` Ranges: ${observedOn}.`;
  return `${title}, on ${network}: ${tensors.length} quantized tensors, ${where}.${seen}`;
}

function tensorTable(tensors: readonly TensorExplanation[], { width, verbose }: ExplainTextOptions): string[] {
  const hasRanges = tensors.some(({ observed }) => observed !== null);
  const columns = [
    "tensors",
    "quantizer",
    { title: "bits", align: "right" as const },
    { title: "levels", align: "right" as const },
    { title: "codes", align: "right" as const },
    ...(hasRanges ? ["observed", "can hold", { title: "codes used", align: "right" as const }] : []),
  ];
  const groups = verbose ? tensors.map((tensor) => [tensor]) : sameKind(tensors);
  const rows = groups.map((group): Cell[] => {
    const [first] = group;
    if (first === undefined) return [];
    const cells: Cell[] = [
      groupName(group),
      `${first.quantizer} ${first.granularity}`,
      first.bitsAsked,
      first.levels === first.levelsAsked ? String(first.levels) : `${first.levels} of ${first.levelsAsked}`,
      first.codes,
    ];
    return hasRanges ? [...cells, ...rangeCells(group)] : cells;
  });
  return tableLines(columns, rows, width);
}

/** Tensors that are quantized alike, in the order in which the first of each kind comes. */
function sameKind(tensors: readonly TensorExplanation[]): TensorExplanation[][] {
  const groups = new Map<string, TensorExplanation[]>();
  for (const tensor of tensors) {
    const { kind, quantizer, granularity, bitsAsked, codes, levels } = tensor;
    const key = JSON.stringify([kind, quantizer, granularity, bitsAsked, codes, levels]);
    groups.set(key, [...(groups.get(key) ?? []), tensor]);
  }
  return [...groups.values()].sort((a, b) => kindOrder(a) - kindOrder(b));
}

function kindOrder([first]: readonly TensorExplanation[]): number {
  return first?.kind === "activation" ? 0 : 1;
}

function groupName(group: readonly TensorExplanation[]): string {
  const [first, second] = group;
  if (first === undefined) return "";
  if (second === undefined) return first.name;
  return group.length === 2 ? `${first.name}, ${second.name}` : `${group.length} ${first.kind}s`;
}

/** Of several tensors the widest ranges, and the fewest and most codes. */
function rangeCells(group: readonly TensorExplanation[]): Cell[] {
  const used = group.flatMap(({ codesSeen }) => (codesSeen === null ? [] : [codesSeen]));
  const [fewest, most] = [Math.min(...used), Math.max(...used)];
  return [
    rangeText(group.map(({ observed }) => observed)),
    rangeText(group.map(({ representable }) => representable)),
    used.length === 0 ? null : fewest === most ? String(most) : `${fewest}–${most}`,
  ];
}

function rangeText(ranges: readonly (ValueRange | null)[]): Cell {
  const known = ranges.filter((range) => range !== null);
  if (known.length === 0) return null;
  const number = (value: number) => (value === 0 ? "0" : value.toPrecision(3));
  return `${number(Math.min(...known.map(({ min }) => min)))} … ${number(Math.max(...known.map(({ max }) => max)))}`;
}

function findingLines(finding: Remark, { tensors }: Explanation, { width }: ExplainTextOptions): Line[] {
  const { severity, code, what, change } = finding;
  const color = ({ error: "red", warning: "yellow", info: "dim" } as const)[severity];
  const word = severity === "info" ? "note" : severity;
  return [
    [styled(word, color, "bold"), ` ${code}, ${tensorsText(finding.tensors, tensors)}`],
    ...wrapped(what, width, "  "),
    ...(change === null ? [] : wrapped(changeText(change), width, "  ").map((line) => [styled(line, "cyan")])),
  ];
}

function tensorsText(names: readonly string[], all: readonly TensorExplanation[]): string {
  const kinds = new Set(all.filter(({ name }) => names.includes(name)).map(({ kind }) => kind));
  const [kind] = kinds;
  const word = kinds.size === 1 && kind !== undefined ? `${kind}s` : "tensors";
  const ofKind = all.filter((tensor) => tensor.kind === kind).length;
  if (names.length > 3 && names.length === ofKind && kinds.size === 1) return `all ${names.length} ${word}`;
  if (names.length <= 3) return names.join(", ");
  return `${names.length} ${word}: ${names.slice(0, 2).join(", ")}, …`;
}

function changeText({ from, to, where }: Change): string {
  return `change ${where === undefined ? "" : `${where}: `}${from}  →  ${to}`;
}

function summaryLine(findings: readonly Remark[], notes: readonly Remark[]): Line {
  const errors = findings.filter(({ severity }) => severity === "error").length;
  const warnings = findings.length - errors;
  if (findings.length === 0) {
    const noted = notes.length === 0 ? "" : ` ${count(notes.length, "note")}.`;
    return [styled(`No problems found.${noted}`, "green")];
  }
  return `${count(errors, "error")}, ${count(warnings, "warning")}, ${count(notes.length, "note")}.`;
}

function count(number: number, word: string): string {
  return `${number} ${word}${number === 1 ? "" : "s"}`;
}

/** Lines of at most `width` columns, each after the indent, broken at single spaces. */
function wrapped(text: string, width: number, indent: string): string[] {
  const limit = Math.max(40, Math.min(width, 120));
  const lines: string[] = [];
  let line = indent;
  for (const word of printableLine(text).split(/(?<! ) (?! )/)) {
    const joined = line === indent ? `${indent}${word}` : `${line} ${word}`;
    if (displayWidth(joined) <= limit || line === indent) line = joined;
    else {
      lines.push(line);
      line = `${indent}${word}`;
    }
  }
  return [...lines, line];
}
