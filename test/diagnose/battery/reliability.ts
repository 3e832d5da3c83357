/** How far a confidence can be believed: of the findings at 80 %, are 80 % true? */

/** A share with its 95 % interval (Wilson, 1927). */
export interface Share {
  readonly count: number;
  readonly of: number;
  readonly low: number;
  readonly high: number;
}

/** Returns a share with its Wilson interval at 95 %. */
export function share(count: number, of: number): Share {
  if (of === 0) return { count, of, low: 0, high: 1 };
  const z = 1.96;
  const p = count / of;
  const middle = p + z ** 2 / (2 * of);
  const spread = z * Math.sqrt((p * (1 - p)) / of + z ** 2 / (4 * of ** 2));
  const scale = 1 + z ** 2 / of;
  return { count, of, low: Math.max(0, (middle - spread) / scale), high: Math.min(1, (middle + spread) / scale) };
}

/** A confidence, and whether what it was given to is true. */
export interface Judged {
  readonly confidence: number;
  readonly isTrue: boolean;
}

/** The findings within a range of confidence. */
export interface Bin {
  readonly from: number;
  readonly to: number;
  /** Their mean confidence. */
  readonly confidence: number;
  readonly right: Share;
}

const tenths = 10;
/** A share of fewer findings says nothing. */
const fewest = 5;

interface Group {
  readonly from: number;
  readonly to: number;
  readonly findings: readonly Judged[];
}

/**
 * Returns findings in tenths of confidence. A tenth with fewer than 5 findings is merged with its neighbour, of two with the one that
 * has fewer.
 */
export function binsOf(all: readonly Judged[]): Bin[] {
  const tenthOf = ({ confidence }: Judged) => Math.min(tenths - 1, Math.floor(confidence * tenths));
  const groups: Group[] = Array.from({ length: tenths }, (_, i) => ({
    from: i / tenths,
    to: (i + 1) / tenths,
    findings: all.filter((finding) => tenthOf(finding) === i),
  })).filter(({ findings }) => findings.length > 0);
  for (let at = tooSmall(groups); at >= 0 && groups.length > 1; at = tooSmall(groups)) {
    const sizeAt = (index: number) => groups[index]?.findings.length ?? Number.POSITIVE_INFINITY;
    const first = sizeAt(at - 1) < sizeAt(at + 1) ? at - 1 : at;
    const pair = groups.slice(first, first + 2);
    groups.splice(first, 2, {
      from: pair[0]?.from ?? 0,
      to: pair.at(-1)?.to ?? 1,
      findings: pair.flatMap(({ findings }) => findings),
    });
  }
  return groups.map(({ from, to, findings }) => ({
    from,
    to,
    confidence: findings.reduce((sum, { confidence }) => sum + confidence, 0) / findings.length,
    right: share(findings.filter(({ isTrue }) => isTrue).length, findings.length),
  }));
}

/** The place of the first group that has too few findings; -1 where there is none. */
function tooSmall(groups: readonly Group[]): number {
  return groups.findIndex(({ findings }) => findings.length < fewest);
}

/**
 * Returns the expected calibration error over bins: the mean difference of confidence and share that is true, weighted by the number of
 * findings. 0 where there are none. Source: Naeini, Cooper and Hauskrecht, AAAI 2015.
 */
export function calibrationErrorOf(bins: readonly Bin[]): number {
  const findings = bins.reduce((sum, { right }) => sum + right.of, 0);
  const difference = ({ confidence, right }: Bin) => Math.abs(confidence - right.count / right.of);
  return bins.reduce((sum, bin) => sum + (difference(bin) * bin.right.of) / findings, 0);
}
