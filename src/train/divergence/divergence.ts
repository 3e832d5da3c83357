/** Says of a training that diverged what happened, why, and what to set. */
import { defined } from "../../base/defined.ts";
import { DivergenceError, type DivergenceOrigin, type DivergenceReason } from "../../errors.ts";

/** A description of a training that diverged. */
export interface Divergence {
  /** The value that is not finite: "the loss is NaN". */
  readonly what: string;
  /** Counted from 1; 0: before the first step. */
  readonly step: number;
  readonly epoch: number;
  readonly origin: DivergenceOrigin | undefined;
  /** Whether steps changed the parameters since they were given: else no learning rate is to blame. */
  readonly hasMoved: boolean;
  readonly learningRate: number;
  readonly cause?: unknown;
}

/** "the loss is NaN", "the test loss is infinite". */
export function notFinite(what: string, value: number): string {
  return `${what} is ${Number.isNaN(value) ? "NaN" : "infinite"}`;
}

/** A tenth of a learning rate, with one digit. */
export function smallerRate(learningRate: number): number {
  return Number((learningRate / 10).toPrecision(1));
}

/** The error for it. */
export function divergenceError(divergence: Divergence): DivergenceError {
  const { what, step, epoch, origin, learningRate, cause } = divergence;
  const reason = reasonOf(divergence);
  const isRate = reason === "learningRate" || reason === "scale";
  return new DivergenceError(`${what}${showOrigin(origin)}`, {
    where: step === 0 ? "before the first step" : `step ${step}, epoch ${epoch}`,
    remedy: remedyFor(reason, origin, learningRate),
    step,
    epoch,
    reason,
    ...defined({ origin }),
    ...(isRate ? { suggestedLearningRate: smallerRate(learningRate) } : {}),
    ...defined({ cause }),
  });
}

function reasonOf({ origin, hasMoved }: Divergence): DivergenceReason {
  const kind = origin?.kind;
  if (kind === "data" || kind === "target") return "data";
  if (hasMoved) return origin?.isCollapsed === true ? "scale" : "learningRate";
  return kind === "weight" || kind === "scale" || kind === "statistic" ? "start" : "forward";
}

function showOrigin(origin: DivergenceOrigin | undefined): string {
  if (origin === undefined) return "";
  const { kind, name, isCollapsed } = origin;
  if (isCollapsed === true) return `; the scale ${name} has reached its minimum`;
  if (kind === "loss") return "; every output of the network is finite";
  const places: Record<typeof kind, string> = {
    data: "the samples of this batch",
    target: "the targets of this batch",
    weight: name,
    scale: name,
    statistic: name,
    output: `the output of ${name}`,
    gradient: `the gradient of ${name}`,
  };
  return `; the first value that is not finite lies in ${places[kind]}`;
}

function remedyFor(reason: DivergenceReason, origin: DivergenceOrigin | undefined, learningRate: number): string {
  const rate = `--lr ${smallerRate(learningRate)} (train.optimizer.learningRate)`;
  switch (reason) {
    case "start":
      return "These values were not finite before the first step: start from an earlier checkpoint, or export the model again.";
    case "data":
      return "Remove NaN and infinite values from the data.";
    case "scale":
      return `The updates of this scale are too large: set ${rate}, warm the scales up, or use more bits.`;
    case "forward":
      return origin?.kind === "gradient"
        ? "No step was done yet: the operator has no finite gradient at this value; look at the layer and its input."
        : "No step was done yet: the weights are too large, as those of a training that diverged, or the data is not normalized as for their own training.";
    case "learningRate":
      return `The learning rate ${learningRate} is too high, above all for pretrained weights: set ${rate}.`;
  }
}
