/**
 * The best bits for each layer under a budget: a multiple-choice knapsack, solved exactly by HiGHS (Huangfu and Hall,
 * "Parallelizing the dual revised simplex method", 2018) as an integer program.
 *
 * For a layer l and bits (w, a) the binary x[l,w,a] says that it has them; for a stored activation tensor g, which
 * several layers may read, y[g,a] says that it has a bits. Σ y[g,·] = 1, and Σ_w x[l,w,a] = y[g(l),a], so that all
 * readers agree. What is minimised is the sum of the loss increases of all weights and all activations, each measured
 * alone (Dong et al., "HAWQ-V2", 2020, choose so with a Hessian's trace in the place of the measurement).
 */
import { createRequire } from "node:module";
import { ConfigError, RuntimeError } from "../../errors.ts";

/** One number of bits for a tensor. */
export interface BitOption {
  /** As configurations ask for them. */
  readonly bits: number;
  /** Bits that the codes need, which costs are counted with. */
  readonly codeBits: number;
  /** Increase of the loss when only this tensor has these bits. */
  readonly increase: number;
}

/** The bits for a layer's weights. */
export interface WeightOption extends BitOption {
  /** Bytes of the layer in the integer model. */
  readonly bytes: number;
}

/** A layer whose bits are to be chosen. */
export interface MixedLayer {
  readonly name: string;
  /** The number of the activation tensor that it reads. */
  readonly activation: number;
  /** Multiply-accumulates for one sample. */
  readonly macs: number;
  /** Number of weights. */
  readonly weights: number;
  readonly options: readonly WeightOption[];
}

/** Limits that a mix has to keep; at least one. */
export interface MixBudget {
  /** Size of the integer model. */
  readonly bytes?: number;
  /** Bit operations for one sample. */
  readonly bitOperations?: number;
  /** Mean bits of a weight over all layers. */
  readonly averageWeightBits?: number;
}

/** Sums over the whole network. */
export interface MixCost {
  readonly bytes: number;
  readonly bitOperations: number;
  readonly averageWeightBits: number;
}

/** The problem: layers, the activation tensors that they read, and the fixed cost of the other layers. */
export interface MixProblem {
  readonly layers: readonly MixedLayer[];
  readonly activations: readonly { readonly name: string; readonly options: readonly BitOption[] }[];
  readonly kept: {
    readonly bytes: number;
    readonly bitOperations: number;
    readonly weights: number;
    readonly weightBits: number;
  };
}

/** The bits of each layer and of each activation tensor, in the order of the problem. */
export interface MixAssignment {
  readonly weights: readonly WeightOption[];
  readonly activations: readonly BitOption[];
}

/** The cost of an assignment. */
export function costOf({ layers, kept }: MixProblem, { weights, activations }: MixAssignment): MixCost {
  let { bytes, bitOperations, weightBits, weights: count } = kept;
  layers.forEach((layer, index) => {
    const weight = weights[index];
    const activation = activations[layer.activation];
    if (weight === undefined || activation === undefined) return;
    bytes += weight.bytes;
    bitOperations += layer.macs * weight.codeBits * activation.codeBits;
    weightBits += layer.weights * weight.codeBits;
    count += layer.weights;
  });
  return { bytes, bitOperations, averageWeightBits: weightBits / Math.max(count, 1) };
}

/** The sum of the increases that were measured one by one: what an assignment is predicted to cost in loss. */
export function predictedIncrease({ weights, activations }: MixAssignment): number {
  return [...weights, ...activations].reduce((sum, { increase }) => sum + increase, 0);
}

/** Whether costs keep a budget. */
export function isWithin(cost: MixCost, budget: MixBudget): boolean {
  return limitsOf(budget).every(([kind, limit]) => cost[kind] <= limit);
}

type LimitKind = keyof MixCost;

function limitsOf(budget: MixBudget): [LimitKind, number][] {
  const kinds: readonly LimitKind[] = ["bytes", "bitOperations", "averageWeightBits"];
  return kinds.flatMap((kind) => {
    const limit = budget[kind];
    return limit === undefined ? [] : [[kind, limit]];
  });
}

/**
 * The assignment of the least predicted increase within the budget.
 *
 * @throws ConfigError when even the fewest bits do not fit, with what they need.
 */
export async function solveMix(measured: MixProblem, budget: MixBudget): Promise<MixAssignment> {
  const problem = withFiniteIncreases(measured);
  checkFeasible(problem, budget);
  // Costs are whole numbers and the solver's are not: one that it lets pass by a rounding is asked for again, tighter.
  for (let tightening = 0; tightening < 1e-4; tightening = tightening * 8 + tolerance) {
    const assignment = await solveOnce(problem, budget, 1 - tightening);
    if (isWithin(costOf(problem, assignment), budget)) return assignment;
  }
  throw new RuntimeError("the solver's choice exceeds the budget", { where: "mixed precision" });
}

/** Bits that break the network are no choice. @throws ConfigError where nothing else is left for a tensor. */
function withFiniteIncreases({ layers, activations, kept }: MixProblem): MixProblem {
  const finite = <
    Tensor extends { readonly name: string; readonly options: readonly Option[] },
    Option extends BitOption,
  >(
    tensor: Tensor,
  ) => {
    const options = tensor.options.filter(({ increase }) => Number.isFinite(increase));
    if (options.length > 0) return { ...tensor, options };
    throw new ConfigError("its outputs are not finite with any of its candidate bits", {
      where: `layer "${tensor.name}"`,
      remedy: "Allow more bits, or look at the run with subbyte diagnose: its weights may have diverged.",
    });
  };
  return {
    layers: layers.map((layer) => finite(layer)),
    activations: activations.map((tensor) => finite(tensor)),
    kept,
  };
}

