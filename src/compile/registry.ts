/** Every operator that the compiler works with: the standard ones, our own, and the engine's blocked ones. */
import { type Addition, additionTo } from "../base/addition.ts";
import type { GraphBuilder, Node } from "../ir/graph.ts";
import { engineOperators } from "../ops/cpu/engine-operators.ts";
import {
  builderFor,
  findDefinition,
  inferWith,
  makeRegistry,
  type OperatorDefinition,
  type OperatorRegistry,
  type OperatorTraits,
  operatorKey,
} from "../ops/definition.ts";
import { standardOperators } from "../ops/index.ts";
import { makeBatchValueOperator } from "../ops/internal/batch-value.ts";
import { quantizerOperators } from "../quantizers/fake-quantize.ts";

/** BatchValue, whose computations are of the standard operators. */
export const batchValueOperator: OperatorDefinition = makeBatchValueOperator(standardOperators);

const registered = new Map(
  makeRegistry([...standardOperators.values()], engineOperators, quantizerOperators, [batchValueOperator]),
);

/** Every operator that a graph may hold, those of plugins included. */
export const operators: OperatorRegistry = registered;

/** Returns the addition of an operator from outside, by its domain and name. */
export function operatorAddition(definition: OperatorDefinition): Addition {
  return additionTo(registered, operatorKey(definition.domain, definition.op), definition);
}

/** Returns what is known of a node's operator; nothing for one that no registry holds. */
export function traitsOf(node: Pick<Node, "op" | "domain">): OperatorTraits {
  return findDefinition(operators, node)?.traits ?? {};
}

/** Type inference over every operator of the compiler. */
export const inferTypes = inferWith(operators);

/** A builder that knows every operator of the compiler. */
export function newBuilder(name: string): GraphBuilder {
  return builderFor(operators, name);
}
