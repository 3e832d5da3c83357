/** docs/networks.md, from the rows of a results file. */

import { metricNames } from "../../src/runs/ablation.ts";
import { metricTitle, showMetric } from "../../src/train/loop/metric-text.ts";
import { isExact, type Row } from "./row.ts";

/** The page and what it says of networks that were not measured. */
export interface PageInput {
  readonly rows: readonly Row[];
  /** Names of the folder's networks that have no row. */
  readonly pending: readonly string[];
  readonly date: string;
}

const number = (value: number) => value.toLocaleString("en-US");
const escaped = (text: string) => text.replaceAll("|", "\\|").replaceAll("\n", " ").replaceAll("<", "&lt;");

function kilobytes(bytes: number | undefined): string {
  return bytes === undefined ? "" : number(Math.round(bytes / 1000));
}

function score(metric: string | undefined, value: number | undefined): string {
  const known = metricNames.find((name) => name === metric);
  return value === undefined || known === undefined ? "" : showMetric(known, value);
}

function time(value: number | undefined): string {
  return value === undefined ? "" : value.toPrecision(3);
}

/** `0 of 1,074,208`; nothing where the stage was not reached. */
function codes(row: Row, program: string): string {
  const found = row.programs?.find((one) => one.program === program);
  return found === undefined ? "" : `${number(found.mismatches)} of ${number(found.compared)}`;
}

function cCodes({ c }: Row): string {
  if (c === undefined || typeof c === "string") return "";
  return `${number(c.mismatches)} of ${number(c.compared)}`;
}

function loss({ training }: Row): string {
  return training === undefined ? "" : `${training.first.toPrecision(3)} → ${training.last.toPrecision(3)}`;
}

/** Operators with their number where it is above one. */
function tailText(operators: readonly string[]): string {
  if (operators.length === 0) return "outputs joined or averaged";
  const kinds = [...new Set(operators)];
  const count = (kind: string) => operators.filter((each) => each === kind).length;
  return kinds.map((kind) => (count(kind) === 1 ? kind : `${count(kind)} ${kind}`)).join(", ");
}

function outcome(row: Row): string {
  if (isExact(row)) return row.tail === undefined ? "integers" : `integers; float tail: ${tailText(row.tail)}`;
  if (row.imported === undefined) return "not read";
  if (row.training === undefined) return "not trained";
  if (row.converted === undefined) return "not converted";
  if (row.converted.length > 0) return "refused";
  if (row.programs === undefined) return "not compared";
  return row.programs.some((one) => one.mismatches > 0) ? "codes differ" : "C differs";
}

function line(cells: readonly string[]): string {
  return `| ${cells.map(escaped).join(" | ")} |`;
}

function table(titles: readonly string[], rows: readonly (readonly string[])[]): string[] {
  return [line(titles), `|${titles.map((_, i) => (i === 0 ? "---" : "---:")).join("|")}|`, ...rows.map(line)];
}

/** Every reason that keeps a network from integers, or a program from the same codes. */
function reasonsOf(row: Row): string[] {
  const { c } = row;
  return [
    ...(row.ended === undefined ? [] : [`ended: ${row.ended}`]),
    ...(row.converted ?? []),
    ...(row.programs ?? []).flatMap(({ program, first }) => (first === undefined ? [] : [`${program}: ${first}`])),
    ...(c !== undefined && typeof c !== "string" && c.first !== undefined ? [`C: ${c.first}`] : []),
  ];
}

/** Networks whose loss did not fall. */
function risen(rows: readonly Row[]): Row[] {
  return rows.filter(({ training }) => training !== undefined && !(training.last < training.first));
}

function groupLine(group: string, rows: readonly Row[]): string[] {
  const own = rows.filter((row) => row.group === group);
  return [group, String(own.length), String(own.filter(isExact).length)];
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
}

/** Speed of the int file in relation to others, where both were measured. */
function speedLines(rows: readonly Row[]): string[] {
  const ratio = (of: "float" | "int8") =>
    rows.flatMap(({ milliseconds: ms }) => {
      const [other, int] = [ms?.[of], ms?.int];
      return other === undefined || int === undefined ? [] : [other / int];
    });
  const [float, int8] = [ratio("float"), ratio("int8")];
  if (float.length === 0) return [];
  const shown = (ratios: readonly number[]) =>
    `${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)} times, in the middle ${median(ratios).toFixed(2)} times`;
  return [
    `The time of the float file is ${shown(float)} that of the \`int\` file (${float.length} networks)` +
      (int8.length === 0 ? "." : `; that of ONNX Runtime's own int8 is ${shown(int8)} (${int8.length} networks).`),
    "",
  ];
}

