/** Trials that fail for one reason: a model that is missing, data that does not fit, memory that is too small. */

/** How many first trials have to fail alike before a study stops. */
const fewestAlike = 3;

/** What is known of a trial's end. */
export interface TrialEnd {
  readonly id: string;
  readonly status: string;
  readonly reason: string | null;
}

/** Returns a trial's reason without its own name, so that those of two trials can be compared. */
export function reasonOfAny({ id, reason }: TrialEnd): string {
  return (reason ?? "").replaceAll(id, "TRIAL");
}

/** Returns trials in groups of one status and reason, in the order of the first of each. */
export function groupAlike<Trial extends TrialEnd>(trials: readonly Trial[]): Trial[][] {
  const groups = new Map<string, Trial[]>();
  for (const trial of trials) {
    const key = `${trial.status} ${reasonOfAny(trial)}`;
    groups.set(key, [...(groups.get(key) ?? []), trial]);
  }
  return [...groups.values()];
}

/** Returns the trials that failed, where no other has a result, they are at least three, and all for one reason. */
export function failedAlike<Trial extends TrialEnd>(trials: readonly Trial[]): readonly Trial[] {
  const ended = trials.filter(({ status }) => status !== "waiting" && status !== "unfinished");
  const groups = groupAlike(ended);
  const [only] = groups;
  const isStop = groups.length === 1 && only?.[0]?.status === "failed" && only.length >= fewestAlike;
  return isStop && only !== undefined ? only : [];
}
