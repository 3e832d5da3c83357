/** The straight-through gradient: its mask, and how far it lies from the float gradient (rows 5 and 6). */

import { advisedPresets } from "../../../qconfig/presets.ts";
import { quantizerNamed } from "../../../quantizers/index.ts";
import { type CauseFamily, type CauseFinding, evidence, ramp } from "../../finding.ts";
import type { DiagnosisInput } from "../../input.ts";
import { findingAt, latest, layerOfSite, learnRanges, meanOf, type SiteView, sitesOf, worst } from "../view.ts";

/** The rows of docs/diagnosis.md. */
const rows = { "mask-missing": 5, "gradient-mismatch": 6 } as const;
type Found = CauseFinding<keyof typeof rows>;

function find(input: DiagnosisInput): Found[] {
  return [...maskMissing(sitesOf(input)), ...gradientMismatch(input)];
}

/** Elements outside of the grid over all probes, and the share of them that gets a gradient. */
function leak({ all }: SiteView): { readonly count: number; readonly share: number } {
  const measured = all.filter(({ outsideGradientShare }) => !Number.isNaN(outsideGradientShare));
  const count = measured.reduce((sum, { outsideCount }) => sum + outsideCount, 0);
  const passed = measured.reduce((sum, each) => sum + each.outsideCount * each.outsideGradientShare, 0);
  return { count, share: count === 0 ? Number.NaN : passed / count };
}

function maskMissing(sites: readonly SiteView[]): Found[] {
  const leaking = worst(sites, (view) => {
    const { count, share } = leak(view);
    const byDesign = quantizerNamed(view.facts.quantizer).traits.masksOutside ? 1 : 0.3;
    return 0.96 * ramp(share, 0.02, 0.2) * ramp(count, 0, 4) * byDesign;
  });
  return findingAt(leaking, layerOfSite, {
    cause: "mask-missing",
    title: (layers) => `The straight-through gradient is not masked outside of the range in ${layers}`,
    evidence: (view) => {
      const { count, share } = leak(view);
      return [
        evidence("share of values outside of the range with a gradient", share, 0.02, "above", view.facts.tensor),
        evidence("values outside of the range looked at", count, 4, "above", view.facts.tensor),
        evidence("clipped share", view.last.clippedShare, 0.001, "above", view.facts.tensor),
      ];
    },
    remedy: learnRanges,
  });
}

function gradientMismatch({ records, facts }: DiagnosisInput): Found[] {
  const names = records.at(-1)?.weights.map(({ name }) => name) ?? [];
  const cosines = names.map((name) => ({
    layer: facts.layersOfWeights.get(name) ?? name,
    cosine: meanOf(
      latest(records)
        .flatMap(({ weights }) => weights.filter((weight) => weight.name === name))
        .map((w) => w.gradientCosine),
    ),
  }));
  const overall = meanOf(cosines.map(({ cosine }) => cosine));
  const low = cosines.filter(({ cosine }) => cosine < 0.3);
  const bits = Math.min(...facts.sites.map((site) => site.bits));
  const confidence = 0.5 * ramp(overall, 0.4, 0.05);
  return [
    {
      cause: "gradient-mismatch",
      title: `The straight-through gradient and the float gradient point in different directions (mean cosine ${overall.toFixed(2)})`,
      layers: low.map(({ layer }) => layer),
      evidence: [
        evidence("mean cosine to the float gradient", overall, 0.4, "below"),
        ...low
          .slice(0, 4)
          .map(({ layer, cosine }) => evidence("cosine to the float gradient", cosine, 0.3, "below", layer)),
      ],
      confidence,
      remedy:
        bits < 8
          ? {
              title: "use a better gradient than the straight-through estimator (N2UQ)",
              changes: { "quantization.preset": advisedPresets.trainedThresholds, "quantization.reduceRange": false },
            }
          : null,
    },
  ];
}

/** Gradients that quantizers pass or distort. */
export const gradientCauses: CauseFamily<keyof typeof rows> = {
  rows,
  early: ["mask-missing"],
  find,
};