/** Returns the page as text. */
export function networksPage({ rows, pending, date }: PageInput): string {
  const sorted = rows.toSorted((a, b) => a.parameters - b.parameters);
  const exact = sorted.filter(isExact);
  const failing = sorted.filter((row) => reasonsOf(row).length > 0);
  const steps = sorted.flatMap(({ training }) => (training === undefined ? [] : [training.steps]));
  const bits = [...new Set(sorted.flatMap((row) => (row.bits === undefined ? [] : [`W${row.bits}A${row.bits}`])))];
  const others = sorted.flatMap(({ name, rate = 0.001 }) => (rate === 0.001 ? [] : [`${name}: ${rate}`]));
  const rise = risen(sorted);
  const fell = sorted.filter(({ training }) => training !== undefined).length - rise.length;
  return `${[
    "<!-- written by bench/networks.ts -->",
    "# Networks that PyTorch exports today, as integers",
    "",
    `**${exact.length} of ${sorted.length} networks reach integers with 0 differing codes.**`,
    `Measured on ${date}; ${pending.length === 0 ? "all networks of the folder are measured" : `not measured yet: ${pending.join(", ")}`}.`,
    "",
    "Each network is exported by torch's default exporter for any batch size, with random weights (those of MiniLM are real) and a small",
    "data set of one pattern for each class, with noise. It is trained at low bits and converted; then every code is compared.",
    "",
    "    python3 scripts/export-networks.py FOLDER",
    "    npx tsx bench/networks.ts FOLDER --results FILE [--python PYTHON-WITH-ONNXRUNTIME]",
    "",
    `- **Training**: LSQ ${bits.join(", ")}, first and last layer 8 bits, codes at residual additions 8 bits (\`residualBits\`), ${Math.min(...steps)} to ${Math.max(...steps)} steps of`,
    `  Adam at 0.001${others.length === 0 ? "" : ` (${others.join(", ")})`}. The loss is the mean of the first and of the last quarter of the steps.`,
    `  It fell for ${fell} of ${fell + rise.length}${rise.length === 0 ? "" : `; it did not for ${rise.map(({ name }) => name).join(", ")}`}.`,
    "  So few steps say that it trains, not how good it becomes: accuracies are of 32 test samples, near chance for large networks.",
    "- **Scores**: the float network with the trained weights, the simulation, and the integers: the `int` file on ONNX Runtime.",
    "- **Codes**: differing and compared, of the `int` file and of the interpreter with the simulation, and of the C program with the interpreter",
    "  (gcc -std=c99 -O1; small networks only). By default 8 samples, 2 of them interpreted; of networks above 3,000,000 parameters 2 and 1.",
    "- **Size**: 1,000 bytes of float32 parameters, and packed to their bits. **Time**: milliseconds of one sample, one thread, on a busy machine:",
    "  float, the `int` file, and ONNX Runtime's own static quantization to int8 (QDQ, per channel, 32 samples for its ranges).",
    "- A **float tail** is what follows the last layer and stays in float, such as the decoding of boxes; what could not be integers is named.",
    "",
    ...speedLines(sorted),
    ...table(
      ["group", "networks", "integers with 0 differing codes"],
      [...new Set(sorted.map(({ group }) => group))].map((group) => groupLine(group, sorted)),
    ),
    "",
    "## Codes and accuracy",
    "",
    ...table(
      [
        "network",
        "parameters",
        "result",
        "steps",
        "loss",
        "score",
        "float",
        "simulation",
        "integers",
        "`int`",
        "interpreter",
        "C",
      ],
      sorted.map((row) => {
        const known = metricNames.find((name) => name === row.metric);
        return [
          row.name,
          number(row.parameters),
          outcome(row),
          row.training === undefined ? "" : String(row.training.steps),
          loss(row),
          known === undefined ? "" : metricTitle(known),
          score(row.metric, row.scores?.float),
          score(row.metric, row.scores?.simulation),
          score(row.metric, row.scores?.integers),
          codes(row, "onnx int"),
          codes(row, "interpreter"),
          cCodes(row),
        ];
      }),
    ),
    "",
    "## Size and time",
    "",
    ...table(
      ["network", "float kB", "packed kB", "float ms", "`int` ms", "int8 of ONNX Runtime ms", "training s"],
      sorted.map((row) => [
        row.name,
        kilobytes(row.stored?.float ?? 4 * row.parameters),
        kilobytes(row.stored?.packed),
        time(row.milliseconds?.float),
        time(row.milliseconds?.int),
        row.int8Refused === undefined ? time(row.milliseconds?.int8) : "refused",
        time(row.training?.seconds),
      ]),
    ),
    "",
    "## What does not, and why",
    "",
    ...(failing.length === 0
      ? ["Nothing: every network reaches integers, and no code differs."]
      : failing.flatMap((row) => [
          `- **${row.name}** (${outcome(row)})`,
          ...reasonsOf(row).map((reason) => `  - ${escaped(reason)}`),
        ])),
  ].join("\n")}\n`;
}
