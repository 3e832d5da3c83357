/** Operators of files that subbyte does not read, with what to do in place of them. */

import type { Node } from "../ir/graph.ts";

/** An operator that is refused, and the nearest thing that works. */
export interface RefusedOperator {
  readonly op: string;
  /** Absent: the standard domain. */
  readonly domain?: string;
  readonly remedy: string;
}

function all(names: string, remedy: string, domain?: string): RefusedOperator[] {
  return names.split(" ").map((op) => ({ op, remedy, ...(domain === undefined ? {} : { domain }) }));
}

const cutBehind = "Export the raw outputs, without what chooses among them, and do that after the network.";
const cutBefore = "Compute it before the network: export the model without it, and give the data as it makes them.";
const asQdq =
  "Give the float model, or let the quantizer write QuantizeLinear and DequantizeLinear (quant_format=QuantFormat.QDQ).";
const unoptimized =
  "Export the model without ONNX Runtime's optimizer (optimization level basic, or none), which fuses operators into this one.";

/** By domain and operator. */
const refused: readonly RefusedOperator[] = [
  ...all("NonMaxSuppression RoiAlign MaxRoiPool Unique Compress", cutBehind),
  ...all("SequenceConstruct SequenceInsert SequenceAt SequenceEmpty SplitToSequence ConcatFromSequence", cutBehind),
  ...all("ImageDecoder StringNormalizer StringConcat StringSplit RegexFullMatch TfIdfVectorizer STFT DFT", cutBefore),
  ...all("MelWeightMatrix HannWindow HammingWindow BlackmanWindow LabelEncoder", cutBefore),
  ...all("Scan", "Write the loop with Loop and a known number of iterations: it is unrolled."),
  ...all("RandomNormal RandomNormalLike RandomUniform RandomUniformLike Bernoulli Multinomial", cutBefore),
  ...all("QLinearConv QLinearMatMul ConvInteger MatMulInteger", asQdq),
  ...all(
    "QLinearAdd QLinearMul QLinearSigmoid QLinearAveragePool QLinearConcat QLinearSoftmax",
    asQdq,
    "com.microsoft",
  ),
  ...all("QGemm DynamicQuantizeMatMul MatMulIntegerToFloat", asQdq, "com.microsoft"),
  ...all("Attention MultiHeadAttention GroupQueryAttention EmbedLayerNormalization", unoptimized, "com.microsoft"),
  ...all("SkipLayerNormalization SkipSimplifiedLayerNormalization FusedConv FusedGemm", unoptimized, "com.microsoft"),
  ...all("SimplifiedLayerNormalization RotaryEmbedding NhwcFusedConv", unoptimized, "com.microsoft"),
];

const remedies: ReadonlyMap<string, string> = new Map(
  refused.map(({ op, domain = "", remedy }) => [`${domain}:${op}`, remedy]),
);

/** Returns what to do in place of an operator that is not read; undefined where nothing better is known than to leave it out. */
export function remedyWithout({ op, domain }: Pick<Node, "op" | "domain">): string | undefined {
  return remedies.get(`${domain}:${op}`);
}