/** Parts of a limit by which the solver may pass it, and the least difference of an increase that it sees. */
const tolerance = 1e-9;

function checkFeasible(problem: MixProblem, budget: MixBudget): void {
  const fewest = <Option extends BitOption>(options: readonly Option[]) =>
    [...options].sort((a, b) => a.codeBits - b.codeBits)[0];
  const least = costOf(problem, {
    weights: problem.layers.flatMap(({ options }) => fewest(options) ?? []),
    activations: problem.activations.flatMap(({ options }) => fewest(options) ?? []),
  });
  for (const [kind, limit] of limitsOf(budget)) {
    if (least[kind] <= limit) continue;
    throw new ConfigError(`no mix fits: with the fewest bits everywhere it takes ${shown(kind, least[kind])}`, {
      where: `budget of ${shown(kind, limit)}`,
      remedy: "Raise the budget, allow fewer bits, or let the first and last layer have fewer too.",
    });
  }
}

function shown(kind: LimitKind, value: number): string {
  if (kind === "averageWeightBits") return `${value.toFixed(2)} bits a weight`;
  return `${Math.ceil(value)} ${kind === "bytes" ? "bytes" : "bit operations"}`;
}

async function solveOnce(problem: MixProblem, budget: MixBudget, share: number): Promise<MixAssignment> {
  const { layers, activations } = problem;
  const highs = await loadSolver();
  const solution = highs.solve(linearProgram(problem, budget, share), {
    mip_rel_gap: 0,
    mip_abs_gap: 0,
    mip_feasibility_tolerance: tolerance,
    primal_feasibility_tolerance: tolerance,
    dual_feasibility_tolerance: tolerance,
  });
  const columns = solution.Columns;
  const isChosen = (name: string) => {
    const column = columns[name];
    return column !== undefined && "Primal" in column && column.Primal > 0.5;
  };
  const chosenActivations = activations.flatMap(
    ({ options }, g) => options.find((_, a) => isChosen(`y${g}_${a}`)) ?? [],
  );
  const chosenWeights = layers.flatMap(({ options, activation }, l) => {
    const count = activations[activation]?.options.length ?? 0;
    return options.find((_, w) => Array.from({ length: count }, (_, a) => `x${l}_${w}_${a}`).some(isChosen)) ?? [];
  });
  const isWhole = chosenWeights.length === layers.length && chosenActivations.length === activations.length;
  if (solution.Status !== "Optimal" || !isWhole) {
    throw new RuntimeError(`the solver ended with "${solution.Status}"`, { where: "mixed precision" });
  }
  return { weights: chosenWeights, activations: chosenActivations };
}

/** The program in CPLEX's LP format. Limits are scaled to 1 and increases to at most 1000: tolerances are absolute. */
function linearProgram({ layers, activations, kept }: MixProblem, budget: MixBudget, share: number): string {
  const increases = [...layers, ...activations].flatMap(({ options }) => options.map(({ increase }) => increase));
  const unit = 1000 / Math.max(...increases.map(Math.abs), Number.MIN_VALUE ** 0.5);
  const objective: string[] = [];
  const rows: string[] = [];
  const names: string[] = [];
  const limits = limitsOf(budget);
  const keptWeights = kept.weights + layers.reduce((sum, { weights }) => sum + weights, 0);
  const spent = {
    bytes: kept.bytes,
    bitOperations: kept.bitOperations,
    averageWeightBits: kept.weightBits / keptWeights,
  };
  const terms = new Map(limits.map(([kind]) => [kind, [] as string[]]));
  activations.forEach(({ options }, g) => {
    const own = options.map((_, a) => `y${g}_${a}`);
    objective.push(...options.map(({ increase }, a) => term(increase * unit, own[a])));
    names.push(...own);
    rows.push(`${own.join(" + ")} = 1`);
  });
  layers.forEach((layer, l) => {
    const inputs = activations[layer.activation]?.options ?? [];
    inputs.forEach((input, a) => {
      const own = layer.options.map((_, w) => `x${l}_${w}_${a}`);
      layer.options.forEach((weight, w) => {
        objective.push(term(weight.increase * unit, own[w]));
        const cost = {
          bytes: weight.bytes,
          bitOperations: layer.macs * weight.codeBits * input.codeBits,
          averageWeightBits: (layer.weights * weight.codeBits) / keptWeights,
        };
        for (const [kind, limit] of limits) terms.get(kind)?.push(term(cost[kind] / limit, own[w]));
      });
      names.push(...own);
      rows.push(`${own.join(" + ")} - y${layer.activation}_${a} = 0`);
    });
  });
  for (const [kind, limit] of limits) {
    const list = terms.get(kind) ?? [];
    if (list.length > 0) rows.push(`${list.join(" ")} <= ${share - spent[kind] / limit}`);
  }
  const constraints = rows.map((row, index) => ` c${index}: ${row}`);
  return [
    "Minimize",
    ` o: ${objective.join(" ")}`,
    "Subject To",
    ...constraints,
    "Binary",
    ` ${names.join(" ")}`,
    "End",
  ].join("\n");
}

function term(coefficient: number, name: string | undefined): string {
  return `${coefficient < 0 ? "-" : "+"} ${Math.abs(coefficient)} ${name ?? ""}\n`;
}

let solver: Promise<import("highs").Highs> | undefined;

/** The package's types are those of its CommonJS entry alone, so that is the one that is loaded; late, for its size. */
function loadSolver(): NonNullable<typeof solver> {
  if (solver === undefined) {
    const highs: typeof import("highs") = createRequire(import.meta.url)("highs");
    solver = highs.default();
  }
  return solver;
}
