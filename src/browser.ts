/**
 * subbyte's public API in a browser: everything but files, the command line, and the engine of Node.js.
 *
 * @module
 * @example
 * import * as ort from "onnxruntime-web/webgpu";
 * const engine = webEngine(ort, { device: "webgpu" });
 * const network = quantize(makeModel("lenet", { sampleShape: [1, 28, 28], classes: 10 }, randomStream(0, "weights")), presets.lsq({ weightBits: 4, activationBits: 4 }));
 */

export { randomStream } from "./base/random.ts";
// Compilation: jobs as graphs, to be run step by step.
export { buildEvaluation, type EvaluationJob } from "./compile/build/evaluation.ts";
export { type ForwardMode, trainingMode } from "./compile/build/forward.ts";
export type { ImageInput } from "./compile/build/input.ts";
export type { LossConfig } from "./compile/build/loss.ts";
export {
  buildTrainingStep,
  learningRateInput,
  parameterGroups,
  type TrainingStep,
  type TrainingStepConfig,
} from "./compile/build/training-step.ts";
// Explanation: what a configuration really does.
export { explain, explainQuantized } from "./compile/explain.ts";
export { quantize } from "./compile/passes/quantize.ts";
export { withoutQuantizers } from "./compile/passes/without-quantizers.ts";
export { prepareQat } from "./compile/prepare-qat.ts";
export { isQuantized, type QuantizedNetwork, type QuantizerSite, showSites } from "./compile/sites.ts";
export { configToYaml, resolveTrainingConfig } from "./config/config.ts";
export type { TrainingConfig } from "./config/schema/schema.ts";
export type { ConfigOverride, ConfigSource } from "./config/source.ts";
// Conversion to integers.
export { convert } from "./convert/convert.ts";
export type { ConvertedFile, FileOptions } from "./convert/formats/definition.ts";
export { type IntegerFormat, type WriteIntegerOptions, writeInteger } from "./convert/formats/files.ts";
export type { ConvertOptions } from "./convert/input.ts";
export type { IntegerNetwork } from "./convert/integer-network.ts";
export { type IntegerObstacle, integerObstacles } from "./convert/obstacles.ts";
export { verify } from "./convert/prove/verify.ts";
// Data.
export { type TrainingBatches, trainingBatches } from "./data/dataset/batches.ts";
export {
  allocateBatch,
  type Dataset,
  type DatasetSplits,
  firstSamples,
  inMemoryDataset,
} from "./data/dataset/dataset.ts";
// Diagnosis: why a training does not get there.
export { ablate } from "./diagnose/ablation.ts";
export { diagnose } from "./diagnose/diagnose.ts";
export type { ProbeRecord } from "./diagnose/probe/measurement.ts";
// Errors: one family, with a code, a place and a remedy.
export {
  ConfigError,
  DivergenceError,
  type DivergenceOrigin,
  type DivergenceReason,
  exitCodes,
  FaultError,
  FileFormatError,
  GraphError,
  InputOutputError,
  InterruptedError,
  RuntimeError,
  SubbyteError,
  UnsupportedError,
} from "./errors.ts";
export { type ExportOptions, exportOnnx } from "./importer/export.ts";
export { type ImportedNetwork, type ImportOptions, importOnnx } from "./importer/import.ts";
export { type Bits, inspectNetwork, type NetworkReport } from "./importer/inspect.ts";
// Networks: made in code, or read from ONNX.
export type { Graph, Node, Value } from "./ir/graph.ts";
export {
  dataInputs,
  type Network,
  type Parameter,
  type ParameterRole,
  parameterCount,
  withParameterValues,
} from "./ir/network.ts";
export { printGraph } from "./ir/print.ts";
export { filled, float32Tensor, makeTensor, type Tensor, toNumbers } from "./ir/tensor.ts";
export type { DType, Shape, TensorType } from "./ir/types.ts";
export { type ModelOptions, makeModel } from "./models/index.ts";
export { type ModelName, modelNames } from "./models/names.ts";
export { NetworkBuilder } from "./models/network-builder.ts";
export { observerNamed, observers } from "./observers/index.ts";
export { type OnnxModel, readOnnx } from "./onnx/read/read.ts";
export { writeOnnx } from "./onnx/write/write.ts";
export type { IntegerMeaning, OperatorDefinition, OperatorTraits } from "./ops/definition.ts";
// Operators, quantizers and presets from outside the package.
export { defineOperator, definePlugin, defineQuantizer, type Plugin, registerPlugin } from "./plugins/plugin.ts";
// Quantization: what to quantize and how, in words of subbyte or of torch.
export type {
  LayerBits,
  LayerOverride,
  LayerRule,
  Placement,
  QuantizationConfig,
  TensorOverride,
} from "./qconfig/config.ts";
export type { ExplainOptions } from "./qconfig/explain/explain.ts";
export type {
  Change,
  ChangeVoice,
  Explanation,
  KindSummary,
  Observation,
  Remark,
  RemarkCode,
  Severity,
  TensorExplanation,
} from "./qconfig/explain/types.ts";
export { libraryVoice, trainingVoice } from "./qconfig/explain/voice.ts";
export { observeTensor } from "./qconfig/observation.ts";
export { type PresetBits, type PresetMaker, type PresetName, presetNamed, presets } from "./qconfig/presets.ts";
export { codeRange, type TensorQuantization } from "./qconfig/tensor-quantization.ts";
export { type PrepareOptions, quantizationConfigOf, tensorQuantizationOf } from "./qconfig/torch/convert.ts";
export { calculateQuantLimits, type TorchDtype, type TorchQscheme } from "./qconfig/torch/limits.ts";
export { type TorchQuantization, torchQuantization } from "./qconfig/torch/modules.ts";
export { parseTorchConfig, type TorchSource, type TorchTextConfig } from "./qconfig/torch/text.ts";
export * from "./qconfig/torch/torch.ts";
export { torchVoice } from "./qconfig/torch/voice.ts";
export type { ObserverSpec, QuantizerDefinition, QuantizerSpec } from "./quantizers/definition.ts";
export { quantizerNamed, quantizers } from "./quantizers/index.ts";
export type { Ablation } from "./runs/ablation.ts";
export { type Evidence, type Finding, highConfidence, type Remedy } from "./runs/finding.ts";
// Engines, training and evaluation.
export type { Device, DeviceChoice, Engine, EngineOptions } from "./runtime/engine.ts";
export { ForwardJob, type StepResult, TrainingJob } from "./runtime/job.ts";
export { StateBuffers } from "./runtime/state.ts";
export { type OnnxRuntime, type WebEngineOptions, webEngine } from "./runtime/web.ts";
export { calibrate } from "./train/loop/calibrate.ts";
export { type EvaluationResult, evaluate, inputOf } from "./train/loop/evaluate.ts";
export { observeNetwork } from "./train/loop/observe.ts";
export type { EpochProgress, StepProgress, TrainingRecipe, TrainingResult, TrainingRun } from "./train/loop/recipe.ts";
export { train } from "./train/loop/trainer.ts";
export { recipeOf } from "./train/recipe-of.ts";
