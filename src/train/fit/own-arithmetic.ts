/** What a model's file computes at its ends that a user may believe the data or the loss to do: notes for one who does. */

import { consumers, producers, type Value } from "../../ir/graph.ts";
import { dataInputs, type Network } from "../../ir/network.ts";
import { isOperator, type OperatorDefinition } from "../../ops/definition.ts";
import { sigmoidOperator } from "../../ops/families/activations.ts";
import { addOperator, divideOperator, multiplyOperator, subtractOperator } from "../../ops/families/elementwise.ts";

const scaling: readonly OperatorDefinition[] = [addOperator, subtractOperator, multiplyOperator, divideOperator];

/** Returns a note where the samples enter the network through a sum or a product with constants: a normalization. */
export function notesOnOwnNormalization({ graph, ...network }: Network): string[] {
  const consumersOf = consumers(graph);
  const isKnown = (value: Value | undefined) => value !== undefined && graph.constants.has(value);
  const inputs = dataInputs({ graph, ...network });
  const found = inputs.flatMap((input) => consumersOf.get(input) ?? []);
  const [node] = found.filter(
    (each) => scaling.some((operator) => isOperator(operator, each)) && each.inputs.some(isKnown),
  );
  if (node === undefined) return [];
  return [
    `the model has a normalization of its own at its input (${node.op}), which comes after that of the data: ` +
      "--set data.normalization=none gives it values from 0 to 1, {mean: [0], std: [0.00392157]} gives 0 to 255",
  ];
}

/** Returns a note where the scores of classes come out of a Sigmoid, which a cross entropy takes for unbounded ones. */
export function notesOnSigmoid(network: Network): string[] {
  if (!endsInSigmoid(network)) return [];
  return [
    "the model ends in a Sigmoid: the loss is the cross entropy of its outputs as scores of classes, not one of each output; " +
      "export it without the Sigmoid to train classes",
  ];
}

/** Returns a note where an autoencoder gives values from 0 to 1, which its normalized input exceeds. */
export function notesOnBoundedReconstruction(network: Network): string[] {
  if (!endsInSigmoid(network)) return [];
  return [
    "the model ends in a Sigmoid, so it gives values from 0 to 1, and its target is the input after the normalization: " +
      "--set data.normalization=none keeps images from 0 to 1",
  ];
}

function endsInSigmoid({ graph }: Network): boolean {
  const [output] = graph.outputs;
  const last = output && producers(graph).get(output.value);
  return last !== undefined && isOperator(sigmoidOperator, last);
}
