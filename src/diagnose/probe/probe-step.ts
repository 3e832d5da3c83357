/**
 * The probe as one graph over the state of a training step: the quantized forward and backward pass, the same in float
 * on the same weights and batch, and of each tensor a sample. Nothing of the state changes. Statistics are made of the
 * samples in TypeScript: a few thousand numbers a tensor, which costs less than the passes over whole tensors would.
 */

import { defined } from "../../base/defined.ts";
import { addForward, evaluationMode, type ForwardMode, type ForwardResult } from "../../compile/build/forward.ts";
import { type AddedInputs, addDataInputs } from "../../compile/build/input.ts";
import { addLoss } from "../../compile/build/loss.ts";
import type { TrainingStep, TrainingStepConfig } from "../../compile/build/training-step.ts";
import { withoutRepeats } from "../../compile/layers.ts";
import { bindBatch } from "../../compile/passes/bind-batch.ts";
import { differentiate } from "../../compile/passes/differentiate.ts";
import { newBuilder, operators } from "../../compile/registry.ts";
import { isQuantized, type QuantizerSite } from "../../compile/sites.ts";
import { GraphError } from "../../errors.ts";
import type { GraphBuilder, Node, Value } from "../../ir/graph.ts";
import type { Network, ParameterId } from "../../ir/network.ts";
import type { LayerId } from "../../ir/origin.ts";
import { elementCount, type Shape, sameShape } from "../../ir/types.ts";
import { isOperator } from "../../ops/definition.ts";
import { addOperator, square, subtract } from "../../ops/families/elementwise.ts";
import { batchNormalizationOperator } from "../../ops/families/normalization.ts";
import { reduceMax, reduceMean, reduceMin } from "../../ops/families/reduce.ts";
import { weightsOfLayers } from "../layer-names.ts";
import { addSample, planSample, type SamplePlan } from "./sampling.ts";

/** The options for which a probe is compiled. */
export interface ProbeConfig extends Pick<TrainingStepConfig, "batchSize" | "input" | "loss"> {
  /** The mode of the epoch: what is measured is what trains. */
  readonly mode: ForwardMode;
  /** Elements of each tensor to look at. */
  readonly samples: number;
}

/** A quantized tensor in a probe. */
export interface SitePlan {
  readonly site: QuantizerSite;
  readonly shape: Shape;
  readonly plan: SamplePlan;
  /** Whether an observer moves the parameters in this pass: then they are outputs, else they are in the state. */
  readonly observed: readonly string[];
  /** Trained parameters that the loss reaches. */
  readonly trained: readonly string[];
}

/** The sampled elements of a weight. */
export interface WeightPlan {
  readonly name: string;
  readonly plan: SamplePlan;
  readonly shape: Shape;
}

/** A batch normalization, with the names of its running statistics. */
export interface NormPlan {
  readonly name: string;
  readonly mean: string;
  readonly variance: string;
  /** The names of γ and β. */
  readonly scale: string;
  readonly shift: string;
}

/** The graph of a probe, and how its outputs are read. */
export interface ProbeStep extends Pick<TrainingStep, "graph" | "dataInput" | "targetInput"> {
  /** Names of the state that the probe reads. */
  readonly state: readonly string[];
  readonly sites: readonly SitePlan[];
  readonly weights: readonly WeightPlan[];
  readonly weightsOfLayers: ReadonlyMap<LayerId, ParameterId>;
  readonly norms: readonly NormPlan[];
  readonly additions: readonly string[];
  /** Whether there is a float twin: there is none for a network without quantizers. */
  readonly hasTwin: boolean;
}

/** Names of outputs. */
export const probeOutput = {
  loss: "loss",
  prediction: "prediction",
  floatLoss: "float.loss",
  floatPrediction: "float.prediction",
  runningLoss: "running.loss",
  of: (what: string, name: string): string => `${what}|${name}`,
};

/** @throws GraphError as buildTrainingStep does. */
export function buildProbeStep(source: Network, config: ProbeConfig): ProbeStep {
  return new ProbeBuilder(source, config).build();
}

class ProbeBuilder {
  readonly #network: Network;
  readonly #sites: readonly QuantizerSite[];
  readonly #config: ProbeConfig;
  readonly #builder: GraphBuilder;
  readonly #inputs = new Map<string, Value>();

  constructor(source: Network, config: ProbeConfig) {
    this.#network = bindBatch(source, config.batchSize);
    this.#sites = isQuantized(source) ? source.sites : [];
    this.#config = config;
    this.#builder = newBuilder(`${source.name} probe`);
  }

