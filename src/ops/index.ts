/** Every operator that subbyte knows, in one registry. */

import { withMissingForm } from "./build/missing-operators.ts";
import { makeRegistry, type OperatorRegistry } from "./definition.ts";
import { activationOperators } from "./families/activations.ts";
import { castOperators } from "./families/cast.ts";
import { comparisonOperators } from "./families/comparison.ts";
import { convolutionOperators } from "./families/conv.ts";
import { elementwiseOperators } from "./families/elementwise.ts";
import { functionOperators } from "./families/functions.ts";
import { layerNormOperators } from "./families/layer-norm.ts";
import { matmulOperators } from "./families/matmul.ts";
import { normalizationOperators } from "./families/normalization.ts";
import { poolingOperators } from "./families/pool.ts";
import { quantizeLinearOperators } from "./families/quantize-linear.ts";
import { recurrentOperators } from "./families/recurrent.ts";
import { reduceOperators } from "./families/reduce.ts";
import { resizeOperators } from "./families/resize.ts";
import { indexingOperators } from "./families/shape/indexing.ts";
import { shapeOperators } from "./families/shape/shape-ops.ts";
import { softmaxOperators } from "./families/softmax.ts";
import { blockQuantizedOperators } from "./internal/block-quantized.ts";
import { channelOperators } from "./internal/channel-ops.ts";
import { expandBatchOperators } from "./internal/expand-batch.ts";
import { insideLimitsOperators } from "./internal/inside-limits.ts";

/** The operators of ONNX and subbyte's own; what a graph is built, differentiated and lowered with. */
export const standardOperators: OperatorRegistry = makeRegistry(
  ...[
    elementwiseOperators,
    comparisonOperators,
    castOperators,
    shapeOperators,
    indexingOperators,
    reduceOperators,
    matmulOperators,
    softmaxOperators,
    activationOperators,
    convolutionOperators,
    poolingOperators,
    normalizationOperators,
    channelOperators,
    insideLimitsOperators,
    quantizeLinearOperators,
    layerNormOperators,
    resizeOperators,
    recurrentOperators,
    functionOperators,
    expandBatchOperators,
    blockQuantizedOperators,
  ].map((table) => table.map(withMissingForm)),
);
