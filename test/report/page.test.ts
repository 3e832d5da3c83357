import { execFile } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { beforeAll, describe, expect, it } from "vitest";
import { randomStream } from "../../src/base/random.ts";
import { quantize } from "../../src/compile/passes/quantize.ts";
import { resolveTrainingConfig } from "../../src/config/config.ts";
import { makeModel } from "../../src/models/index.ts";
import { presetNamed } from "../../src/qconfig/presets.ts";
import { SvgDocument } from "../../src/report/charts/svg-document.ts";
import { weightLevels } from "../../src/report/charts/weight-levels.ts";
import { html, renderPage, table } from "../../src/report/pages/page.ts";
import { studyReport } from "../../src/report/pages/study/report.ts";
import { writeReport } from "../../src/report/write-report.ts";
import { runPaths } from "../../src/runs/folder.ts";
import { studyPaths } from "../../src/study/plan/folder.ts";
import type { LoadedStudy } from "../../src/study/result/read-study.ts";
import { type StudyResult, studyResult } from "../../src/study/result/result.ts";
import { startRun } from "../../src/train/run.ts";
import { temporaryFolder, tinyStudy } from "../study/support.ts";
import { records } from "./samples.ts";

/** The made-up study as if it were read from a folder. */
function sampleStudy(folder: string): LoadedStudy {
  const config = tinyStudy({
    recipes: ["thread", "lsq"],
    weightBits: [8, 4, 2],
    activationBits: [8, 6, 5, 4, 3],
    seeds: [0, 1],
  });
  const float = { bitOperations: 1e9, bytes: 1e5, macs: 1e6 };
  const plan = { schemaVersion: 1 as const, configHash: "", samples: 8000, classes: 10, float, trials: records };
  const result: StudyResult = studyResult(config, plan, { accuracy: 0.866, epochs: [] }, records);
  return { paths: studyPaths(folder), config, plan, records, result };
}

/** Every address that a page would load or lead to. */
function addresses(page: string): string[] {
  const found = page.matchAll(/(?:href|src|action|data|xlink:href)="([^"]*)"|url\(([^)]*)\)|@import\s+([^;]+)/g);
  return [...found].map(([, attribute, url, imported]) => attribute ?? url ?? imported ?? "");
}

