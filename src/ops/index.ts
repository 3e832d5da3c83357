/** Every operator that subbyte knows, in one registry. */

import { activationOperators } from "./activations.ts";
import { castOperators } from "./cast.ts";
import { channelOperators } from "./channel-ops.ts";
import { comparisonOperators } from "./comparison.ts";
import { convolutionOperators } from "./conv.ts";
import { elementwiseOperators } from "./elementwise.ts";
import { expandBatchOperators } from "./expand-batch.ts";
import { functionOperators } from "./functions.ts";
import { indexingOperators } from "./indexing.ts";
import { insideLimitsOperators } from "./inside-limits.ts";
import { layerNormOperators } from "./layer-norm.ts";
import { matmulOperators } from "./matmul.ts";
import { withMissingForm } from "./missing-operators.ts";
import { normalizationOperators } from "./normalization.ts";
import { makeRegistry, type OperatorRegistry } from "./operator.ts";
import { poolingOperators } from "./pool.ts";
import { quantizeLinearOperators } from "./quantize-linear.ts";
import { recurrentOperators } from "./recurrent.ts";
import { reduceOperators } from "./reduce.ts";
import { resizeOperators } from "./resize.ts";
import { shapeOperators } from "./shape-ops.ts";
import { softmaxOperators } from "./softmax.ts";

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
  ].map((table) => table.map(withMissingForm)),
);
