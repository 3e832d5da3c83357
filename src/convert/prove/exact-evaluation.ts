/**
 * The simulation in exactly the arithmetic of the integers, so that the accuracy that this graph measures is the accuracy of
 * the converted network.
 *
 * Weights and factors are inputs of the graph, not constants: the engine fuses constants into neighbouring operators, which
 * would change the order of the roundings.
 */
import type { EvaluationJob } from "../../compile/build/evaluation.ts";
import type { StateTensor } from "../../compile/build/training-step.ts";
import { newBuilder } from "../../compile/registry.ts";
import { clip } from "../../ops/families/activations.ts";
import { add, round } from "../../ops/families/elementwise.ts";
import { buildFormulaGraph, type FormulaConfig } from "../formula-graph.ts";
import type { IntegerNetwork } from "../integer-network.ts";

/** The network's outputs for a batch, and with `codes` every code on the way, as float32. */
export function buildIntegerExactEvaluation(network: IntegerNetwork, config: FormulaConfig): EvaluationJob {
  const state: StateTensor[] = [];
  const made = buildFormulaGraph(network, config, newBuilder(`${network.name} exact evaluation`), {
    parameter(builder, name, initial) {
      state.push({ name, initial });
      return builder.input(name, { dtype: "float32", shape: initial.shape });
    },
    round(builder, t, { zeroPoint }, { low, high }) {
      const rounded = round(builder, t);
      return clip(builder, zeroPoint === 0 ? rounded : add(builder, rounded, zeroPoint), low, high);
    },
  });
  return { ...made, state };
}