describe("the report of a study", () => {
  it("is one page that needs nothing else", async () => {
    const { page, figures } = await studyReport(sampleStudy(temporaryFolder()));
    const text = renderPage(page);
    const outside = addresses(text).filter((address) => !address.startsWith("#"));
    expect(outside).toEqual([]);
    const anchors = addresses(text).map((address) => address.slice(1));
    for (const anchor of anchors) expect(text).toContain(`id="${anchor}"`);
    expect(figures.map(({ name }) => name)).toContain("map-thread");
    expect(new Set(figures.map(({ name }) => name)).size).toBe(figures.length);
    expect(text).not.toMatch(/undefined|\bNaN\b|\[object/);
  });

  it("tells levels, stopped and failed trials, the summary and the configuration to copy", async () => {
    const text = renderPage((await studyReport(sampleStudy(temporaryFolder()))).page);
    expect(text).toContain("4 bits\n8 levels".split("\n")[1]);
    expect(text).toContain("thread_W2A3_seed0: it was killed");
    expect(text).toContain("status-stopped");
    expect(text).toMatch(/thread: \d+ of 15 cells stay within 1 point of float/);
    expect(text).toContain("preset: lsq");
    expect(text).toContain("56 of 60 finished, 2 stopped early, 2 failed");
  });

  it("carries its numbers as JSON", async () => {
    const study = sampleStudy(temporaryFolder());
    const text = renderPage((await studyReport(study)).page);
    const json = /<script type="application\/json" id="data">(.*?)<\/script>/s.exec(text)?.[1] ?? "";
    expect(JSON.parse(json)).toEqual(JSON.parse(JSON.stringify(study.result)));
  });

  it("shows findings and a fix where there are some", async () => {
    const folder = temporaryFolder();
    const study = sampleStudy(folder);
    const finding = {
      cause: "reduced-range",
      title: "Half of the levels are left out by reduce_range.",
      layers: ["conv1"],
      evidence: [{ measurement: "levels", value: 8, threshold: 16, supports: true }],
      confidence: 0.97,
      remedy: { title: "use the whole range", changes: { "quantization.reduceRange": false } },
    };
    const verdict = { kept: true, redundant: false, subsumedBy: null };
    const step = { title: "use the whole range", changes: {}, before: 0.59, after: 0.84, ...verdict };
    const fix = {
      ...{ recipe: "thread", weightBits: 4, activationBits: 4, trial: "thread_W4A4_seed0" },
      ...{ before: 0.59, after: 0.84, goal: 0.86 },
      steps: [{ ...step, reason: "+25.0 points" }],
    };
    const at = (accuracy: number) => ({ accuracy, loss: 1 });
    const layer = { layer: "conv1", alone: at(0.61), without: at(0.84) };
    const ablation = {
      ...{ metric: "accuracy" as const, samples: 1000, layers: [layer] },
      ...{ float: at(0.86), quantized: at(0.59), weightsOnly: at(0.85), activationsOnly: at(0.6) },
    };
    const found = study.records.map((record) =>
      record.id === fix.trial ? { ...record, findings: [finding], ablation } : record,
    );
    const report = await studyReport({ ...study, result: { ...study.result, fixes: [fix] }, records: found });
    const text = renderPage(report.page);
    expect(text).toContain("Half of the levels are left out by reduce_range.");
    expect(text).toContain("quantization.reduceRange: false");
    expect(text).toContain("Partial fix for thread W4A4: use the whole range: 59.0 % → 84.0 % (one seed).");
    const names = report.figures.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(["fix-thread", "ablation-thread_W4A4_seed0"]));
    expect(text).toContain("<summary>Measurements: 1 support it, 0 contradict it</summary>");
  });
});

describe("the pieces of a page", () => {
  it("escape what they are given", () => {
    expect(html`<b>${'<script>"&'}</b>`.text).toBe("<b>&lt;script&gt;&quot;&amp;</b>");
    expect(table(["<x>"], [["</td>"]]).text).toContain("&lt;/td&gt;");
    const data = { text: "</script><script>alert(1)</script>" };
    const page = renderPage({ title: "<i>", lead: html``, sections: [], data, footer: "" });
    expect(page).not.toContain("<script>alert(1)");
    expect(page).toContain("<title>&lt;i&gt;</title>");
  });

  it("write elements as Plot builds them", () => {
    const document = new SvgDocument();
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    const text = document.createElementNS("http://www.w3.org/2000/svg", "text");
    text.textContent = 'a < "b"';
    text.style.setProperty("fill", "red");
    const first = svg.insertBefore(document.createElementNS(svg.namespaceURI, "g"), svg.appendChild(text));
    expect(svg.firstChild).toBe(first);
    expect(String(svg)).toBe(
      '<svg xmlns="http://www.w3.org/2000/svg"><g/><text style="fill: red;">a &lt; &quot;b&quot;</text></svg>',
    );
    svg.appendChild(first);
    expect(svg.children.map(({ tagName }) => tagName)).toEqual(["text", "g"]);
  });
});

