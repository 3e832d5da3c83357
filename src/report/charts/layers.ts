/** The chart of the bit operations of each layer. */
import * as Plot from "@observablehq/plot";
import type { LayerCost } from "../../runs/cost.ts";
import { belowMiddle, draw, seriesColor } from "./draw.ts";

/** The share that each layer has in the network's bit operations, with the bits of its weights and its input. */
export function layersChart(layers: readonly LayerCost[], width: number): string {
  const total = layers.reduce((sum, layer) => sum + layer.bitOperations, 0) || 1;
  const rows = layers.map((layer) => ({
    name: layer.name,
    share: (100 * layer.bitOperations) / total,
    bits: `${layer.weight.bits}×${layer.activation.bits}`,
    isWide: Math.max(layer.weight.bits, layer.activation.bits) >= 8,
  }));
  const longest = Math.max(0, ...rows.map((row) => row.name.length));
  return draw({
    width,
    height: 40 + 20 * rows.length,
    marginLeft: Math.min(width * 0.45, 16 + 6.4 * longest),
    marginRight: 44,
    marginTop: 4,
    marginBottom: 34,
    ariaLabel: "Bit operations of each layer",
    x: { label: "share of the bit operations, %", ...belowMiddle, grid: true, ticks: 5 },
    y: { type: "band", domain: rows.map((row) => row.name), label: null, padding: 0.25, tickSize: 0 },
    marks: [
      Plot.barX(rows, {
        x: "share",
        y: "name",
        fill: (row: { isWide: boolean }) => (row.isWide ? seriesColor(1) : seriesColor(0)),
        rx: 2,
      }),
      Plot.text(rows, { x: "share", y: "name", text: "bits", textAnchor: "start", dx: 5, fontSize: 11 }),
    ],
  });
}
