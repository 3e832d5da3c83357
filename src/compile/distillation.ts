/**
 * Distillation from a float teacher: Hinton et al., "Distilling the Knowledge in a Neural Network" (arXiv 1503.02531).
 *
 * The loss is (1 − weight)·task + weight·T²·KL(teacher ‖ student), both softened by the temperature T; T² keeps the
 * size of the gradient as T changes (section 2).
 */
import { GraphError } from "../errors.ts";
import type { GraphBuilder, Value } from "../graph/graph.ts";
import { dataInputs, type Network } from "../graph/network.ts";
import { add, multiply, subtract } from "../ops/elementwise.ts";
import { softTargetCrossEntropy } from "../ops/loss.ts";
import { softmax } from "../ops/softmax.ts";
import { bindBatch } from "./bind-batch.ts";
import { addForward, evaluationMode } from "./forward.ts";

export interface DistillationConfig {
  /** Takes the same data as the student and gives as many logits. */
  readonly teacher: Network;
  readonly temperature: number;
  /** Share of the loss, 0 to 1; at 1 no label is needed. */
  readonly weight: number;
}

/** The teacher's logits for the batch; its parameters are constants of the step. */
export function teacherLogits(builder: GraphBuilder, teacher: Network, data: Value, batchSize: number): Value {
  const network = bindBatch(teacher, batchSize);
  const inputs = new Map<string, Value>();
  for (const input of dataInputs(network)) inputs.set(input.name, data);
  for (const { name, value } of network.parameters) inputs.set(name, builder.constant(value, `teacher.${name}`));
  const [logits] = builder
    .scope("teacher", () => addForward(builder, network, inputs, evaluationMode))
    .outputs.values();
  if (logits === undefined) throw new GraphError("the teacher has no output", { where: `network "${teacher.name}"` });
  return logits;
}

/**
 * KL(softmax(teacher/T) ‖ softmax(student/T)), mean over the batch, times T². The teacher's own entropy is a constant
 * of the batch; it is subtracted so that the value is a divergence, 0 where the two agree.
 */
export function distillationLoss(builder: GraphBuilder, student: Value, teacher: Value, temperature: number): Value {
  const soft = (logits: Value): Value => multiply(builder, logits, 1 / temperature);
  const targets = softmax(builder, soft(teacher), 1);
  const cross = softTargetCrossEntropy(builder, soft(student), targets);
  const entropy = softTargetCrossEntropy(builder, soft(teacher), targets);
  return multiply(builder, subtract(builder, cross, entropy), temperature ** 2);
}

/** The task's loss and the distillation's, weighted. */
export function distilledLoss(
  builder: GraphBuilder,
  task: Value,
  student: Value,
  data: Value,
  batchSize: number,
  config: DistillationConfig,
): Value {
  const teacher = teacherLogits(builder, config.teacher, data, batchSize);
  const divergence = distillationLoss(builder, student, teacher, config.temperature);
  if (config.weight === 1) return divergence;
  return add(builder, multiply(builder, task, 1 - config.weight), multiply(builder, divergence, config.weight));
}