describe("weights and their levels", () => {
  it("are counted in steps of each channel", () => {
    const random = randomStream(0, "initial weights");
    const model = makeModel("mlp", { sampleShape: [1, 4, 4], classes: 3, width: 4 }, random);
    const network = quantize(model, presetNamed("minmax", { weightBits: 3, activationBits: 3 }));
    const state = network.parameters.map((parameter) => {
      if (parameter.name === "fc2.weight.quantizer.scale") {
        return { ...parameter, value: { ...parameter.value, data: new Float32Array([1, 2, 1, 1]) } };
      }
      const weights = [0.4, 1, 2, 9, 2, 2, 2, 4, 0, 0, 0, 0, -4, -5, 0.5, 1.5];
      if (parameter.name !== "fc2.weight") return parameter;
      return { ...parameter, value: { ...parameter.value, data: new Float32Array(weights) } };
    });
    const found = weightLevels({ ...network, parameters: state }).find(({ name }) => name === "fc2");
    // Rounded: 0 1 2 9 | 1 1 1 2 | 0 0 0 0 | -4 -5 0 2: 9 and -5 are clipped to 3 and -4.
    const usage = found?.usage.map(({ code, share }) => [code, 16 * share]);
    expect(usage).toEqual([
      [-4, 2],
      [-3, 0],
      [-2, 0],
      [-1, 0],
      [0, 6],
      [1, 4],
      [2, 3],
      [3, 1],
    ]);
    expect(found).toMatchObject({ distinct: 5, clipped: 2 / 16, quantMin: -4, quantMax: 3 });
  });
});

describe("the files of a report", () => {
  let run = "";
  beforeAll(async () => {
    const text = JSON.stringify({
      model: { name: "mlp", width: 8 },
      data: { trainLimit: 128, testLimit: 64, crop: 0, flip: false },
      train: { epochs: 2, batchSize: 32 },
      quantization: { preset: "lsq", weightBits: 2, activationBits: 3 },
      threads: 1,
    });
    const config = resolveTrainingConfig({ name: "run", text });
    const parent = mkdtempSync(join(tmpdir(), "subbyte-report-"));
    run = (await startRun({ config, parent, name: "run" })).paths.folder;
    return () => rmSync(parent, { recursive: true });
  });

  it("are a page, and each figure as SVG, PNG and JSON", async () => {
    const { page, files } = await writeReport(run, { png: true });
    const text = readFileSync(page, "utf8");
    expect(text).toContain("lsq W2A3");
    expect(text).toContain("4 / 8");
    expect(addresses(text).filter((address) => !address.startsWith("#"))).toEqual([]);
    const names = readdirSync(join(run, "report", "figures"));
    for (const name of ["accuracy", "loss", "layers", "weights-fc2", "codes-fc2"]) {
      expect(names).toEqual(expect.arrayContaining([`${name}.svg`, `${name}.png`, `${name}.json`]));
    }
    const png = readFileSync(join(run, "report", "figures", "layers.png"));
    expect(png.subarray(1, 4).toString()).toBe("PNG");
    expect(files.every((file) => existsSync(file))).toBe(true);
  });

  it("tell the ablations that the run's folder holds", async () => {
    const at = (accuracy: number) => ({ accuracy, loss: 1 });
    const parts = { float: at(0.8), quantized: at(0.5), weightsOnly: at(0.7), activationsOnly: at(0.6), layers: [] };
    const file = runPaths(run).ablation;
    writeFileSync(file, JSON.stringify({ schemaVersion: 1, metric: "accuracy", samples: 64, step: 8, ...parts }));
    const { page, files } = await writeReport(run);
    expect(files).toContain(join(run, "report", "figures", "ablation-run.svg"));
    expect(readFileSync(page, "utf8")).toContain("with some of its quantizers");
    rmSync(file);
  });

  it("are refused where there is neither a study nor a run", async () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, "empty"));
    await expect(writeReport(join(folder, "empty"))).rejects.toMatchObject({
      code: "CONFIG",
      message: "there is neither a study nor a run",
    });
  });

  it.skipIf(!existsSync("/usr/bin/xmllint"))("hold well-formed drawings", async () => {
    const folder = join(run, "report", "figures");
    const drawings = readdirSync(folder).filter((name) => name.endsWith(".svg"));
    expect(drawings).not.toEqual([]);
    await promisify(execFile)("/usr/bin/xmllint", ["--noout", ...drawings.map((name) => join(folder, name))]);
  });
});
