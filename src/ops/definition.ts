/**
 * The definition of an operator: its type rule, its gradient, how it becomes ONNX for a target.
 *
 * One table entry per operator; adding an operator is adding an entry (see docs/architecture.md).
 */
import { GraphError, UnsupportedError } from "../errors.ts";
import {
  GraphBuilder,
  type InferredType,
  type InferTypes,
  type Node,
  type OperatorCall,
  onnxDomain,
  showCall,
  showNode,
  type Value,
} from "../ir/graph.ts";
import type { Tensor } from "../ir/tensor.ts";
import type { TensorType } from "../ir/types.ts";
import type { FoldRule } from "./build/fold/data.ts";
import type { SymbolicRule } from "./build/fold/symbolic.ts";
import type { FunctionOfEach, FunctionOfOne } from "./build/functions-of-one.ts";
import type { OperatorInput } from "./inputs.ts";
import type { Decomposition, Simplification, Upgrade } from "./rewrite/context.ts";

/**
 * The arguments of a gradient rule. `needed[i]` says whether the gradient of input i will be used: a rule may return
 * undefined for the others and should not spend nodes on them.
 */
export interface GradientContext {
  readonly builder: GraphBuilder;
  readonly node: Node;
  /** Gradients of the loss with respect to the outputs; undefined where an output does not reach the loss. */
  readonly outputGradients: readonly (Value | undefined)[];
  readonly needed: readonly boolean[];
  input(index: number): Value;
  output(index: number): Value;
  /** The gradient of output `index`. @throws GraphError when that output does not reach the loss. */
  outputGradient(index: number): Value;
}

/** Returns, for each input, the gradient of the loss with respect to it, or undefined where there is none. */
export type GradientRule = (context: GradientContext) => readonly (Value | undefined)[];

/** Operators of the standard that a device may lack; `MaxPoolIndices` is the second output of MaxPool. */
export type MissingOperator = "Round" | "OneHot" | "LogSoftmax" | "MaxPoolIndices";

/** The operators that the target machine prefers. `generic` is the standard opset only. */
export interface Target {
  readonly name: "generic" | "cpu";
  /** Channels per block of the engine's blocked convolutions; 1 where they are not used. */
  readonly blockSize: number;
  /** The operators that are built of others, because the device lacks them. Absent: none. */
  readonly lacks?: readonly MissingOperator[];
}

/** The arguments of a lowering: a node with its inputs already in the new graph. */
export interface LoweringContext {
  readonly builder: GraphBuilder;
  readonly node: Node;
  readonly inputs: readonly (Value | undefined)[];
  readonly target: Target;
  input(index: number): Value;
  /** Whether nothing else reads that input, so that its producer may be replaced without computing it twice. */
  isOnlyConsumer(index: number): boolean;
}

/** Returns the values that stand for the node's outputs; undefined for outputs that nothing uses. */
export type Lowering = (context: LoweringContext) => readonly (Value | undefined)[];

/** A lowering for some cases only; undefined: the node stays as it is. */
export type PartialLowering = (context: LoweringContext) => ReturnType<Lowering> | undefined;

/** The layout of a layer's weights. An operator with weights is a layer. */
export interface LayerTraits {
  /** Index of the input that carries the data. */
  readonly data: number;
  /** Index of the input that carries the weight. */
  readonly weight: number;
  /** Returns the axis of the weight that counts output channels. */
  outputAxis(node: Node): number;
  /** Returns how many output channels the layer has, those of all groups. */
  outputChannels(node: Node): number;
  /** Returns the axes of data and weight that are summed over together. */
  summedAxes(node: Node): { readonly data: number; readonly weight: number };
}

/** The arguments of a rule of non-negativity. */
export interface NonNegativityContext {
  readonly node: Node;
  /** Whether an input is known to hold no negative number; false where it was left out. */
  isNonNegative(index: number): boolean;
  /** The tensor of an input that is a constant. */
  constant(index: number): Tensor | undefined;
}

/** When an operator's outputs hold no negative number. */
export type NonNegativity =
  | "always"
  | "when-first-input"
  | "when-all-inputs"
  | ((context: NonNegativityContext) => boolean);

/** The work that an operator of a training step does by its nature; a layer's depends on what its node is for. */
export type OperatorWork = "gradient of inputs" | "gradient of weights" | "normalization" | "quantizers";

