/**
 * Distillation from a float teacher: Hinton et al., "Distilling the Knowledge in a Neural Network" (arXiv 1503.02531).
 *
 * The loss is (1 − weight)·task + weight·T²·KL(teacher ‖ student), both softened by the temperature T; T² keeps the
 * size of the gradient as T changes (section 2). Outputs that are not classes are learned by their squared differences.
 */
import { GraphError } from "../../errors.ts";
import type { GraphBuilder, Value } from "../../ir/graph.ts";
import { dataInputs, type Network, withOrigins } from "../../ir/network.ts";
import { originOf } from "../../ir/origin.ts";
import { elementCount, sameShape, showType } from "../../ir/types.ts";
import { add, multiply, subtract } from "../../ops/families/elementwise.ts";
import { reshape } from "../../ops/families/shape/shape-ops.ts";
import { softmax } from "../../ops/families/softmax.ts";
import { meanSquaredError, softTargetCrossEntropy } from "../../ops/internal/loss.ts";
import { bindBatch } from "../passes/bind-batch.ts";
import { addForward, evaluationMode } from "./forward.ts";
import type { AddedInputs } from "./input.ts";
import { logitsOf, type OutputKind } from "./outputs.ts";

/** A network to learn from. */
export interface TeacherConfig {
  /** Takes the same data as the student and has an output of the same shape. */
  readonly teacher: Network;
  /** `classes`: its scores are softened and compared as distributions; `values`: by their squared differences. */
  readonly outputs: OutputKind;
  readonly temperature: number;
}

/** Settings of distillation from a teacher. */
export interface DistillationConfig extends TeacherConfig {
  /** Share of the loss, 0 to 1; at 1 no label is needed. */
  readonly weight: number;
}

/** The teacher's output for the batch, before a last Softmax; its parameters are constants of the step. */
export function teacherOutput(
  builder: GraphBuilder,
  { teacher, outputs }: TeacherConfig,
  data: AddedInputs["values"],
  batchSize: number,
): Value {
  const network = withOrigins(bindBatch(teacher, batchSize), ({ layer }) =>
    originOf("loss", layer === undefined ? undefined : `teacher/${layer}`),
  );
  const inputs = new Map<string, Value>();
  const [only] = data.size === 1 ? data.values() : [];
  for (const { name } of dataInputs(network)) {
    // The teacher's file may name its only input in another way.
    const value = data.get(name) ?? only;
    if (value === undefined) {
      throw new GraphError(`the data have no values for the teacher's input "${name}"`, {
        where: `network "${teacher.name}"`,
      });
    }
    inputs.set(name, value);
  }
  for (const { name, value } of network.parameters) inputs.set(name, builder.constant(value, `teacher.${name}`));
  const [output] = builder
    .scope("teacher", () => addForward(builder, network, inputs, evaluationMode))
    .outputs.values();
  if (output === undefined) throw new GraphError("the teacher has no output", { where: `network "${teacher.name}"` });
  return outputs === "classes" ? logitsOf(builder.nodes, output) : output;
}

/**
 * KL(softmax(teacher/T) ‖ softmax(student/T)) over the last axis, mean over the rows, times T². The teacher's own entropy
 * is a constant of the batch; it is subtracted so that the value is a divergence, 0 where the two agree.
 */
export function distillationLoss(builder: GraphBuilder, student: Value, teacher: Value, temperature: number): Value {
  const classes = student.type.shape.at(-1) ?? 1;
  const rows = [elementCount(student.type.shape) / classes, classes];
  const soft = (logits: Value): Value => multiply(builder, reshape(builder, logits, rows), 1 / temperature);
  const targets = softmax(builder, soft(teacher), 1);
  const cross = softTargetCrossEntropy(builder, soft(student), targets);
  const entropy = softTargetCrossEntropy(builder, soft(teacher), targets);
  return multiply(builder, subtract(builder, cross, entropy), temperature ** 2);
}

/**
 * How far a student is from its teacher on a batch.
 *
 * @param student The student's output, before a last Softmax where the outputs are classes.
 * @throws GraphError when the two outputs differ in shape.
 */
export function teacherLoss(
  builder: GraphBuilder,
  student: Value,
  data: AddedInputs["values"],
  batchSize: number,
  config: TeacherConfig,
): Value {
  const teacher = teacherOutput(builder, config, data, batchSize);
  if (!sameShape(teacher.type.shape, student.type.shape)) {
    throw new GraphError(`the teacher gives ${showType(teacher.type)}, the student ${showType(student.type)}`, {
      where: `network "${config.teacher.name}"`,
      remedy: "Name a teacher with the same output.",
    });
  }
  if (config.outputs === "values") return meanSquaredError(builder, student, teacher);
  return distillationLoss(builder, student, teacher, config.temperature);
}

/** The task's loss and the distillation's, weighted. */
export function distilledLoss(
  builder: GraphBuilder,
  task: Value,
  student: Value,
  data: AddedInputs["values"],
  batchSize: number,
  config: DistillationConfig,
): Value {
  const distance = teacherLoss(builder, student, data, batchSize, config);
  if (config.weight === 1) return distance;
  return add(builder, multiply(builder, task, 1 - config.weight), multiply(builder, distance, config.weight));
}