  build(): ProbeStep {
    const builder = this.#builder;
    const network = this.#network;
    const { values: data, input: dataInput } = addDataInputs(builder, network, this.#config.input);
    for (const [name, value] of data) this.#inputs.set(name, value);
    for (const { name, value } of network.parameters) {
      this.#inputs.set(name, builder.input(name, { dtype: value.dtype, shape: value.shape }));
    }
    const hasTwin = this.#sites.length > 0;
    const forward = addForward(builder, network, this.#inputs, this.#config.mode);
    const { loss, prediction, targetInput } = this.#loss(forward, data, undefined);
    const twin = hasTwin
      ? addForward(builder, network, this.#inputs, { observe: false, fakeQuantize: false, batchNorm: "batch" })
      : undefined;
    const twinLoss = twin === undefined ? undefined : this.#loss(twin, data, targetInput);
    const nodes = [...builder.nodes];
    const gradients = differentiate(builder, operators, nodes, loss, this.#wanted(forward));
    const twinGradients =
      twin === undefined || twinLoss === undefined
        ? new Map<Value, Value>()
        : differentiate(builder, operators, nodes, twinLoss.loss, this.#wanted(twin));
    builder.output(probeOutput.loss, loss);
    builder.output(probeOutput.prediction, prediction);
    if (twinLoss !== undefined) {
      builder.output(probeOutput.floatLoss, twinLoss.loss);
      builder.output(probeOutput.floatPrediction, twinLoss.prediction);
    }
    const sites = this.#sites.flatMap((site) => this.#site(site, forward, gradients, twin, twinGradients, nodes));
    const weights = this.#weights(gradients, twinGradients);
    const norms = this.#norms(forward);
    if (norms.length > 0) {
      const evaluation = addForward(builder, network, this.#inputs, evaluationMode);
      builder.output(probeOutput.runningLoss, this.#loss(evaluation, data, targetInput).loss);
    }
    const additions = this.#additions(forward, twin);
    return {
      graph: builder.finish(),
      dataInput,
      targetInput,
      state: network.parameters.map(({ name }) => name),
      sites,
      weights,
      norms,
      additions,
      hasTwin,
      weightsOfLayers: weightsOfLayers(network),
    };
  }

  #loss(forward: ForwardResult, data: AddedInputs["values"], targets: Value | undefined) {
    const [prediction] = forward.outputs.values();
    if (prediction === undefined) {
      throw new GraphError("a probe needs an output", { where: `network "${this.#network.name}"` });
    }
    const { batchSize, loss } = this.#config;
    const given = { data, batchSize, ...defined({ targets }) };
    return { prediction, ...addLoss(this.#builder, prediction, loss, given) };
  }

  /** Where gradients are looked at: weights, trained quantizer parameters, inputs and outputs of quantizers. */
  #wanted(forward: ForwardResult): Value[] {
    const parameters = this.#network.parameters.filter(({ trainable }) => trainable);
    return [
      ...parameters.flatMap(({ name }) => this.#inputs.get(name) ?? []),
      ...forward.quantizerInputs.values(),
      ...forward.quantizerOutputs.values(),
    ];
  }

  #site(
    site: QuantizerSite,
    forward: ForwardResult,
    gradients: ReadonlyMap<Value, Value>,
    twin: ForwardResult | undefined,
    twinGradients: ReadonlyMap<Value, Value>,
    nodes: readonly Node[],
  ): SitePlan[] {
    const builder = this.#builder;
    const x = forward.quantizerInputs.get(site.id);
    const y = forward.quantizerOutputs.get(site.id);
    if (x === undefined || y === undefined || x === y) return [];
    const { shape } = x.type;
    const plan = planSample(elementCount(shape), this.#config.samples);
    const sample = (what: string, value: Value | undefined): void => {
      if (value !== undefined) builder.output(probeOutput.of(what, site.id), addSample(builder, value, plan));
    };
    sample("x", x);
    sample("y", y);
    const axes = channelAxes(site, shape);
    builder.output(probeOutput.of("max", site.id), reduceMax(builder, x, axes, { keepDimensions: false }));
    builder.output(probeOutput.of("min", site.id), reduceMin(builder, x, axes, { keepDimensions: false }));
    // The node is the one that the backward pass has already: the builder never adds the same node twice.
    const dy = gradients.get(y);
    const node = nodes.find((candidate) => candidate.outputs.includes(y));
    if (dy !== undefined && node !== undefined) {
      const [dx] = builder.node("FakeQuantizeGrad", [dy, y, ...node.inputs], node.attributes, { domain: node.domain });
      sample("dx", dx);
    }
    sample("gradient", gradients.get(x));
    const float = twin?.quantizerInputs.get(site.id);
    sample("float.gradient", float === undefined ? undefined : twinGradients.get(float));
    const names = Object.values(site.parameters);
    const observed = names.filter((name) => {
      const value = forward.updates.get(name);
      if (value !== undefined) builder.output(probeOutput.of("parameter", name), value);
      return value !== undefined;
    });
    const trained = names.filter((name) => {
      const input = this.#inputs.get(name);
      const gradient = input === undefined ? undefined : gradients.get(input);
      if (gradient !== undefined) builder.output(probeOutput.of("gradient", name), gradient);
      return gradient !== undefined;
    });
    return [{ site, shape, plan, observed, trained }];
  }

  #weights(gradients: ReadonlyMap<Value, Value>, twinGradients: ReadonlyMap<Value, Value>): WeightPlan[] {
    return this.#network.parameters.flatMap(({ name, role, value: { shape } }) => {
      const input = this.#inputs.get(name);
      const gradient = input === undefined ? undefined : gradients.get(input);
      if (role !== "weight" || input === undefined || gradient === undefined) return [];
      const plan = planSample(elementCount(shape), this.#config.samples);
      const twin = twinGradients.get(input);
      const add = (what: string, value: Value) =>
        this.#builder.output(probeOutput.of(what, name), addSample(this.#builder, value, plan));
      add("weight.gradient", gradient);
      if (twin !== undefined) add("weight.float.gradient", twin);
      return [{ name, plan, shape }];
    });
  }

  /** The batch's own statistics, whichever are used: mean, and mean of the squared differences from it. */
  #norms(forward: ForwardResult): NormPlan[] {
    const builder = this.#builder;
    return this.#network.graph.nodes.flatMap((node) => {
      const [source, scaleInput, shiftInput, meanInput, varianceInput] = node.inputs;
      const x = source === undefined ? undefined : forward.values.get(source);
      if (!isOperator(batchNormalizationOperator, node) || x === undefined) return [];
      if (meanInput === undefined || varianceInput === undefined) return [];
      if (scaleInput === undefined || shiftInput === undefined) return [];
      const axes = x.type.shape.map((_, axis) => axis).filter((axis) => axis !== 1);
      const mean = reduceMean(builder, x, axes);
      const variance = reduceMean(builder, square(builder, subtract(builder, x, mean)), axes);
      builder.output(probeOutput.of("mean", node.name), mean);
      builder.output(probeOutput.of("variance", node.name), variance);
      const [running, affine] = [
        { mean: meanInput.name, variance: varianceInput.name },
        { scale: scaleInput.name, shift: shiftInput.name },
      ];
      return [{ name: node.name, ...running, ...affine }];
    });
  }

  /** Both operands of each residual addition as they are added, and in float. */
  #additions(forward: ForwardResult, twin: ForwardResult | undefined): string[] {
    const builder = this.#builder;
    const parameters = new Set(this.#network.parameters.map(({ name }) => name));
    return withoutRepeats(this.#network.graph.nodes).flatMap((node) => {
      const [a, b] = node.inputs;
      if (!isOperator(addOperator, node) || a === undefined || b === undefined) return [];
      if (!sameShape(a.type.shape, b.type.shape)) return [];
      if (parameters.has(a.name) || parameters.has(b.name)) return [];
      const plan = planSample(elementCount(a.type.shape), this.#config.samples);
      for (const [what, value] of Object.entries({ a, b })) {
        const used = forward.values.get(value);
        if (used === undefined) return [];
        builder.output(probeOutput.of(`add.${what}`, node.name), addSample(builder, used, plan));
        const before = twin === undefined ? undefined : unquantized(forward, used);
        if (before !== undefined)
          builder.output(probeOutput.of(`add.${what}.before`, node.name), addSample(builder, before, plan));
      }
      return [node.name];
    });
  }
}

/** Returns the input of the quantizer that produced a value; the value itself where there is none. */
function unquantized(forward: ForwardResult, value: Value): Value {
  for (const [site, output] of forward.quantizerOutputs) {
    if (output === value) return forward.quantizerInputs.get(site) ?? value;
  }
  return value;
}

/** The axes of a tensor that are not its channels: axis 1 of an activation, the quantizer's own or axis 0 of a weight. */
function channelAxes(site: QuantizerSite, shape: Shape): number[] {
  const channel = site.kind === "activation" ? 1 : (site.spec.channelAxis ?? 0);
  return shape.map((_, axis) => axis).filter((axis) => axis !== channel);
}
