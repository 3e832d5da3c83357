/** The report of a study: from what its folder tells to a page. */
import { join } from "node:path";
import { configToYaml } from "../../../config/config.ts";
import { lastCheckpoint } from "../../../runs/checkpoint-names.ts";
import { cellConfig, studyCells, trialId } from "../../../study/plan/cells.ts";
import { trialFolder } from "../../../study/plan/folder.ts";
import type { TrialRecord } from "../../../study/plan/record.ts";
import { fixedName } from "../../../study/plan/trial-names.ts";
import { failingTrialOf } from "../../../study/repair/failing-trial.ts";
import type { CostPoint } from "../../../study/result/pareto.ts";
import type { LoadedStudy } from "../../../study/result/read-study.ts";
import { bitsName } from "../../../study/result/summary.ts";
import { ablationFigure } from "../diagnosis-figures.ts";
import { findingsHtml } from "../findings.ts";
import { percentOrDash } from "../format.ts";
import { copyable, type Figure, type Html, html, type Report, type Section } from "../page.ts";
import {
  changeFigures,
  costFigures,
  curveFigures,
  fixFigure,
  floatFigure,
  type LossCurve,
  layersFigure,
  lossFigures,
  mapFigures,
  worthFigures,
} from "./figures.ts";
import { fixTable, frontTable, layersTable, sharesTable, trialsTable } from "./tables.ts";

/** Further figures of single trials, which need the trial's files. */
export interface TrialFigures {
  /** Its weights, with the levels that they are rounded to. */
  readonly weights: (record: TrialRecord) => Promise<readonly Figure[]>;
  /** The measurements taken while it trained. */
  readonly diagnosis: (record: TrialRecord) => Promise<readonly Figure[]>;
  /** Its training loss. */
  readonly loss: (record: TrialRecord) => Promise<LossCurve>;
}

const noFigures: TrialFigures = { weights: async () => [], diagnosis: async () => [], loss: async () => [] };

/** The report of a study, finished or not. */
export async function studyReport(study: LoadedStudy, figuresOf: TrialFigures = noFigures): Promise<Report> {
  const { result, config, records, paths } = study;
  const chosen = result.cheapest ?? result.best;
  const trial = chosen === null ? undefined : trialOf(records, chosen);
  const maps = result.maps.map((map) => mapFigures(study, map));
  const worth = worthFigures(study);
  const cost = costFigures(study);
  const failingTrials = await failingTrialParts(study, figuresOf);
  const fixes = result.fixes.map((fix) => fixFigure(fix, result.reference.float));
  const change = [...fixes, ...changeFigures(study)];
  const losses = new Map(
    await Promise.all(records.map(async (item) => [item.id, await figuresOf.loss(item)] as const)),
  );
  const curves = [...curveFigures(study), ...lossFigures(study, losses), ...floatFigure(study)];
  const layers = trial === undefined ? [] : [layersFigure(trial), ...(await figuresOf.weights(trial))];
  const sections: readonly (Section | undefined)[] = [
    { id: "map", title: "The map", body: html`${maps.flat()}` },
    failingTrials.length === 0
      ? undefined
      : { id: "findings", title: "Causes of lost accuracy", body: html`${failingTrials.map(({ before }) => before)}` },
    change.length === 0
      ? undefined
      : {
          id: "fix",
          title: "Before and after the fixes",
          body: html`${result.fixes.map(fixTable)}${change}${failingTrials.map(({ after }) => after)}`,
        },
    { id: "bits", title: "What each bit is worth", body: html`${sharesTable(result.effects)}${worth}` },
    cost.length === 0
      ? undefined
      : { id: "cost", title: "Accuracy against cost", body: html`${cost}${frontTable(study)}` },
    { id: "curves", title: "Learning curves", body: html`${curves}` },
    trial === undefined ? undefined : { id: "layers", title: "Layers", body: html`${layersTable(trial)}${layers}` },
    { id: "trials", title: "All trials", body: trialsTable(records) },
    chosen === null
      ? undefined
      : { id: "configuration", title: "The configuration to copy", body: configurationHtml(study, chosen) },
  ];
  const measured = failingTrials.flatMap(({ figures }) => figures);
  return {
    figures: [...maps.flat(), ...worth, ...cost, ...change, ...measured, ...curves, ...layers],
    page: {
      title: `Weight bits against activation bits: ${String(config.model.name ?? "network")}`,
      lead: leadHtml(study),
      sections: sections.filter((section) => section !== undefined),
      data: result,
      footer: `Made by subbyte from ${paths.folder}. Tables show effective levels, not nominal bits.`,
    },
  };
}