/** A normalization within a sample: x̂ = (x − mean)/√(variance + ε) over a row of elements, then a scale and an offset (inputs 1 and 2). */
export interface SampleNormalization {
  /** As many elements as follow one another are a row. */
  readonly size: number;
  /** Whether the mean is subtracted; otherwise x̂ = x/√(mean square + ε). */
  readonly isCentred: boolean;
  /** The axis of scale and offset. */
  readonly axis: number;
  readonly epsilon: number;
}

/** The traits of an operator, which passes query. An absent trait is one that the operator does not have. */
export interface OperatorTraits {
  /** Whether it computes nothing: it copies elements, reorders or repeats them. A function: some of its nodes do. */
  readonly movement?: boolean | ((node: Node) => boolean);
  /** Whether the engine keeps its output in the memory of its first input. */
  readonly view?: boolean;
  /**
   * Whether its output may be written over an input of the same shape: element i of it needs element i of that input and no
   * other, and the engine reads the element before it writes.
   */
  readonly inPlace?: boolean;
  /** Whether a node takes one pass over its tensor, and gives the same bits when it is computed again. */
  readonly cheap?: boolean | ((node: Node) => boolean);
  /** The kind of work. Absent: that of a layer where it is one, otherwise no kind of its own. */
  readonly work?: OperatorWork;
  /** Present: the operator has weights, and can get quantizers of its own. */
  readonly layer?: LayerTraits;
  /** Whether torch's eager mode observes its output. */
  readonly module?: boolean;
  /**
   * Whether another form of the same model, exported or converted, has its result too, so that the two can be compared.
   */
  readonly comparable?: boolean;
  /** Whether conversion computes it from codes alone, so that what it reads has to be codes: see `residualBits`. */
  readonly readsCodes?: boolean;
  /** The normalization within a sample that it is. */
  readonly normalizes?: (node: Node) => SampleNormalization;
  /** Whether a node weighs neighbours, so that what it reads has to be codes where a layer follows. */
  readonly interpolates?: (node: Node) => boolean;
  /**
   * How its output is made of the codes of its first input. `each`: every element of the one at its own place, kept or
   * limited; `moved`: elements at other places; `pooled`: the largest or the mean of several.
   */
  readonly passesCodes?: "each" | "moved" | "pooled";
  /**
   * Its value on one number, where each element of the output depends on the element of the first input at its place alone: what
   * conversion tabulates, so that what it reads has to be codes (see `residualBits`).
   */
  readonly ofOne?: FunctionOfOne;
  /**
   * The same of several inputs that broadcast: where all but one are constants, or all are functions of one value, it is a function of
   * one value as well.
   */
  readonly ofEach?: FunctionOfEach;
  /** The rows that it picks by number: the input that holds the numbers, and how many rows the table has. */
  readonly picksRows?: (node: Node) => { readonly index: number; readonly rows: number };
  /** Absent: never known. */
  readonly nonNegative?: NonNegativity;
}

/**
 * What an operator computes, in terms of its first input x, as far as conversion to integers can fold it. `affine`:
 * y = gain·x + offset, each one number or one for each channel (axis 1). `clamp`: y = min(max(x, low), high).
 */
export type IntegerMeaning =
  | {
      readonly kind: "affine";
      readonly gain: number | readonly number[];
      readonly offset?: number | readonly number[];
    }
  | { readonly kind: "clamp"; readonly low: number; readonly high: number };

/**
 * How a target with blocked tensors runs an operator on them: "pointwise" element by element as it is, "reduction" where it
 * reduces everything to a scalar, "average" by the engine's own average over the image, "own" by a lowering of its own.
 */
export type BlockedForm = "pointwise" | "reduction" | "average" | "own";

/**
 * How a file's nodes of an operator are read, where they do not stay nodes of it: "computed" while the file is read,
 * "quantizer" as a quantizer of the network or as a part of one, "as others" and "rewritten" as other operators.
 */
export type Reading = "computed" | "quantizer" | "as others" | "rewritten";

/** The properties of an operator that the importer needs. */
export interface OperatorRecord {
  readonly op: string;
  readonly domain: string;
  /** Other domains in which files write it with the same meaning. */
  readonly aliases?: readonly string[];
  /** Absent: its nodes stay nodes. */
  readonly reading?: Reading;
  /** The rewrites of nodes of other versions into their present form, in the order in which they are tried. */
  readonly upgrades?: readonly Upgrade[];
  /** Its decomposition, where it is a function of other operators. */
  readonly decompose?: Decomposition;
  /** What its nodes in their present form are read as where they need not be nodes. Absent: they always are. */
  readonly simplify?: Simplification;
}

/** An operator that files have and networks do not. */
export interface FileOperator extends OperatorRecord {
  readonly reading: Reading;
}

