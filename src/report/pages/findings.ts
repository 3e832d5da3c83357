/** Findings as a page shows them: the cause, the remedy, and folded away what was measured for and against it. */
import { yamlText } from "../../config/yaml.ts";
import type { Finding } from "../../runs/finding.ts";
import { copyable, folded, type Html, html, table } from "./page.ts";

/** Layers that are named before the rest is only counted; the fold has them all. */
const mostLayers = 4;

/** The findings of one run, the most likely first. */
export function findingsHtml(findings: readonly Finding[]): Html {
  return html`${findings.map(findingHtml)}`;
}

function findingHtml({ title, confidence, layers, evidence, remedy, command }: Finding): Html {
  const fix =
    remedy === null ? html`` : html`<p>Fix: ${remedy.title}</p>${copyable(command ?? yamlText(remedy.changes))}`;
  const about = `confidence ${(100 * confidence).toFixed(0)}\u00a0%; ${shortList(layers)}`;
  return html`<div class="finding"><p><strong>${title}</strong> (${about})</p>${fix}${evidenceHtml(evidence, layers)}</div>`;
}

function shortList(layers: readonly string[]): string {
  if (layers.length === 0) return "the whole network";
  const more = layers.length - mostLayers;
  return more > 1 ? `${layers.slice(0, mostLayers).join(", ")} and ${more} more` : layers.join(", ");
}

function evidenceHtml(evidence: Finding["evidence"], layers: Finding["layers"]): Html {
  if (evidence.length === 0) return html``;
  const rows = evidence.map(({ measurement, layer, value, threshold, supports }) => [
    measurement,
    layer ?? "",
    Number(value.toPrecision(4)),
    threshold === undefined ? "–" : String(Number(threshold.toPrecision(4))),
    supports ? "supports" : "contradicts",
  ]);
  const whole = layers.length > mostLayers + 1 ? html`<p class="note">In ${layers.join(", ")}.</p>` : html``;
  const supporting = evidence.filter(({ supports }) => supports).length;
  const summary = `Measurements: ${supporting} support it, ${evidence.length - supporting} contradict it`;
  return folded(summary, html`${table(["measurement", "where", "value", "threshold", "verdict"], rows)}${whole}`);
}

/** The causes that name a layer, or a module or tensor inside of it. */
export function causesOf(layer: string, findings: readonly Finding[]): string {
  return findings
    .filter(({ layers }) => layers.some((name) => name === layer || name.startsWith(`${layer}.`)))
    .map(({ cause }) => cause)
    .join(", ");
}