interface FailingTrialPart {
  readonly before: Html;
  readonly after: Html;
  readonly figures: readonly Figure[];
}

/** For each recipe with trials that fell: the one that stands for them, explained, and the same bits once fixed. */
async function failingTrialParts(
  { config, records, result }: LoadedStudy,
  figuresOf: TrialFigures,
): Promise<readonly FailingTrialPart[]> {
  const parts: FailingTrialPart[] = [];
  for (const { name } of config.recipes) {
    const known = result.fixes.find(({ recipe }) => recipe === name);
    const failing =
      records.find(({ id }) => id === known?.trial) ?? failingTrialOf(records, name, result.reference, config.fix);
    if (failing === undefined || failing.findings.length === 0) continue;
    const fixed = records.find(
      ({ recipe, weightBits, activationBits, seed, accuracy }) =>
        recipe === fixedName(name) &&
        accuracy !== null &&
        seed === failing.seed &&
        bitsName({ weightBits, activationBits }) === bitsName(failing),
    );
    const before = await figuresOf.diagnosis(failing);
    const after = fixed === undefined ? [] : await figuresOf.diagnosis(fixed);
    const { id, accuracy, ablation, findings } = failing;
    const title = `${name} ${bitsName(failing)}`;
    const parted = ablation === null ? [] : [ablationFigure(id, title, ablation)];
    parts.push({
      before: html`<h3>${title}: ${percentOrDash(accuracy)} %</h3>${findingsHtml(findings)}${parted}${layersTable(failing)}${before}`,
      after: html`${after}`,
      figures: [...parted, ...before, ...after],
    });
  }
  return parts;
}

function leadHtml({ result, config, plan }: LoadedStudy): Html {
  const { counts, reference, trials } = result;
  const others = [
    ["stopped early", counts.stopped],
    ["failed", counts.failed],
    ["impossible", counts.impossible],
    ["not done yet", counts.unfinished + counts.waiting],
  ] as const;
  const counted = others.filter(([, count]) => count > 0).map(([what, count]) => `, ${count} ${what}`);
  const fact = (name: string, value: string) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`;
  return html`<div class="summary">${result.summary.map((sentence) => html`<p>${sentence.replaceAll(" %", "\u00a0%")}</p>`)}</div>
<dl class="facts">${fact("float accuracy", reference.float === null ? "no float network" : `${percentOrDash(reference.float)} %`)}
${fact("chance level", `${percentOrDash(reference.chance)} %`)}
${fact("trials", `${counts.finished} of ${trials.length} finished${counted.join("")}`)}
${fact("training images", String(plan.samples))}
${fact("seeds", config.seeds.join(", "))}</dl>`;
}

function configurationHtml({ config, paths, result }: LoadedStudy, chosen: CostPoint): Html {
  const cell = studyCells(config, result.fixes).find(
    ({ recipe, weightBits, activationBits }) =>
      recipe.name === chosen.recipe && weightBits === chosen.weightBits && activationBits === chosen.activationBits,
  );
  if (cell === undefined) return html``;
  const float =
    config.float === null ? undefined : (config.float.from ?? join(paths.float, "checkpoints", lastCheckpoint));
  const yaml = configToYaml(cellConfig(config, cell, float));
  const run = trialFolder(paths, { ...cell, recipe: cell.recipe.name, id: trialId(cell) });
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
