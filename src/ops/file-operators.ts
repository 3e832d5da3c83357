/**
 * The operators that files have and networks do not: the importer reads their nodes as something else.
 *
 * Some are older names. Some are functions of other operators, and have the gradients and quantizers of these. Some are
 * computed while the file is read.
 */

import { onnxDomain } from "../ir/graph.ts";
import { type FileOperator, operatorKey } from "./definition.ts";
import { attention } from "./rewrite/attention.ts";
import type { Decomposition, Upgrade } from "./rewrite/context.ts";
import {
  complementaryError,
  fusedMatMul,
  gelu,
  geluAfterBias,
  meanVarianceNormalization,
  quickGelu,
  rmsNormalization,
} from "./rewrite/functions.ts";
import { firstInput, placesOfInput } from "./rewrite/simplify.ts";
import { arrayFeatureExtractor, linearClassifier, linearRegressor, normalizer, scaler } from "./rewrite/sklearn.ts";
import { scatterUpgrades, upsampleUpgrades } from "./rewrite/upgrades.ts";

/** A branch whose condition is known replaces it. */
export const ifOperator: FileOperator = { op: "If", domain: onnxDomain, reading: "computed" };
/** It is written out, once for each time that it runs. */
export const loopOperator: FileOperator = { op: "Loop", domain: onnxDomain, reading: "as others" };
/** The shape of its output depends on the data, so it has no type rule: it is read where its input is known. */
export const nonZeroOperator: FileOperator = {
  op: "NonZero",
  domain: onnxDomain,
  reading: "computed",
  simplify: placesOfInput,
};

const qonnx = { domain: "qonnx.custom_op.general", aliases: ["finn.custom_op.general", "onnx.brevitas"] } as const;

/** QONNX's quantizer: https://github.com/fastmachinelearning/qonnx */
export const quantOperator: FileOperator = { op: "Quant", ...qonnx, reading: "quantizer" };
/** QONNX's quantizer to −1 and 1. */
export const bipolarQuantOperator: FileOperator = { op: "BipolarQuant", ...qonnx, reading: "quantizer" };

/** ONNX Runtime's own, which its optimizer leaves in files. */
const engine = "com.microsoft";

/** Classical models, which scikit-learn's converter writes around a network. */
const classical = "ai.onnx.ml";
/** Scores by the names of their classes; a network keeps the scores. */
const zipMapOperator: FileOperator = { op: "ZipMap", domain: classical, reading: "computed", simplify: firstInput };

function asOthers(op: string, decompose: Decomposition, domain: string = onnxDomain): FileOperator {
  return { op, domain, reading: "as others", decompose };
}

function rewritten(op: string, upgrades: readonly Upgrade[]): FileOperator {
  return { op, domain: onnxDomain, reading: "rewritten", upgrades };
}

const all: readonly FileOperator[] = [
  ifOperator,
  loopOperator,
  nonZeroOperator,
  quantOperator,
  bipolarQuantOperator,
  asOthers("Attention", attention),
  asOthers("RMSNormalization", rmsNormalization),
  asOthers("MeanVarianceNormalization", meanVarianceNormalization),
  asOthers("Erfc", complementaryError),
  asOthers("Gelu", gelu, engine),
  asOthers("BiasGelu", geluAfterBias("none"), engine),
  asOthers("FastGelu", geluAfterBias("tanh"), engine),
  asOthers("QuickGelu", quickGelu, engine),
  asOthers("FusedMatMul", fusedMatMul, engine),
  zipMapOperator,
  asOthers("Scaler", scaler, classical),
  asOthers("LinearRegressor", linearRegressor, classical),
  asOthers("LinearClassifier", linearClassifier, classical),
  asOthers("Normalizer", normalizer, classical),
  asOthers("ArrayFeatureExtractor", arrayFeatureExtractor, classical),
  rewritten("Upsample", upsampleUpgrades),
  rewritten("Scatter", scatterUpgrades),
];

/** All of them, by their key. */
export const fileOperators: ReadonlyMap<string, FileOperator> = new Map(
  all.map((record) => [operatorKey(record.domain, record.op), record]),
);
