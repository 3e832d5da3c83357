/** Drawing with Observable Plot where there is no browser: options in, SVG out. */
import * as Plot from "@observablehq/plot";
import { escapeText, SvgDocument, SvgElement } from "./svg-document.ts";

/** The widths that each figure is drawn in: for a desktop's page, and for a phone's. */
export const figureWidths = { wide: 760, narrow: 350 } as const;

/** Colours by name, as CSS variables, so that one drawing serves a light page and a dark one. */
export const colors = {
  text: "currentColor",
  faint: "var(--faint)",
  line: "var(--line)",
  accent: "var(--accent)",
  bad: "var(--bad)",
} as const;

/** The values of the variables where there is no page: in a figure's own file. */
export const lightPalette: Readonly<Record<string, string>> = {
  "--ink": "#1b1f24",
  "--paper": "#ffffff",
  "--faint": "#6b7480",
  "--line": "#d5d9de",
  "--empty": "#eef0f2",
  "--accent": "#1f5fbf",
  "--bad": "#b3261e",
  "--series-1": "#1f5fbf",
  "--series-2": "#c2410c",
  "--series-3": "#15803d",
  "--series-4": "#8e24aa",
  "--series-5": "#a16207",
  "--series-6": "#0e7490",
};

/** Colours of the charts on a dark page. */
export const darkPalette: Readonly<Record<string, string>> = {
  "--ink": "#e6e8eb",
  "--paper": "#14171b",
  "--faint": "#98a2ad",
  "--line": "#343a42",
  "--empty": "#22272d",
  "--accent": "#7fb0ff",
  "--bad": "#ff8a80",
  "--series-1": "#7fb0ff",
  "--series-2": "#ffa56b",
  "--series-3": "#6fd58f",
  "--series-4": "#dd9bf0",
  "--series-5": "#e3c25a",
  "--series-6": "#5fd0e0",
};

const seriesCount = 6;

/** The colour of the series of this number, counted from 0. */
export function seriesColor(index: number): string {
  return `var(--series-${(index % seriesCount) + 1})`;
}

/** Draws a plot as SVG that takes its colours from the page, with a legend at its top where one is given. */
export function draw(options: Plot.PlotOptions, top?: Legend): string {
  const figure: unknown = Plot.plot({
    className: "plot",
    marginBottom: 36,
    ...options,
    ...(top === undefined ? {} : { marginTop: top.height + 8, height: (options.height ?? 240) + top.height }),
    style: { fontFamily: "system-ui, sans-serif", fontSize: "12px", overflow: "visible" },
    document: new SvgDocument(),
  });
  if (!(figure instanceof SvgElement)) throw new TypeError("Plot drew something that is not an element");
  // Plot's own style sheet is for pages that have none.
  const svg = String(figure).replace(/<style>.*?<\/style>/s, "");
  return top === undefined ? svg : `${svg.slice(0, svg.lastIndexOf("</svg>"))}${top.svg}</svg>`;
}

/** The names of series in their colours, as SVG, and the height that they take. */
export interface Legend {
  readonly svg: string;
  readonly height: number;
}

/** Widths of text are not known here: an average width of a character of 12 pixels' height. */
const characterWidth = 6.6;
const rowHeight = 17;
/** Plot writes the vertical axis's name above the frame; a legend stands below it. */
const axisNameHeight = 16;

/** A legend for a figure of this width, broken into rows where it does not fit. */
export function legend(series: readonly { readonly label: string; readonly color: string }[], width: number): Legend {
  let x = 0;
  let row = 0;
  const texts = series.map(({ label, color }) => {
    const size = label.length * characterWidth + 24;
    if (x > 0 && x + size > width - 8) {
      x = 0;
      row++;
    }
    const text = `<text x="${x + 4}" y="${axisNameHeight + row * rowHeight + 12}" text-anchor="start" fill="${color}">● ${escapeText(label)}</text>`;
    x += Math.ceil(size);
    return text;
  });
  return { svg: `<g class="legend">${texts.join("")}</g>`, height: axisNameHeight + (row + 1) * rowHeight };
}

/** The name of a horizontal axis, below its middle. */
export const belowMiddle = { labelAnchor: "center", labelArrow: "none" } as const;

/** The axis of the values of rows, named below its middle. */
export function valueAxis(label: string, width: number): Plot.ScaleOptions {
  const ticks = width < 500 ? 4 : 8;
  return { label, ...belowMiddle, grid: true, ticks, nice: true };
}

/** How the rows of a chart are named: next to them, or above them where the names are too long for that. */
export interface RowNames {
  readonly rowHeight: number;
  readonly marginLeft: number;
  readonly axis: Plot.ScaleOptions;
  /** The labels of the rows, where the axis has none. */
  readonly marks: readonly Plot.Markish[];
}

/** The share of a figure's width that names may take. */
const mostForNames = 0.34;

/** The names of a chart's rows, in their order; each stands for one row. */
export function rowNames(labels: readonly string[], width: number): RowNames {
  const longest = Math.max(0, ...labels.map((label) => label.length)) * characterWidth;
  const axis = { type: "band", domain: labels, label: null, tickSize: 0 } as const;
  if (longest + 16 <= mostForNames * width) {
    return { rowHeight: 20, marginLeft: Math.max(58, Math.ceil(longest) + 16), axis, marks: [] };
  }
  const lines = Math.ceil(longest / (width - 40));
  const names = Plot.text(labels, {
    y: (label: string) => label,
    frameAnchor: "left",
    textAnchor: "start",
    text: (label: string) => label,
    lineAnchor: "bottom",
    lineWidth: (width - 40) / 12,
    dy: -8,
  });
  return { rowHeight: 26 + 14 * lines, marginLeft: 16, axis: { ...axis, axis: null }, marks: [names] };
}

/** A figure that stands alone: a light background, and no colour that a page would have to give. */
export function standalone(svg: string): string {
  const resolved = Object.entries(lightPalette).reduce(
    (text, [name, value]) => text.replaceAll(`var(${name})`, value),
    svg.replaceAll("currentColor", lightPalette["--ink"] ?? "black"),
  );
  return resolved.replace(/<svg([^>]*)>/, (_, attributes: string) => {
    const paper = lightPalette["--paper"] ?? "white";
    return `<svg${attributes}><rect x="-1000" y="-1000" width="9999" height="9999" fill="${paper}"/>`;
  });
}
