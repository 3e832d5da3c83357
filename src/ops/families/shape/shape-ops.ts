/** The operators that move elements and compute nothing, from one place. */

import type { OperatorDefinition } from "../../definition.ts";
import { reshapingOperators } from "./reshaping.ts";
import { slicingOperators } from "./slicing.ts";

export * from "./reshaping.ts";
export * from "./slicing.ts";

/** The operators of both files. */
export const shapeOperators: readonly OperatorDefinition[] = [...reshapingOperators, ...slicingOperators];