/** The record of an operator: everything that subbyte knows about it. */
export interface OperatorDefinition extends OperatorRecord {
  /** The inputs, in order; the last one may represent all that follow. Absent: none can be a parameter. */
  readonly inputs?: readonly OperatorInput[];
  readonly infer: (call: OperatorCall) => readonly InferredType[];
  /** Its value on constants. Absent: a node of constants stays a node. */
  readonly fold?: FoldRule;
  /** Its value on integers that depend on the batch. Absent: it has one for each batch alone. */
  readonly symbolic?: SymbolicRule;
  readonly gradient?: GradientRule;
  /** Absent: the node is standard ONNX and stays as it is. */
  readonly lower?: PartialLowering;
  /**
   * A second lowering, after every node has had its first: for operators whose best form depends on how the engine
   * keeps the tensors around them (blocked or not), which is known only then.
   */
  readonly arrange?: Lowering;
  /** Its form on tensors that are blocked already. Absent: it reads them as NCHW. */
  readonly blocked?: BlockedForm | undefined;
  readonly traits?: OperatorTraits;
  /** The meaning by which `convert` folds the operator into integers, where conversion has no rule of its own for it. */
  readonly integers?: (node: Node) => IntegerMeaning;
  /** Returns the multiply-accumulates of a node, for its whole batch. Absent: its arithmetic does not count as such. */
  readonly macs?: (node: Node) => number;
}

/** The columns that helpers pass unchanged to the definitions they create. */
export type OperatorColumns = Partial<Omit<OperatorDefinition, "op" | "domain" | "infer" | "gradient">>;

/** Operators by {@link operatorKey}. */
export type OperatorRegistry = ReadonlyMap<string, OperatorDefinition>;

/** The key under which a registry keeps an operator. */
export function operatorKey(domain: string, op: string): string {
  return domain === onnxDomain ? op : `${domain}:${op}`;
}

/** Makes a registry of the definitions in some tables. */
export function makeRegistry(...tables: readonly (readonly OperatorDefinition[])[]): OperatorRegistry {
  return new Map(tables.flat().map((definition) => [operatorKey(definition.domain, definition.op), definition]));
}

/** The key of a definition. */
type OperatorName = Pick<Node, "op" | "domain">;

/** Returns the definition of a node's operator; undefined where the registry has none. */
export function findDefinition(registry: OperatorRegistry, node: OperatorName): OperatorDefinition | undefined {
  return registry.get(operatorKey(node.domain, node.op));
}

/** Whether a node is of this operator. */
export function isOperator(definition: OperatorDefinition, node: OperatorName): boolean {
  return node.op === definition.op && node.domain === definition.domain;
}

/** The definition of a node's operator. @throws UnsupportedError naming the node when there is none. */
export function definitionOf(
  registry: OperatorRegistry,
  node: { readonly op: string; readonly domain: string; readonly name: string },
): OperatorDefinition {
  const definition = findDefinition(registry, node);
  if (definition === undefined) {
    throw new UnsupportedError(`subbyte does not know the operator ${operatorKey(node.domain, node.op)}`, {
      where: showNode(node),
      remedy: "docs/OPS.md lists the operators that it knows; replace this one or export the model without it.",
    });
  }
  return definition;
}

/** Type inference by a registry's rules. */
export function inferWith(registry: OperatorRegistry): InferTypes {
  return (call) => definitionOf(registry, call).infer(call);
}

/** The type of a required input. @throws GraphError when it was left out. */
export function requiredInput(call: OperatorCall, index: number): TensorType {
  const type = call.inputs[index];
  if (type === undefined)
    throw new GraphError(`input ${index} is missing in ${showCall(call)}`, { where: showNode(call) });
  return type;
}

/** The tensor of an input that must be known when the graph is built. @throws UnsupportedError when it is computed. */
export function requiredConstant(call: OperatorCall, index: number): Tensor {
  const tensor = call.constants[index];
  if (tensor === undefined) {
    throw new UnsupportedError(`input ${index} of ${call.op} must be a constant`, {
      where: showNode(call),
      remedy: "Shapes are static in subbyte: export the model with fixed shapes or let the importer fold them.",
    });
  }
  return tensor;
}

/** A GraphError that names the node and shows its input types. */
export function typeError(call: OperatorCall, message: string): GraphError {
  return new GraphError(`${message} in ${showCall(call)}`, { where: showNode(call) });
}

/** A builder that infers types with these operators. */
export function builderFor(registry: OperatorRegistry, name: string): GraphBuilder {
  return new GraphBuilder(name, inferWith(registry));
}
