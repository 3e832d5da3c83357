/** Writes a report: the page, each figure as SVG (and PNG), each number as JSON. */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { readProbeRecords } from "../diagnose/diagnose-run.ts";
import { ConfigError, SubbyteError } from "../errors.ts";
import { makeFolder, writeFileAtomic } from "../io/atomic-file.ts";
import { runPaths } from "../runs/folder.ts";
import { readMetrics } from "../runs/metrics-log.ts";
import { isStudy, trialFolder } from "../study/plan/folder.ts";
import type { TrialRecord } from "../study/plan/record.ts";
import { type LoadedStudy, readStudy } from "../study/result/read-study.ts";
import { bitsName } from "../study/result/summary.ts";
import { loadRun } from "../train/load-run.ts";
import { figureWidths, standalone } from "./charts/draw.ts";
import { weightLevels } from "./charts/weight-levels.ts";
import { diagnosisFigures } from "./pages/diagnosis-figures.ts";
import { type Report, renderPage } from "./pages/page.ts";
import { runReport, weightFigures } from "./pages/run-report.ts";
import { studyReport, type TrialFigures } from "./pages/study/report.ts";

/** Where a report goes, and in which formats its figures are written. */
export interface ReportOptions {
  /** Folder to write to; default: `report` inside of the study or run. */
  readonly out?: string;
  readonly png?: boolean;
}

/** The written files. */
export interface WrittenReport {
  readonly page: string;
  readonly files: readonly string[];
  /** Those of them that existed before. */
  readonly replaced: readonly string[];
}

/** Maximum number of layers with figures for the chosen trial of a study; the trial's own report has all. */
const mostLayers = 4;

/**
 * Writes the report of a study or a run. @throws ConfigError when the folder is neither.
 *
 * @example
 * const report = await writeReport(runFolder);
 * console.log(report.page); // …/report/report.html
 */
export async function writeReport(folder: string, options: ReportOptions = {}): Promise<WrittenReport> {
  const report = await reportOf(folder);
  const out = options.out ?? join(folder, "report");
  const figures = join(out, "figures");
  await makeFolder(figures);
  const files: string[] = [];
  const replaced: string[] = [];
  const write = async (path: string, content: string | Uint8Array) => {
    if (existsSync(path)) replaced.push(path);
    await writeFileAtomic(path, content);
    files.push(path);
  };
  for (const figure of report.figures) {
    const file = join(figures, figure.name.replaceAll(/[^\w.-]/g, "_"));
    const svg = standalone(figure.draw(figureWidths.wide));
    await write(`${file}.svg`, `${svg}\n`);
    await write(`${file}.json`, `${JSON.stringify(figure.data, undefined, 1)}\n`);
    if (options.png === true) await write(`${file}.png`, await pngOf(svg));
  }
  await write(join(out, "report.json"), `${JSON.stringify(report.page.data, undefined, 1)}\n`);
  const page = join(out, "report.html");
  await write(page, renderPage(report.page));
  return { page, files, replaced };
}

async function reportOf(folder: string): Promise<Report> {
  if (isStudy(folder)) {
    const study = await readStudy(folder);
    return studyReport(study, trialFigures(study));
  }
  if (existsSync(runPaths(folder).config)) return runReport(folder);
  throw new ConfigError("there is neither a study nor a run", {
    where: folder,
    remedy: "Name a study's folder (it holds study.yaml) or a run's folder (it holds config.yaml).",
  });
}

/** Returns the figures of a study's trials, from their run folders. */
function trialFigures({ paths }: LoadedStudy): TrialFigures {
  const load = (record: TrialRecord) => loadRun(trialFolder(paths, record)).catch(withoutIt);
  return {
    weights: async (record) => {
      const run = await load(record);
      if (run === undefined) return [];
      const few = weightLevels(run.network).filter(({ quantMin, quantMax }) => quantMax - quantMin < 64);
      return weightFigures(few.slice(0, mostLayers));
    },
    loss: async (record) => {
      const metrics = await readMetrics(runPaths(trialFolder(paths, record)).metrics).catch(withoutIt);
      return (metrics ?? []).flatMap(({ step, loss }) => (typeof loss === "number" ? [{ x: step, y: loss }] : []));
    },
    diagnosis: async (record) => {
      const run = await load(record);
      if (run === undefined) return [];
      const title = `${record.recipe} ${bitsName(record)}`;
      const records = await readProbeRecords(runPaths(run.folder).diagnosis);
      return diagnosisFigures({ name: record.id, title }, run.network, records);
    },
  };
}

/** Skips figures whose files are missing or damaged: removed checkpoints must not prevent the rest of the report. */
function withoutIt(error: unknown): undefined {
  if (error instanceof SubbyteError) return undefined;
  throw error;
}

/** Renders a figure as PNG, at twice its size. Its text needs a font of the system. */
async function pngOf(svg: string): Promise<Uint8Array> {
  const { Resvg } = await import("@resvg/resvg-js");
  const font = { loadSystemFonts: true, defaultFontFamily: "DejaVu Sans", sansSerifFamily: "DejaVu Sans" };
  const named = svg.replaceAll("system-ui, sans-serif", "DejaVu Sans, sans-serif");
  return new Resvg(named, { fitTo: { mode: "zoom", value: 2 }, font }).render().asPng();
}
