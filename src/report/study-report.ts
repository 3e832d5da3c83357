/** The report of a study: from what its folder tells to a page. */
import { join } from "node:path";
import { bitsName } from "../study/answer.ts";
import { type Cure, readCure } from "../study/cure.ts";
import type { Effects } from "../study/effects.ts";
import type { CostPoint } from "../study/pareto.ts";
import { gridPlaces, trialId } from "../study/plan.ts";
import type { LoadedStudy } from "../study/read-study.ts";
import type { TrialRecord } from "../study/record.ts";
import { trialConfig } from "../study/study-config.ts";
import { configToYaml } from "../train/config.ts";
import { lastCheckpoint } from "../train/trainer.ts";
import { findingsHtml } from "./findings.ts";
import { numberOrDash, percentOrDash, siNumber } from "./format.ts";
import { copyable, type Figure, type Html, html, type Page, type Section, table } from "./page.ts";
import {
  changeFigures,
  costFigures,
  cureFigure,
  curveFigures,
  floatFigure,
  layersFigure,
  mapFigures,
  worthFigures,
} from "./study-figures.ts";

/** A page and the figures in it. */
export interface Report {
  readonly page: Page;
  readonly figures: readonly Figure[];
}

/** Further figures of single trials, which need the trial's network: weights with their levels. */
export type TrialFigures = (record: TrialRecord) => Promise<readonly Figure[]>;

/** The report of a study, finished or not. */
export async function studyReport(study: LoadedStudy, figuresOf: TrialFigures = async () => []): Promise<Report> {
  const { result, config, records, paths } = study;
  const chosen = result.cheapest ?? result.best;
  const trial = chosen === null ? undefined : trialOf(records, chosen);
  const maps = result.maps.map((map) => mapFigures(study, map));
  const worth = worthFigures(study);
  const cost = costFigures(study);
  const cure = await readCure(paths.cure);
  const change = [...changeFigures(study), ...(cure === undefined ? [] : [cureFigure(cure, result.reference.float)])];
  const curves = [...curveFigures(study), ...floatFigure(study)];
  const layers = trial === undefined ? [] : [layersFigure(trial), ...(await figuresOf(trial))];
  const found = records.filter((record) => record.findings.length > 0);
  const sections: readonly (Section | undefined)[] = [
    { id: "map", title: "The map", body: html`${maps.flat()}` },
    { id: "bits", title: "What each bit is worth", body: html`${sharesTable(result.effects)}${worth}` },
    cost.length === 0
      ? undefined
      : { id: "cost", title: "Accuracy against cost", body: html`${cost}${frontTable(study)}` },
    change.length === 0
      ? undefined
      : { id: "cure", title: "Before and after", body: html`${change}${cure === undefined ? "" : cureTable(cure)}` },
    found.length === 0
      ? undefined
      : {
          id: "findings",
          title: "What went wrong, and why",
          body: html`${found.map((record) => html`<h3>${record.id}</h3>${findingsHtml(record.findings)}`)}`,
        },
    { id: "curves", title: "Learning curves", body: html`${curves}` },
    trial === undefined ? undefined : { id: "layers", title: "Layers", body: html`${layersTable(trial)}${layers}` },
    { id: "trials", title: "All trials", body: trialsTable(records) },
    chosen === null
      ? undefined
      : { id: "configuration", title: "The configuration to copy", body: configurationHtml(study, chosen) },
  ];
  return {
    figures: [...maps.flat(), ...worth, ...cost, ...change, ...curves, ...layers],
    page: {
      title: `Weight bits against activation bits: ${String(config.model.name ?? "network")}`,
      lead: leadHtml(study),
      sections: sections.filter((section) => section !== undefined),
      data: result,
      footer: `Made by subbyte from ${paths.folder}. Bits are never taken for levels: every table shows the levels that there really are.`,
    },
  };
}

