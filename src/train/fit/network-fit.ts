/** Checks before training whether the outputs of a network fit the data. */
import { denseLayout } from "../../compile/build/dense.ts";
import { cellCount, type LabelType } from "../../data/dataset/dataset.ts";
import type { SampleType } from "../../data/dataset/sample-type.ts";
import { shortList } from "../../data/images/list-folder.ts";
import { ConfigError, UnsupportedError } from "../../errors.ts";
import { dataInputs, type Network, type ParameterRole } from "../../ir/network.ts";
import { elementCount, type Shape, sameShape, type TensorType } from "../../ir/types.ts";
import { notesOnBoundedReconstruction, notesOnOwnNormalization, notesOnSigmoid } from "./own-arithmetic.ts";

/** Number of classes that a message names. */
const namedClasses = 6;

/** Roles that an optimizer trains, unless an operator without a gradient comes after them. */
const learnedRoles: readonly ParameterRole[] = ["weight", "bias", "normalization-scale", "normalization-bias"];

/** As `[N,3,32,32]`: the batch may have any size. */
export function showBatchOf(each: readonly (number | string)[]): string {
  return `[${["N", ...each].join(",")}]`;
}

/**
 * The one input that samples are fed to.
 *
 * @throws UnsupportedError for a network with several inputs, or where only one of input and samples is of whole numbers.
 */
export function sampleInput(network: Network, where: string, sampleType: SampleType): TensorType {
  const inputs = dataInputs(network);
  const [input] = inputs;
  if (input === undefined || inputs.length > 1) {
    const found = inputs.map(({ name, type }) => `${name}${showBatchOf(type.shape.slice(1))}`);
    throw new UnsupportedError(
      `the model takes ${found.length === 0 ? "no inputs" : found.join(" and ")}, samples are one input`,
      { where, remedy: "Give an NPZ file with an array for each, by its name." },
    );
  }
  const isFloat = input.type.dtype === "float32";
  if (isFloat === (sampleType !== "int32")) return input.type;
  throw new UnsupportedError(
    `the input ${input.name} holds ${input.type.dtype}, the samples are ${isFloat ? "whole numbers" : sampleType}`,
    {
      where,
      remedy: isFloat
        ? "Save the samples as float32, or export the model with an int64 input."
        : "Give whole numbers: an NPZ or NPY file with an integer array, or JSON lines with a tokenizer.",
    },
  );
}

/** The shape of what a network gives for one sample. @throws UnsupportedError unless it is one output of float32. */
export function outputShape(network: Network, where: string): Shape {
  const { outputs } = network.graph;
  const [output] = outputs;
  if (output === undefined || outputs.length > 1) {
    const names = shortList(outputs.map(({ name }) => name));
    throw new UnsupportedError(`the model has ${outputs.length} outputs (${names}), training needs one`, {
      where,
      remedy: "Export it with the output to train: in PyTorch by a module that returns only that one.",
    });
  }
  const { dtype, shape } = output.value.type;
  if (dtype === "float32") return shape.slice(1);
  throw new UnsupportedError(`the output ${output.name} holds ${dtype}, which has no gradient`, {
    where,
    remedy: "Export the model up to its scores, without selecting among them (ArgMax, TopK).",
  });
}

/** The data that a network has to fit. */
export interface WantedFit {
  /** The name of the network in messages. */
  readonly where: string;
  readonly target: LabelType;
  readonly teacher?: { readonly network: Network; readonly where: string };
}

/**
 * Checks that a network's output fits the labels of the data, and its teacher's.
 *
 * @returns What is odd about it but possible, in sentences.
 * @throws ConfigError when the sizes differ; UnsupportedError for a network that cannot be trained on anything.
 */
export function checkFit(network: Network, { where, target, teacher }: WantedFit): string[] {
  const shape = outputShape(network, where);
  if (!network.parameters.some(({ trainable }) => trainable)) {
    throw new UnsupportedError("nothing in the model can be trained", {
      where,
      remedy: "Its weights may be whole numbers, or lie before an operator without a gradient: see subbyte inspect.",
    });
  }
  if (teacher !== undefined) {
    const given = outputShape(teacher.network, teacher.where);
    if (!sameShape(given, shape)) {
      throw new ConfigError(`the teacher gives ${showBatchOf(given)}, the model ${showBatchOf(shape)}`, {
        where: teacher.where,
        remedy: "Name a teacher with the same output.",
      });
    }
  }
  const notes =
    target.kind === "classes" ? [...checkClasses(shape, target.classes, where), ...notesOnSigmoid(network)] : [];
  notes.push(...notesOnOwnNormalization(network));
  if (target.kind === "values") checkValues(shape, target.shape, where);
  if (target.kind === "dense") notes.push(...checkPositions(shape, target, where, teacher !== undefined));
  if (target.kind === "boxes") checkBoxes(shape, target, where);
  if (target.kind === "input") notes.push(...checkReconstruction(network, shape, where));
  const held = network.parameters.filter(({ trainable, role }) => !trainable && learnedRoles.includes(role)).length;
  if (held > 0)
    notes.push(`${held} parameter ${held === 1 ? "tensor is" : "tensors are"} not trained; inspect says why`);
  return notes;
}

