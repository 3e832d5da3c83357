/** Looks for the first value that is not finite in a forward and backward pass that is known to have one. */
import { buildFinitenessStep, type FinitenessConfig, type FinitenessStep } from "../../compile/build/finiteness.ts";
import { isQuantized } from "../../compile/sites.ts";
import { type DivergenceOrigin, GraphError, NotANumberError } from "../../errors.ts";
import { isFiniteTensor, isSoundParameter } from "../../ir/finite.ts";
import { type Node, producers, type Value } from "../../ir/graph.ts";
import type { Network, Parameter } from "../../ir/network.ts";
import { filled, float32Data, type Tensor } from "../../ir/tensor.ts";
import type { Target } from "../../ops/definition.ts";
import { isFakeQuantize } from "../../quantizers/fake-quantize.ts";
import type { Engine } from "../../runtime/engine.ts";
import { emit } from "../../runtime/job.ts";

/** A pass that gave something that is not finite. */
export interface SuspectPass extends FinitenessConfig {
  readonly network: Network;
  /** As it was before the pass, on the host. */
  readonly state: ReadonlyMap<string, Tensor>;
  readonly batch: { readonly data: Tensor; readonly targets?: Tensor };
}

/** Below it a scale has collapsed: its reciprocal is no float32 any more. */
const leastScale = 2 ** -126;

/** The first tensor of a state, on the host, with a value that it cannot have: a parameter, or what an optimizer keeps. */
export function unsoundState(
  { parameters }: Network,
  state: ReadonlyMap<string, Tensor>,
): DivergenceOrigin | undefined {
  const known = new Map(parameters.map((parameter) => [parameter.name, parameter]));
  for (const [name, value] of state) {
    const parameter = known.get(name);
    if (parameter === undefined ? !isFiniteTensor(value) : !isSoundParameter(parameter, value)) {
      return parameterOrigin(parameter ?? { name, role: "weight" });
    }
  }
  return undefined;
}

function parameterOrigin({ name, role }: Pick<Parameter, "name" | "role">): DivergenceOrigin {
  if (role === "quantizer") return { kind: "scale", name };
  const isStatistic = role === "running-mean" || role === "running-variance" || role === "observer";
  return { kind: isStatistic ? "statistic" : "weight", name };
}

/** The origin; undefined where the pass, computed again with all values in sight, shows none. */
export async function firstNonFinite(
  pass: SuspectPass,
  engine: Engine,
  target: Target,
): Promise<DivergenceOrigin | undefined> {
  const { network, state, batch } = pass;
  if (!isFiniteTensor(batch.data)) return { kind: "data", name: "" };
  if (batch.targets !== undefined && !isFiniteTensor(batch.targets)) return { kind: "target", name: "" };
  const unsound = unsoundState(network, state);
  if (unsound !== undefined) return unsound;
  const whole = await flagsOf(pass, engine, target);
  if (whole !== undefined) return originIn(whole, pass);
  // A quantizer's look-up stopped the engine, so no value came out: find the first quantizer that does it.
  const { task: _task, ...forward } = pass;
  const sites = network.graph.nodes.filter(isFakeQuantize).map(({ name }) => name);
  const upTo = (count: number) => ({ ...forward, mode: { ...forward.mode, bypass: sites.slice(count) } });
  let [works, stops] = [0, sites.length];
  while (stops - works > 1) {
    const middle = (works + stops) >> 1;
    if ((await flagsOf(upTo(middle), engine, target)) === undefined) stops = middle;
    else works = middle;
  }
  const before = await flagsOf(upTo(works), engine, target);
  const node = network.graph.nodes.find(({ name }) => name === sites[works]);
  if (before === undefined || node === undefined) return undefined;
  return originBefore(before, node, pass);
}

interface Flags {
  readonly step: FinitenessStep;
  readonly holds: (output: string | undefined) => boolean;
}

