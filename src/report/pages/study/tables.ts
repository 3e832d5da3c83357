/** The tables of a study's report. */

import type { TrialRecord } from "../../../study/plan/record.ts";
import { failedSentence } from "../../../study/repair/fix/failed-causes.ts";
import type { Fix } from "../../../study/repair/fix/fix.ts";
import type { Effects } from "../../../study/result/effects.ts";
import type { LoadedStudy } from "../../../study/result/read-study.ts";
import { bitsName, fixSentence } from "../../../study/result/summary.ts";
import { causesOf } from "../findings.ts";
import { numberOrDash, percentOrDash, siNumber } from "../format.ts";
import { type Html, html, table } from "../page.ts";

/** The shares of variance of weight bits, activation bits and their interaction. */
export function sharesTable(effects: readonly Effects[]): Html {
  const rows = effects.map(({ recipe, variance }) => {
    const share = (value: number | undefined) => (value === undefined ? "–" : (100 * value).toFixed(0));
    const shares = variance?.shares;
    return [recipe, share(shares?.weights), share(shares?.activations), share(shares?.interaction)];
  });
  const note =
    "Share of the variance between cells explained by weight bits, activation bits and their interaction (two-way ANOVA). A dash: a cell without a result, or no differences.";
  return html`${table(["recipe", "weight bits, %", "activation bits, %", "interaction, %"], rows)}<p class="note">${note}</p>`;
}

/** The configurations that no other beats. */
export function frontTable({ result }: LoadedStudy): Html {
  const rows = result.front.bitOperations.map((point) => [
    `${point.recipe} ${bitsName(point)}`,
    percentOrDash(point.accuracy),
    siNumber(point.bitOperations),
    siNumber(point.bytes),
  ]);
  const float = result.floatCost;
  const note = `Bit operations are multiply-accumulates × bits of the weights × bits of the input, counted by effective levels. In float: ${siNumber(float.bitOperations)} and ${siNumber(float.bytes)} bytes.`;
  return html`<h3>Pareto front</h3>${table(["configuration", "accuracy, %", "bit operations", "bytes"], rows)}<p class="note">${note}</p>`;
}

/** The steps of a fix, and what suffices. */
export function fixTable(fix: Fix): Html {
  const verdict = (step: Fix["steps"][number]) =>
    step.kept ? "kept" : step.subsumedBy !== null ? "subsumed" : step.redundant ? "redundant" : "no help";
  const rows = fix.steps.map((step) => [
    step.title,
    percentOrDash(step.before),
    percentOrDash(step.after),
    verdict(step),
    step.reason,
  ]);
  const failed = failedSentence(fix);
  const lowered = failed === undefined ? html`` : html`<p class="note">${failed}</p>`;
  return html`<p>${fixSentence(fix)}</p>${table(["remedy", "without, %", "with, %", "verdict", "gain"], rows)}${lowered}`;
}

/** The bits and the cost of each layer of a trial, with its findings. */
export function layersTable(trial: TrialRecord): Html {
  const rows = trial.layers.map((layer) => [
    layer.name,
    layer.operator,
    `${layer.weight.bits} (${layer.weight.levels ?? "float"})`,
    `${layer.activation.bits} (${layer.activation.levels ?? "float"})`,
    siNumber(layer.macs),
    siNumber(layer.bitOperations),
    siNumber(layer.bytes),
    causesOf(layer.name, trial.findings),
  ]);
  const columns = ["layer", "operator", "weights", "input", "MACs", "bit operations", "bytes", "findings"];
  const note = "Bits of the codes, and in brackets the effective levels.";
  return html`<h3>Layers of ${trial.recipe} ${bitsName(trial)}</h3>${table(columns, rows)}<p class="note">${note}</p>`;
}

/** Every trial with its status, its cost and its two most certain causes. */
export function trialsTable(records: readonly TrialRecord[]): Html {
  const rows = records.map((record) => {
    const { levels, cost, timing, findings } = record;
    return [
      record.recipe,
      bitsName(record),
      `${levels.weights ?? "–"} / ${levels.activations ?? "–"}`,
      String(record.seed),
      html`<span class="status-${record.status}">${record.status}</span>`,
      percentOrDash(record.accuracy),
      cost === null ? "–" : siNumber(cost.bitOperations),
      cost === null ? "–" : siNumber(cost.bytes),
      numberOrDash(timing.imagesPerSecond),
      findings
        .slice(0, 2)
        .map(({ cause, confidence }) => `${cause} ${(100 * confidence).toFixed(0)} %`)
        .join(", "),
    ];
  });
  const explained = records.filter(({ reason }) => reason !== null);
  const reasons = explained.map(({ id, reason }) => html`<li>${id}: ${reason ?? ""}</li>`);
  const columns = [
    "recipe",
    "requested",
    "effective levels",
    "seed",
    "status",
    "accuracy, %",
    "bit operations",
    "bytes",
    "images/s",
    "findings",
  ];
  const list = explained.length === 0 ? html`` : html`<ul class="note">${reasons}</ul>`;
  return html`${table(columns, rows)}${list}`;
}