function leadHtml({ result, config, plan }: LoadedStudy): Html {
  const { counts, reference, trials } = result;
  const others = [
    ["given up early", counts.stopped],
    ["failed", counts.failed],
    ["cannot exist", counts.impossible],
    ["not done yet", counts.unfinished + counts.waiting],
  ] as const;
  const told = others.filter(([, count]) => count > 0).map(([what, count]) => `, ${count} ${what}`);
  const fact = (name: string, value: string) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`;
  return html`<div class="answer">${result.answer.map((sentence) => html`<p>${sentence.replaceAll(" %", "\u00a0%")}</p>`)}</div>
<dl class="facts">${fact("float accuracy", reference.float === null ? "no float network" : `${percentOrDash(reference.float)} %`)}
${fact("a guess", `${percentOrDash(reference.chance)} %`)}
${fact("trials", `${counts.finished} of ${trials.length} finished${told.join("")}`)}
${fact("training images", String(plan.samples))}
${fact("seeds", config.seeds.join(", "))}</dl>`;
}

function sharesTable(effects: readonly Effects[]): Html {
  const rows = effects.map(({ recipe, variance }) => {
    const share = (value: number | undefined) => (value === undefined ? "–" : (100 * value).toFixed(0));
    const shares = variance?.shares;
    return [recipe, share(shares?.weights), share(shares?.activations), share(shares?.interaction)];
  });
  const note =
    "Parts of the differences between cells (sums of squares) that weight bits alone, activation bits alone, and the two together account for. A dash: a cell without a result, or no differences.";
  return html`${table(["recipe", "weight bits, %", "activation bits, %", "together, %"], rows)}<p class="note">${note}</p>`;
}

function frontTable({ result }: LoadedStudy): Html {
  const rows = result.front.bitOperations.map((point) => [
    `${point.recipe} ${bitsName(point)}`,
    percentOrDash(point.accuracy),
    siNumber(point.bitOperations),
    siNumber(point.bytes),
  ]);
  const float = result.floatCost;
  const note = `Bit operations are multiply-accumulates × bits of the weights × bits of the input, counted by the levels that there are. In float: ${siNumber(float.bitOperations)} and ${siNumber(float.bytes)} bytes.`;
  return html`<h3>The front</h3>${table(["configuration", "accuracy, %", "bit operations", "bytes"], rows)}<p class="note">${note}</p>`;
}

function cureTable(cure: Cure): Html {
  const verdict = (step: Cure["steps"][number]) => (step.kept ? "kept" : step.needless ? "not needed" : "no help");
  const rows = cure.steps.map((step) => [
    step.title,
    percentOrDash(step.before),
    percentOrDash(step.after),
    verdict(step),
    step.reason,
  ]);
  const kept = cure.steps.filter((step) => step.kept).map((step) => step.title);
  const sum = `${cure.subject}: ${percentOrDash(cure.before)} % before, ${percentOrDash(cure.after)} % after. What suffices: ${kept.join(", ") || "nothing that was tried"}.`;
  return html`<p>${sum}</p>${table(["remedy", "without, %", "with, %", "verdict", "gain"], rows)}`;
}

function layersTable(trial: TrialRecord): Html {
  const rows = trial.layers.map((layer) => [
    layer.name,
    layer.operator,
    layer.weight.bits,
    layer.weight.levels ?? "float",
    layer.activation.bits,
    layer.activation.levels ?? "float",
    siNumber(layer.macs),
    siNumber(layer.bitOperations),
    siNumber(layer.bytes),
  ]);
  const columns = [
    "layer",
    "operator",
    "weight bits",
    "levels",
    "activation bits",
    "levels",
    "MACs",
    "bit operations",
    "bytes",
  ];
  return html`<p>Of ${trial.recipe} ${bitsName(trial)}. Bits are those that the codes need.</p>${table(columns, rows)}`;
}

function trialsTable(records: readonly TrialRecord[]): Html {
  const rows = records.map((record) => {
    const { levels, cost, timing } = record;
    return [
      record.recipe,
      bitsName(record),
      `${levels.weights ?? "–"} / ${levels.activations ?? "–"}`,
      String(record.seed),
      html`<span class="status-${record.status}">${record.status}</span>`,
      percentOrDash(record.accuracy),
      percentOrDash(record.bestAccuracy),
      cost === null ? "–" : siNumber(cost.bitOperations),
      cost === null ? "–" : siNumber(cost.bytes),
      numberOrDash(timing.imagesPerSecond),
    ];
  });
  const told = records.filter((record) => record.reason !== null);
  const reasons = told.map((record) => html`<li>${record.id}: ${record.reason ?? ""}</li>`);
  const columns = [
    "recipe",
    "asked for",
    "levels really",
    "seed",
    "status",
    "accuracy, %",
    "best, %",
    "bit operations",
    "bytes",
    "images/s",
  ];
  const list = told.length === 0 ? html`` : html`<ul class="note">${reasons}</ul>`;
  return html`${table(columns, rows)}${list}`;
}

function configurationHtml({ config, paths }: LoadedStudy, chosen: CostPoint): Html {
  const place = gridPlaces(config).find(
    ({ recipe, weightBits, activationBits }) =>
      recipe.name === chosen.recipe && weightBits === chosen.weightBits && activationBits === chosen.activationBits,
  );
  if (place === undefined) return html``;
  const float =
    config.float === null ? undefined : (config.float.from ?? join(paths.float, "checkpoints", lastCheckpoint));
  const yaml = configToYaml(trialConfig(config, place, float));
  const run = join(paths.trials, trialId(place));
  return html`<p>${chosen.recipe} ${bitsName(chosen)}, trained in ${run}. Train it again with <code>subbyte train --config FILE</code>.</p>${copyable(yaml)}`;
}

/** The trial that stands for a configuration: its most accurate seed. */
function trialOf(records: readonly TrialRecord[], point: CostPoint): TrialRecord | undefined {
  return records
    .filter(
      (record) =>
        record.recipe === point.recipe &&
        record.weightBits === point.weightBits &&
        record.activationBits === point.activationBits &&
        record.accuracy !== null,
    )
    .sort((a, b) => (b.accuracy ?? 0) - (a.accuracy ?? 0))[0];
}
