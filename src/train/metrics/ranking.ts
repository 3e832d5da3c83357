/** The area under the receiver operating characteristic. */

/**
 * Returns the share of pairs of an anomaly and a normal sample in which the anomaly has the larger score, ties counting half: the
 * statistic of Mann and Whitney (1947), which scikit-learn's `roc_auc_score` computes too. NaN where all labels are the same.
 *
 * @param labels 1 for an anomaly, 0 for a normal sample.
 */
export function areaUnderCurve(scores: readonly number[], labels: readonly number[]): number {
  const order = scores.map((score, i) => ({ score, label: labels[i] ?? 0 })).sort((a, b) => a.score - b.score);
  const positive = order.filter(({ label }) => label === 1).length;
  const negative = order.length - positive;
  if (order.some(({ score }) => Number.isNaN(score))) return Number.NaN;
  let ranks = 0;
  for (let start = 0; start < order.length; ) {
    let end = start;
    while (end < order.length && order[end]?.score === order[start]?.score) end++;
    // Equal scores share the mean of their ranks, which begin at 1.
    const rank = (start + end + 1) / 2;
    for (let i = start; i < end; i++) if (order[i]?.label === 1) ranks += rank;
    start = end;
  }
  return (ranks - (positive * (positive + 1)) / 2) / (positive * negative);
}
