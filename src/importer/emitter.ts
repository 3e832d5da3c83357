/**
 * Makes nodes of the network while a file is read: what can be computed is computed, what does nothing is left out, and
 * tensors become constants or parameters where a node that stays reads them.
 */

import { defined } from "../base/defined.ts";
import { inferTypes, operators } from "../compile/registry.ts";
import type { SiteParts } from "../compile/sites.ts";
import { GraphError } from "../errors.ts";
import {
  type Attributes,
  GraphBuilder,
  type NodeOptions,
  type OperatorCall,
  onnxDomain,
  showNode,
  type Value,
} from "../ir/graph.ts";
import { inFloat32 } from "../ir/half.ts";
import type { Parameter } from "../ir/network.ts";
import { type LayerId, originOf } from "../ir/origin.ts";
import { type Dimensions, isSymbolic, numbersIn } from "../ir/size.ts";
import type { Tensor } from "../ir/tensor.ts";
import { elementCount, showType, type TensorType } from "../ir/types.ts";
import { UniqueNames } from "../ir/unique-names.ts";
import { type FoldRule, fromNumbers } from "../ops/build/fold/data.ts";
import { findDefinition } from "../ops/definition.ts";
import { canFold, foldNode } from "../ops/evaluate.ts";
import { batchValue } from "../ops/internal/batch-value.ts";
import type { RepeatedPlace } from "../ops/rewrite/context.ts";
import {
  type BatchCall,
  type BatchSlot,
  type ConstantSlot,
  type Slot,
  type SlotType,
  typeAt,
  typeOf,
  type ValueSlot,
} from "../ops/rewrite/slots.ts";
import { computationOf, tensorAt } from "./batch/computation.ts";
import { symbolicTypes } from "./batch/inference.ts";
import { symbolicResults } from "./batch/symbolic.ts";
import type { FoldBudget } from "./fold-budget.ts";
import { isOwnRole, isTrainedRole, roleOf, type Use } from "./parameters.ts";
import { parameterName } from "./patterns/stored-names.ts";
import { Copies } from "./shared/copies.ts";
import { Owners } from "./shared/owners.ts";
import { RepeatedNames } from "./shared/repeated-names.ts";

/** The batch size while a file is read. */
export interface BatchBinding {
  /** The size that the network's values have while the file is read. Nothing is decided by it. */
  readonly size: number;
  /** The batch size that the file was written for, where it states one and is read for any. */
  readonly stated?: number;
}

/** A quantizer of the file, before it is known which layer reads it. */
export type EmittedSite = Omit<SiteParts, "layer">;

/** The input of a node that a slot is. */
interface SlotUse extends Pick<Use, "index" | "afterParameter"> {
  readonly node: Use["node"] & { readonly name: string };
  /** The node of the file that the parameters of its own belong to. */
  readonly owner: object;
}

/** Options of a node that is added. */
interface EmitOptions extends NodeOptions {
  /** The place of the node, where it is one of several time steps. */
  readonly repeated?: RepeatedPlace;
}

/** A node whose inputs are all known. */
interface KnownNode extends Pick<OperatorCall, "op" | "domain" | "attributes"> {
  readonly inputs: readonly (Slot | undefined)[];
  readonly tensors: readonly (Tensor | undefined)[];
}

/** Builds the imported graph: folds nodes of constants, keeps track of parameters, and adds the rest as nodes. */
export class Emitter {
  readonly builder: GraphBuilder;
  /** Present while a network is read for any batch size. */
  readonly batch: BatchBinding | undefined;
  readonly #parameters: Parameter[] = [];
  readonly #made = new Map<ConstantSlot, Value>();
  /** Parameters that belong to one place of one node of the file each, by those: a loop reads the node many times. */
  readonly #ownMade = new Map<ConstantSlot, Map<object, Map<number, Value>>>();
  readonly #owners = new Owners();
  readonly #copies = new Copies();
  readonly #names = new UniqueNames();
  readonly #afterParameter = new Set<Value>();
  readonly #notes = new Set<string>();
  readonly #sites: EmittedSite[] = [];
  /** The types of values whose shapes depend on the batch. */
  readonly #types = new Map<Value, SlotType>();
  readonly #batchValues = new Map<string | BatchCall, Map<number, Value>>();
  readonly #folding: FoldBudget;
  #reference: Value | undefined;
  readonly #layers = new Map<object, LayerId>();
  readonly #repeated = new RepeatedNames();
  #nodeName = "";
  #node: object = {};

