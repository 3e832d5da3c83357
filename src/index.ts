/**
 * subbyte's public API: what a program may import, and nothing else.
 *
 * @module
 * @example
 * const data = await loadFashionMnist();
 * const network = makeModel("resnet8", { sampleShape: data.train.sampleShape, classes: 10 }, randomStream(0, "weights"));
 * const config = presets.lsq({ weightBits: 4, activationBits: 4 });
 * console.log(explain(network, config).findings);
 */

export * from "./browser.ts";
export { quantizationOf } from "./config/quantization.ts";
export { openDataset } from "./data/dataset/open-dataset.ts";
// Data in files.
export { fetchFashionMnist, loadFashionMnist } from "./data/formats/fashion-mnist.ts";
// Diagnosis of runs on disk.
export { diagnoseRun, type RunDiagnosis } from "./diagnose/diagnose-run.ts";
export { type RunWatch, watchTraining } from "./diagnose/watch-run.ts";
// Models in files, with their external data.
export { importOnnxFile } from "./importer/node-files.ts";
// Plugins in files.
export { loadPlugin } from "./plugins/load.ts";
// Reports of runs and studies.
export { type ReportOptions, type WrittenReport, writeReport } from "./report/write-report.ts";
export { type DeviceOptions, openEngine } from "./runtime/node/devices.ts";
// Engines of Node.js, and runs in folders.
export { nodeEngine } from "./runtime/node/node.ts";
export type { Candidates } from "./study/mixed/measure.ts";
// Mixed precision: bits for each layer under a budget.
export { type Mix, type MixOptions, mixBits, type UniformBits } from "./study/mixed/mixed.ts";
export type { MixedLayerBits, MixOutcome } from "./study/mixed/outcome.ts";
export type { MixBudget, MixCost } from "./study/mixed/solve.ts";
export { mixStudy } from "./study/mixed/trial.ts";
// Studies: accuracy over weight bits and activation bits.
export { type LoadedStudy, readStudy } from "./study/result/read-study.ts";
export type { StudyResult } from "./study/result/result.ts";
export type { FinishedStudy, StudyListeners } from "./study/run-study.ts";
export { type StudyInput, type StudyLocation, study } from "./study/study.ts";
export { type LoadedRun, loadRun } from "./train/load-run.ts";
export { makeNetwork } from "./train/network.ts";
export { type NewRun, type RunListeners, type RunResult, type RunSummary, resumeRun, startRun } from "./train/run.ts";
