/** Findings as a page shows them: the cause, what speaks for and against it, and the remedy. */
import { stringify } from "yaml";
import type { Finding } from "../study/finding.ts";
import { copyable, type Html, html, table } from "./page.ts";

/** The findings of one run, the most likely first. */
export function findingsHtml(findings: readonly Finding[]): Html {
  return html`${findings.map(findingHtml)}`;
}

function findingHtml(finding: Finding): Html {
  const layers = finding.layers.length === 0 ? "the whole network" : finding.layers.join(", ");
  const rows = finding.evidence.map(({ measurement, layer, value, threshold, supports }) => [
    measurement,
    layer ?? "",
    Number(value.toPrecision(4)),
    threshold === undefined ? "–" : String(Number(threshold.toPrecision(4))),
    supports ? "for it" : "against it",
  ]);
  const evidence = rows.length === 0 ? html`` : table(["measured", "where", "value", "threshold", "speaks"], rows);
  const { remedy } = finding;
  const cure = remedy === null ? html`` : html`<p>Remedy: ${remedy.title}</p>${copyable(stringify(remedy.changes))}`;
  return html`<div class="finding"><p><strong>${finding.title}</strong> (${(100 * finding.confidence).toFixed(0)} % sure; ${layers})</p>${evidence}${cure}</div>`;
}