  constructor(name: string, batch: BatchBinding | undefined, folding: FoldBudget) {
    this.builder = new GraphBuilder(name, inferTypes);
    this.batch = batch;
    this.#folding = folding;
  }

  get parameters(): readonly Parameter[] {
    return this.#parameters;
  }

  get notes(): readonly string[] {
    return [...this.#notes];
  }

  /** The quantizers that the file carries. */
  get sites(): readonly EmittedSite[] {
    return this.#sites;
  }

  addSite(site: EmittedSite): void {
    this.#sites.push(site);
  }

  /** Remembers something that the user should know, once. */
  note(text: string): void {
    this.#notes.add(text);
  }

  /** Nodes emitted from here on belong to this node of the file. */
  enter(node: { readonly name: string }): void {
    this.#nodeName = node.name;
    this.#node = node;
  }

  /** An input of the network. */
  input(name: string, type: SlotType): Slot {
    this.#names.add(name);
    const value = this.builder.input(name, typeAt(type, this.batch?.size ?? 0));
    this.#reference ??= value;
    return this.#remember(value, type);
  }

  /** An input of the network whose first axis is the batch. */
  batchReference(): ValueSlot {
    if (this.#reference === undefined) throw new GraphError("the network has no input", { where: this.builder.name });
    return this.slotOf(this.#reference);
  }

  /** Returns the slot of a value of the network. */
  slotOf(value: Value): ValueSlot {
    return { kind: "value", value, type: this.#types.get(value) ?? value.type };
  }

  #remember(value: Value, type: SlotType): ValueSlot {
    if (type.shape.some(isSymbolic)) this.#types.set(value, type);
    return { kind: "value", value, type };
  }

  /** Integers, some of which depend on the batch: the sizes of a shape. */
  integers(elements: Dimensions, shape: readonly number[] = [elements.length]): Slot {
    return this.#fromElements("int64", shape, elements);
  }

  #fromElements(dtype: TensorType["dtype"], shape: readonly number[], elements: Dimensions): ConstantSlot | BatchSlot {
    const numbers = numbersIn(elements);
    if (numbers !== undefined) return this.constant(fromNumbers({ dtype, shape }, numbers), "");
    return { kind: "batch", type: { dtype, shape }, source: { elements } };
  }

  constant(tensor: Tensor, name = "constant", stored = false): ConstantSlot {
    return { kind: "constant", tensor: inFloat32(tensor), name, stored };
  }

  /** Adds a node, or computes it. @throws GraphError when the inputs do not fit the operator. */
  emit(
    op: string,
    inputs: readonly (Slot | undefined)[],
    attributes: Attributes = {},
    options: EmitOptions = {},
  ): readonly Slot[] {
    const folded = this.#fold(op, inputs, attributes, options);
    if (folded !== undefined) return folded;
    const { repeated } = options;
    const own = this.#nodeName === "" ? op : this.#nodeName;
    const make = (): string => this.unusedName(`${own}/${repeated?.part}`);
    const name = repeated ? this.#repeated.of(this.#node, repeated.part, make) : this.unusedName(options.name ?? own);
    const node = { op, domain: options.domain ?? onnxDomain, name };
    const afterParameter = inputs.some((slot) => slot?.kind === "value" && this.#afterParameter.has(slot.value));
    const owner = this.#owners.of(this.#node, node, inputs);
    const values = inputs.map((slot, index) =>
      slot === undefined ? undefined : this.#value(slot, { node, owner, index, afterParameter }),
    );
    const nodeOptions = {
      domain: node.domain,
      name,
      ...defined({ outputCount: options.outputCount, outputNames: options.outputNames }),
    };
    const layer = originOf("forward", this.#layerOf(name));
    const origin = repeated === undefined ? layer : { ...layer, step: repeated.step };
    const outputs = this.builder.from({ origin }, () => this.builder.node(op, values, attributes, nodeOptions));
    for (const output of outputs) checkSize(output.type, node);
    const types = symbolicTypes({ ...node, inputs, attributes, outputCount: options.outputCount });
    if (values.some((value) => value !== undefined && this.#afterParameter.has(value))) {
      for (const output of outputs) this.#afterParameter.add(output);
    }
    return outputs.map((value, i) => this.#remember(value, types?.[i] ?? value.type));
  }

  /** The layer that a node of the file is, however many nodes are made of it: the name of the first of them. */
  #layerOf(name: string): LayerId {
    const layer = this.#layers.get(this.#node) ?? name;
    this.#layers.set(this.#node, layer);
    return layer;
  }

  /** Adds a node with one output. */
  one(op: string, inputs: readonly (Slot | undefined)[], attributes: Attributes = {}, options: NodeOptions = {}): Slot {
    const [slot] = this.emit(op, inputs, attributes, options);
    if (slot === undefined) throw new GraphError(`${op} made no output`, { where: `node "${this.#nodeName}"` });
    return slot;
  }

  /** The value of a slot that is not the input of a node: an output of the network. */
  outputValue(slot: Slot): Value {
    return this.#value(slot);
  }

  /** The same numbers, as what nodes compute with and not as what is computed while the file is read. */
  fixed(slot: Slot): ValueSlot {
    if (slot.kind === "value") return slot;
    const given = slot.kind === "constant" ? { ...slot, stored: false } : slot;
    return this.#remember(this.#value(given), typeOf(slot));
  }

  /** A parameter of the network; its name is made unique. */
  parameter(parameter: Parameter): Value {
    const name = this.unusedName(parameter.name);
    const { dtype, shape } = parameter.value;
    const value = this.builder.input(name, { dtype, shape });
    this.#parameters.push({ ...parameter, name });
    if (parameter.trainable) this.#afterParameter.add(value);
    return value;
  }

  /** Notes that a value was made of another one without this emitter. */
  follow(from: Value, made: Value): void {
    const type = this.#types.get(from);
    if (type !== undefined) this.#types.set(made, type);
    if (this.#afterParameter.has(from)) this.#afterParameter.add(made);
  }

  #fold(
    op: string,
    inputs: readonly (Slot | undefined)[],
    attributes: Attributes,
    options: NodeOptions,
  ): readonly Slot[] | undefined {
    const domain = options.domain ?? onnxDomain;
    const rule = findDefinition(operators, { op, domain })?.fold;
    if (rule === undefined) return undefined;
    const known: (ConstantSlot | BatchSlot | undefined)[] = [];
    const tensors: (Tensor | undefined)[] = [];
    for (const slot of inputs) {
      if (slot?.kind === "value") return undefined;
      known.push(slot);
      if (slot?.kind !== "batch") tensors.push(slot?.tensor);
    }
    if (tensors.length < inputs.length) {
      return domain === onnxDomain ? this.#foldBatch(op, known, attributes, options) : undefined;
    }
    const [first] = inputs;
    const make = () => this.#computed(rule, { op, domain, attributes, inputs, tensors }, options);
    if (rule.copies !== true || first?.kind !== "constant" || !first.stored) return make();
    if (first.tied === true) return undefined;
    return this.#copies.of(first, { op, domain, attributes, inputs: tensors, outputCount: options.outputCount }, make);
  }

  #computed(
    rule: FoldRule,
    { op, domain, attributes, inputs, tensors }: KnownNode,
    { outputCount }: NodeOptions,
  ): readonly Slot[] | undefined {
    const call: OperatorCall = {
      op,
      domain,
      name: this.#nodeName,
      inputs: tensors.map((tensor) => tensor && { dtype: tensor.dtype, shape: tensor.shape }),
      constants: tensors,
      attributes,
      outputCount,
    };
    const types = inferTypes(call);
    for (const type of types) checkSize(type, call);
    // Copies of a stored tensor would take it from training.
    const [first] = inputs;
    const isStored = first?.kind === "constant" && first.stored;
    if (rule.repeats === true && isStored && elementCount(first.tensor.shape) > 64) return undefined;
    if (canFold(rule, { inputs: tensors, types })) this.#folding.take(call, types);
    const results = foldNode(rule, { op, name: this.#nodeName, attributes, inputs: tensors, types });
    // One number spread over a shape is a default that an exporter filled in; it had no elements to be trained.
    const isFilled = rule.repeats === true && first?.kind === "constant" && first.tensor.shape.length === 0;
    const stored = !isFilled && inputs.some((slot) => slot?.kind === "constant" && slot.stored);
    return results?.map((tensor) => this.constant(tensor, rule.copies === true && isStored ? first.name : "", stored));
  }

  /** The outputs of a node of tensors that are known once the batch is; undefined where it has to stay a node. */
  #foldBatch(
    op: string,
    inputs: readonly (ConstantSlot | BatchSlot | undefined)[],
    attributes: Attributes,
    options: NodeOptions,
  ): readonly Slot[] | undefined {
    const name = this.#nodeName === "" ? op : this.#nodeName;
    // A weight that is computed with stays one.
    const isTrained = (slot: ConstantSlot | BatchSlot | undefined) =>
      slot?.kind === "constant" && slot.stored && slot.tensor.dtype === "float32" && slot.tensor.data.length > 1;
    if (inputs.some(isTrained)) return undefined;
    const exact = symbolicResults({ op, name, attributes, inputs, outputCount: options.outputCount });
    if (exact !== undefined)
      return exact.map(({ dtype, shape, elements }) => this.#fromElements(dtype, shape, elements));
    const types = symbolicTypes({ op, domain: onnxDomain, name, inputs, attributes, outputCount: options.outputCount });
    if (types === undefined) return undefined;
    const call: BatchCall = { op, name, attributes, inputs, types };
    const slots = types.map((type, output): BatchSlot => ({ kind: "batch", type, source: { call, output } }));
    // The smallest batch with more than one sample shows whether the evaluator has a rule for this case.
    return slots.every((slot) => tensorAt(slot, 2) !== undefined) ? slots : undefined;
  }

  /** The node that gives a tensor which is known once the batch is. */
  #batchValue(slot: BatchSlot): Value {
    const { type, source } = slot;
    const key = "elements" in source ? JSON.stringify([type, source.elements]) : source.call;
    const made = this.#batchValues.get(key) ?? new Map<number, Value>();
    this.#batchValues.set(key, made);
    const output = "elements" in source ? 0 : source.output;
    const known = made.get(output);
    if (known !== undefined) return known;
    const reference = this.batchReference();
    const computation = computationOf(slot, this.batch?.size ?? 1);
    const value = batchValue(this.builder, reference.value, computation, this.unusedName(`${this.#nodeName}.batch`));
    made.set(output, value);
    this.#remember(value, type);
    return value;
  }

  /** The value of a slot; one that no node reads is never a parameter. */
  #value(slot: Slot, use?: SlotUse): Value {
    if (slot.kind === "value") return slot.value;
    if (slot.kind === "batch") return this.#batchValue(slot);
    const role = use && (roleOf({ ...use, ...slot }) ?? (slot.tied === true ? "weight" : undefined));
    const own = use !== undefined && role !== undefined && isOwnRole(role) ? use.index : undefined;
    const known = this.#made.get(slot);
    const same =
      own === undefined
        ? known
        : this.#ownMade
            .get(slot)
            ?.get(use?.owner ?? this.#node)
            ?.get(own);
    if (same !== undefined) return same;
    const value =
      use === undefined || role === undefined
        ? this.builder.constant(slot.tensor, slot.name === "" ? "constant" : slot.name)
        : this.parameter({
            name: parameterName(known === undefined ? slot.name : "", role, use.node),
            role,
            trainable: isTrainedRole(role),
            value: slot.tensor,
          });
    this.#made.set(slot, value);
    if (own !== undefined) this.#keepOwn(slot, use?.owner ?? this.#node, own, value);
    return value;
  }

  #keepOwn(slot: ConstantSlot, owner: object, index: number, value: Value): void {
    const nodes = this.#ownMade.get(slot) ?? new Map<object, Map<number, Value>>();
    this.#ownMade.set(slot, nodes);
    nodes.set(owner, (nodes.get(owner) ?? new Map<number, Value>()).set(index, value));
  }

  /** A name that no node and no input has, like the wanted one. */
  unusedName(wanted: string): string {
    return this.#names.unused(wanted);
  }
}

/** A size that memory cannot hold comes from a damaged file, or from a wrong shape. */
function checkSize(type: TensorType, node: { op: string; name: string }): void {
  const isCounted = type.shape.every((size) => Number.isSafeInteger(size) && size >= 0);
  if (isCounted && Number.isSafeInteger(elementCount(type.shape))) return;
  throw new GraphError(`its output would be ${showType(type)}`, {
    where: showNode(node),
    remedy: "The shapes in the file contradict each other: export the model again.",
  });
}
