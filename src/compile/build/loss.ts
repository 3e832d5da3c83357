/** The loss of a training step: the task's, a teacher's, or both. All of its nodes are of the phase `loss` and of no layer. */

import { GraphError } from "../../errors.ts";
import type { GraphBuilder, Value } from "../../ir/graph.ts";
import { elementCount, type Shape, sameShape, showType } from "../../ir/types.ts";
import { cast } from "../../ops/families/cast.ts";
import { reshape, transpose } from "../../ops/families/shape/shape-ops.ts";
import { slice } from "../../ops/families/shape/slicing.ts";
import { boxLoss } from "../../ops/internal/box-loss.ts";
import { crossEntropy, maskedCrossEntropy, meanSquaredError } from "../../ops/internal/loss.ts";
import { denseLayout } from "./dense.ts";
import { type DistillationConfig, distilledLoss, type TeacherConfig, teacherLoss } from "./distillation.ts";
import type { AddedInputs } from "./input.ts";
import { logitsOf } from "./outputs.ts";

/** The loss that the training minimizes. */
export type LossConfig =
  | { readonly name: "crossEntropy"; readonly labelSmoothing: number }
  | { readonly name: "meanSquaredError" }
  /** Of a class for each position of `shape`; labels below 0 do not count. */
  | { readonly name: "denseCrossEntropy"; readonly labelSmoothing: number; readonly shape: Shape }
  /** The mean squared error to the input that the network reads. */
  | { readonly name: "reconstruction" }
  /** Of boxes, from an output [N, 4 + classes, cells]. */
  | { readonly name: "boxes"; readonly targetLength: number }
  /** Of data without labels: the distance from a teacher alone. */
  | ({ readonly name: "distillation" } & TeacherConfig);

/** The inputs of a loss besides the prediction. */
export interface LossInputs {
  /** What the network's inputs read, by their names. */
  readonly data: AddedInputs["values"];
  readonly batchSize: number;
  /** The targets' input, where the graph has one already. */
  readonly targets?: Value;
  /** Absent: the task's loss alone. */
  readonly distillation?: DistillationConfig;
}

/** A loss in a graph. */
export interface AddedLoss {
  /** A scalar. */
  readonly loss: Value;
  /** Undefined where the loss takes nothing but the data. */
  readonly targetInput: Value | undefined;
}

/**
 * Adds the loss of a prediction; classes are scored by what enters a last Softmax.
 *
 * @throws GraphError when a teacher's output has another shape.
 */
export function addLoss(builder: GraphBuilder, prediction: Value, config: LossConfig, inputs: LossInputs): AddedLoss {
  const { data, batchSize, distillation } = inputs;
  return builder.from({ origin: { phase: "loss" } }, () => {
    const task = taskLoss(builder, prediction, config, inputs);
    if (distillation === undefined) return task;
    const student = distillation.outputs === "classes" ? logitsOf(builder.nodes, prediction) : prediction;
    return { ...task, loss: distilledLoss(builder, task.loss, student, data, batchSize, distillation) };
  });
}

function taskLoss(
  builder: GraphBuilder,
  prediction: Value,
  config: LossConfig,
  { data, batchSize, targets: given }: LossInputs,
): AddedLoss {
  if (config.name === "distillation") {
    const student = config.outputs === "classes" ? logitsOf(builder.nodes, prediction) : prediction;
    return { loss: teacherLoss(builder, student, data, batchSize, config), targetInput: undefined };
  }
  if (config.name === "meanSquaredError") {
    const { shape } = prediction.type;
    const rows: Shape = [batchSize, elementCount(shape) / batchSize];
    const targetInput = given ?? builder.input("targets", { dtype: "float32", shape: rows });
    const targets = sameShape(shape, rows) ? targetInput : reshape(builder, targetInput, shape);
    return { loss: meanSquaredError(builder, prediction, targets), targetInput };
  }
  if (config.name === "reconstruction") {
    const [input] = data.values();
    if (input === undefined) throw new GraphError("a reconstruction needs an input", { where: "loss" });
    const { shape } = prediction.type;
    const target = sameShape(input.type.shape, shape) ? input : reshape(builder, input, shape);
    return { loss: meanSquaredError(builder, prediction, target), targetInput: undefined };
  }
  if (config.name === "boxes") {
    const cells = prediction.type.shape[2] ?? 1;
    const row: Shape = [batchSize, config.targetLength];
    const targetInput = given ?? builder.input("targets", { dtype: "float32", shape: row });
    // What follows are the boxes themselves, for the metric.
    const used = slice(builder, targetInput, { starts: [0], ends: [5 * cells], axes: [1] });
    return { loss: boxLoss(builder, prediction, used), targetInput };
  }
  if (config.name === "denseCrossEntropy") return denseLoss(builder, prediction, config, batchSize, given);
  const targetInput = given ?? builder.input("targets", { dtype: "int32", shape: [batchSize] });
  const labels = cast(builder, targetInput, "int64");
  const logits = logitsOf(builder.nodes, prediction);
  return { loss: crossEntropy(builder, logits, labels, config.labelSmoothing), targetInput };
}

/** The scores of all positions as rows, and the labels in the same order. */
function denseLoss(
  builder: GraphBuilder,
  prediction: Value,
  { labelSmoothing, shape }: LossConfig & { readonly name: "denseCrossEntropy" },
  batchSize: number,
  given: Value | undefined,
): AddedLoss {
  const each = prediction.type.shape.slice(1);
  const layout = denseLayout(each, shape);
  if (layout === undefined) {
    throw new GraphError(
      `the output ${showType(prediction.type)} scores no classes of [${shape.join(", ")}] positions`,
      {
        where: "loss",
      },
    );
  }
  const count = elementCount(shape);
  const targetInput = given ?? builder.input("targets", { dtype: "int32", shape: [batchSize, count] });
  const { axis, isLastOnly, classes, positions } = layout;
  const wanted = isLastOnly
    ? slice(builder, targetInput, { starts: [count - 1], ends: [count], axes: [1] })
    : targetInput;
  const labels = cast(builder, reshape(builder, wanted, [batchSize * positions]), "int64");
  const logits = axis === each.length - 1 ? logitsOf(builder.nodes, prediction) : prediction;
  const others = [...prediction.type.shape.keys()].filter((place) => place !== axis + 1);
  const last = axis === each.length - 1 ? logits : transpose(builder, logits, [...others, axis + 1]);
  const rows = reshape(builder, last, [batchSize * positions, classes]);
  return { loss: maskedCrossEntropy(builder, rows, labels, labelSmoothing), targetInput };
}
