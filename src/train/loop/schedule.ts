/**
 * Learning-rate schedules, as a factor of the base learning rate for each step.
 *
 * cosine: Loshchilov & Hutter, SGDR (arXiv 1608.03983), one period over the steps after the warm-up, as
 * `torch.optim.lr_scheduler.CosineAnnealingLR` stepped at every batch. step: `MultiStepLR`. Warm-up rises linearly and
 * reaches the full rate at its last step.
 */

export interface Schedule {
  readonly name: "constant" | "step" | "cosine";
  readonly warmupEpochs: number;
  readonly warmupSteps: number;
  /** Epochs after which `step` multiplies by gamma. */
  readonly milestones: readonly number[];
  readonly gamma: number;
  /** Where `cosine` ends. */
  readonly finalLearningRate: number;
}

/**
 * The learning rate of a step.
 *
 * @param step From 0, over the whole run.
 */
export function learningRateAt(
  schedule: Schedule,
  base: number,
  step: number,
  length: { readonly epochs: number; readonly stepsPerEpoch: number },
): number {
  const warmup =
    schedule.warmupSteps > 0 ? schedule.warmupSteps : Math.round(schedule.warmupEpochs * length.stepsPerEpoch);
  if (step < warmup) return (base * (step + 1)) / warmup;
  switch (schedule.name) {
    case "constant":
      return base;
    case "step": {
      const passed = schedule.milestones.filter((epoch) => step >= epoch * length.stepsPerEpoch).length;
      return base * schedule.gamma ** passed;
    }
    case "cosine": {
      const total = Math.max(1, length.epochs * length.stepsPerEpoch - warmup);
      const progress = (step - warmup) / total;
      return (
        schedule.finalLearningRate + ((base - schedule.finalLearningRate) * (1 + Math.cos(Math.PI * progress))) / 2
      );
    }
  }
}