function checkClasses(shape: Shape, classes: readonly string[], where: string): string[] {
  const [outputs = 1] = shape;
  if (shape.length !== 1) {
    throw new UnsupportedError(`the model gives ${showBatchOf(shape)}, classes need [N,classes]`, {
      where,
      remedy: "Export it with a Flatten (or the pooling before it) at its end; or choose another task.",
    });
  }
  if (outputs < classes.length) {
    throw new ConfigError(
      `the model has ${outputs} ${outputs === 1 ? "output" : "outputs"}, the data ${classes.length} classes: ${shortList(classes, namedClasses)}`,
      {
        where,
        remedy: `Give it a last layer of ${classes.length} outputs before the export, or data with its own classes.`,
      },
    );
  }
  if (outputs === classes.length) return [];
  return [
    `the model has ${outputs} outputs, the data ${classes.length} classes: they are taken for its first ones; ` +
      "data.classes names all of the model's, in its order",
  ];
}

function checkValues(shape: Shape, wanted: Shape, where: string): void {
  if (elementCount(shape) === elementCount(wanted)) return;
  const values = elementCount(wanted);
  throw new ConfigError(
    `the model gives ${elementCount(shape)} values for each sample, the data has ${values} to predict`,
    {
      where,
      remedy:
        `Give it a last layer of ${values} outputs before the export; for classes: --task classification, ` +
        "or --task token-classification or segmentation where each position has one.",
    },
  );
}

/** Checks that an output scores the classes of each position. */
function checkPositions(
  shape: Shape,
  target: LabelType & { readonly kind: "dense" },
  where: string,
  isTaught: boolean,
): string[] {
  const layout = denseLayout(shape, target.shape);
  const isNext = target.meaning === "next tokens";
  if (layout === undefined || (layout.isLastOnly && !isNext)) {
    const wanted = `${showBatchOf([...target.shape, "classes"])} or ${showBatchOf(["classes", ...target.shape])}`;
    throw new ConfigError(`the model gives ${showBatchOf(shape)}, ${target.shape.join("x")} positions need ${wanted}`, {
      where,
      remedy: "Give targets of the output's positions, or export the model up to its scores of each position.",
    });
  }
  if (isTaught && layout.axis !== shape.length - 1) {
    throw new UnsupportedError(
      "a teacher's classes are compared along the last axis, which is not that of the classes here",
      {
        where,
        remedy: "Train on the labels alone, or export models that give the classes last.",
      },
    );
  }
  const { classes } = target;
  if (layout.classes < classes.length) {
    throw new ConfigError(`the model has ${layout.classes} classes, the data ${classes.length}`, {
      where,
      remedy: `Give it a last layer of ${classes.length} classes before the export, or set data.ignoreIndex to a label that does not count.`,
    });
  }
  const axes = `[${["N", ...shape].join(", ")}]`;
  const notes = layout.isLastOnly
    ? [`the model gives ${axes}: the token after the last one of each sample is predicted`]
    : [`axis ${layout.axis + 1} of the output ${axes} counts the classes`];
  if (classes.length > 0 && layout.classes > classes.length) {
    notes.push(
      `the model has ${layout.classes} classes, the data ${classes.length}: they are taken for its first ones; ` +
        "data.classes names all of the model's, in its order",
    );
  }
  return notes;
}

/** Checks that an output has distances and scores for each cell. */
function checkBoxes(shape: Shape, target: LabelType & { readonly kind: "boxes" }, where: string): void {
  const { classes, strides, height, width } = target;
  const [rows, cells] = [4 + classes.length, cellCount(target)];
  if (sameShape(shape, [rows, cells])) return;
  const grids = strides.map((stride) => `${Math.ceil(height / stride)}x${Math.ceil(width / stride)}`).join(" + ");
  const isTransposed = sameShape(shape, [cells, rows]);
  throw new ConfigError(
    `the model gives ${showBatchOf(shape)}, boxes need ${showBatchOf([rows, cells])}: left, top, right, bottom and ${classes.length} classes ` +
      `for ${grids} cells of the strides ${strides.join(", ")}`,
    {
      where,
      remedy: isTransposed
        ? "Its last two axes are the other way round: transpose them before the export."
        : "Export it up to the distances and scores of each cell, without decoding; data.strides and data.size say which cells there are.",
    },
  );
}

/** Checks that an output has the elements of the input. */
function checkReconstruction(network: Network, shape: Shape, where: string): string[] {
  const input = dataInputs(network)[0]?.type.shape.slice(1) ?? [];
  if (elementCount(input) !== elementCount(shape)) {
    throw new ConfigError(`the model gives ${showBatchOf(shape)}, its input is ${showBatchOf(input)}`, {
      where,
      remedy: "An autoencoder gives as many values as it reads; choose another task.",
    });
  }
  return notesOnBoundedReconstruction(network);
}