/** Returns which values of a pass are finite; undefined where the engine found NaN in place of an index. */
async function flagsOf(pass: SuspectPass, engine: Engine, target: Target): Promise<Flags | undefined> {
  const step = buildFinitenessStep(pass.network, pass);
  const session = await engine.createSession(emit(step.graph, target), { disableGraphRewrites: true });
  const feeds: Record<string, Tensor> = { [step.dataInput.name]: pass.batch.data };
  if (step.targetInput !== undefined && pass.batch.targets !== undefined) {
    feeds[step.targetInput.name] = pass.batch.targets;
  }
  for (const { name } of step.network.parameters) feeds[name] = stateTensor(pass, name);
  const flags = Object.fromEntries(step.graph.outputs.map(({ name }) => [name, filled([], 0)]));
  try {
    await session.run(feeds, flags);
  } catch (error) {
    if (error instanceof NotANumberError) return undefined;
    throw error;
  } finally {
    await session.release();
  }
  return {
    step,
    holds: (output) => {
      const flag = output === undefined ? undefined : flags[output];
      return flag === undefined || isFiniteTensor(flag);
    },
  };
}

function originIn(flags: Flags, pass: SuspectPass): DivergenceOrigin | undefined {
  const { step, holds } = flags;
  const { graph } = step.network;
  const output = graph.outputs.find(({ value }) => !holds(step.outputs.get(value)));
  if (output !== undefined) return originOf(flags, output.value, pass);
  if (!holds(step.loss)) return { kind: "loss", name: "" };
  const update = step.network.parameters.find(({ name }) => !holds(step.updates.get(name)));
  if (update !== undefined) return parameterOrigin(update);
  for (const node of graph.nodes.toReversed()) {
    if (node.outputs.some((value) => !holds(step.gradients.get(value)))) {
      return { kind: "gradient", name: nameOf(node) };
    }
    const parameter = node.inputs.find(
      (value) => value !== undefined && graph.inputs.includes(value) && !holds(step.gradients.get(value)),
    );
    if (parameter !== undefined) return { kind: "gradient", name: parameter.name };
  }
  return undefined;
}

/** Where a value that is not finite comes from: the node on its way whose own inputs are finite. */
function originOf(flags: Flags, value: Value, pass: SuspectPass): DivergenceOrigin | undefined {
  const { step, holds } = flags;
  const madeBy = producers(step.network.graph);
  let node = madeBy.get(value);
  while (node !== undefined) {
    const bad = node.inputs.find((input) => input !== undefined && !holds(step.outputs.get(input)));
    if (bad === undefined) return outputOf(node, pass);
    node = madeBy.get(bad);
  }
  return undefined;
}

/** The origin of what a quantizer could not take. */
function originBefore(flags: Flags, { name }: Node, pass: SuspectPass): DivergenceOrigin | undefined {
  const node = flags.step.network.graph.nodes.find((candidate) => candidate.name === name);
  const [x] = node?.inputs ?? [];
  if (node === undefined) return undefined;
  if (x !== undefined && !flags.holds(flags.step.outputs.get(x))) return originOf(flags, x, pass);
  return outputOf(node, pass);
}

function outputOf(node: Node, pass: SuspectPass): DivergenceOrigin {
  const scale = collapsedScale(node, pass);
  if (scale === undefined) return { kind: "output", name: nameOf(node) };
  return { kind: "scale", name: scale, isCollapsed: true };
}

function stateTensor({ network, state }: SuspectPass, name: string): Tensor {
  const value = state.get(name);
  if (value === undefined) throw new GraphError(`there is no state "${name}"`, { where: `network "${network.name}"` });
  return value;
}

/** The scale of a quantizer that has fallen to the least that it may have. */
function collapsedScale(node: Node, pass: SuspectPass): string | undefined {
  const { network } = pass;
  if (!isFakeQuantize(node) || !isQuantized(network)) return undefined;
  const name = network.sites.find(({ id }) => id === node.name)?.parameters.scale;
  if (name === undefined) return undefined;
  const parameter = network.parameters.find((candidate) => candidate.name === name);
  if (parameter === undefined) return undefined;
  const least = Math.max(parameter.minimum ?? 0, leastScale);
  return float32Data(stateTensor(pass, name)).some((scale) => Math.abs(scale) <= least) ? name : undefined;
}

function nameOf({ op, name }: Node): string {
  return `${op} "${name}"`;
}
