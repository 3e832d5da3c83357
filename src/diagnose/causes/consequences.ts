/** What a training shows when something outside of it broke it: the consequences that several causes explain. */

/** Causes that wrong inputs, or a recipe far outside of the usual ones, bring about in any network. */
export const brokenTraining = [
  "scale-collapsed",
  "scale-rate-too-high",
  "saturated-weights",
  "dead-channels",
  "dead-weights",
  "saturated",
  "learning-rate-too-low",
  "capacity",
  "batch-norm-stale",
] as const;
