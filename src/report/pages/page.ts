/** A page that needs nothing but itself: its style and its drawings are in it, and it opens offline. */
import { darkPalette, figureWidths, lightPalette } from "../charts/draw.ts";
import { escapeText } from "../charts/svg-document.ts";

/** A drawing with what it shows. */
export interface Figure {
  /** Also the name of its files: `map-lsq`. */
  readonly name: string;
  readonly title: string;
  /** What to look for, as a sentence. */
  readonly caption: string;
  readonly draw: (width: number) => string;
  /** The numbers that were drawn. */
  readonly data: unknown;
}

/** Text that is HTML already. */
export class Html {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

type Piece = string | number | Html | Figure | readonly Piece[];

/** HTML from a template: strings and numbers are escaped, figures drawn, lists joined. */
export function html(parts: TemplateStringsArray, ...pieces: readonly Piece[]): Html {
  return new Html(
    parts.map((part, index) => part + (index < pieces.length ? render(pieces[index] ?? "") : "")).join(""),
  );
}

function render(piece: Piece): string {
  if (piece instanceof Html) return piece.text;
  if (typeof piece === "string" || typeof piece === "number") return escapeText(String(piece));
  if ("draw" in piece) return figureHtml(piece).text;
  return piece.map(render).join("");
}

function figureHtml(figure: Figure): Html {
  const drawing = (width: number) => new Html(figure.draw(width));
  return html`<figure id="figure-${figure.name}"><h3>${figure.title}</h3>
<div class="wide">${drawing(figureWidths.wide)}</div><div class="narrow">${drawing(figureWidths.narrow)}</div>
<figcaption>${figure.caption}</figcaption></figure>`;
}

/** A cell of a table; a number is set to the right. */
export type PageCell = string | number | Html;

/** Characters from which on a column's texts are broken into lines. */
const longText = 28;

/** A table that scrolls sideways where it is too wide for the screen. */
export function table(columns: readonly string[], rows: readonly (readonly PageCell[])[]): Html {
  const classes = columns.map((_, i) => {
    const cells = rows.map((row) => row[i] ?? "");
    if (cells.every(isNumber)) return "number";
    return cells.some((cell) => typeof cell === "string" && cell.length > longText) ? "long" : "";
  });
  const cell = (name: "th" | "td", content: PageCell, i: number) =>
    new Html(`<${name}${classes[i] === "" ? "" : ` class="${classes[i]}"`}>${render(content)}</${name}>`);
  return html`<div class="scroll"><table><thead><tr>${columns.map((title, i) => cell("th", title, i))}</tr></thead>
<tbody>${rows.map((row) => html`<tr>${row.map((content, i) => cell("td", content, i))}</tr>\n`)}</tbody></table></div>`;
}

function isNumber(cell: PageCell): boolean {
  return typeof cell === "number" || (typeof cell === "string" && /^[–+−-]?[\d.]*[kMGT]?( %)?$/.test(cell));
}

/** A part of a page. */
export interface Section {
  readonly id: string;
  readonly title: string;
  readonly body: Html;
}

/** The contents of a report page. */
export interface Page {
  readonly title: string;
  /** The content below the title, before the first section. */
  readonly lead: Html;
  readonly sections: readonly Section[];
  /** Everything that the page shows as one JSON document, which the page carries. */
  readonly data: unknown;
  readonly footer: string;
}

/** A page and the figures in it. */
export interface Report {
  readonly page: Page;
  readonly figures: readonly Figure[];
}

/** The page as one HTML file. */
export function renderPage(page: Page): string {
  const links = page.sections.map(({ id, title }) => html`<a href="#${id}">${title}</a> `);
  const sections = page.sections.map(
    ({ id, title, body }) => html`<section id="${id}"><h2>${title}</h2>\n${body}</section>\n`,
  );
  // A "<" could end the element that carries the data, or begin another.
  const data = new Html(JSON.stringify(page.data).replaceAll("<", "\\u003c"));
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${page.title}</title>
<style>${new Html(styleSheet())}</style>
</head>
<body>
<header><h1>${page.title}</h1>${page.lead}<nav>${links}</nav></header>
<main>${sections}</main>
<footer>${page.footer}</footer>
<script type="application/json" id="data">${data}</script>
<script>${new Html(copyScript)}</script>
</body>
</html>
`.text;
}

/** Something that is shown when its summary is clicked on. */
export function folded(summary: string, content: Html): Html {
  return html`<details><summary>${summary}</summary>${content}</details>`;
}

/** A text to copy, with a button for it. */
export function copyable(text: string): Html {
  return html`<div class="copy"><button type="button" data-copy>Copy</button><pre>${text}</pre></div>`;
}

const copyScript = `
for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", async () => {
    const source = button.nextElementSibling;
    try {
      await navigator.clipboard.writeText(source.textContent);
    } catch {
      // A page that was opened from a file may not be allowed to: mark the text and copy what is marked.
      getSelection().selectAllChildren(source);
      document.execCommand("copy");
    }
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
}
`;

function variables(palette: Readonly<Record<string, string>>): string {
  return Object.entries(palette)
    .map(([name, value]) => `${name}: ${value};`)
    .join(" ");
}

function styleSheet(): string {
  return `
:root { ${variables(lightPalette)} }
@media (prefers-color-scheme: dark) { :root { ${variables(darkPalette)} } }
* { box-sizing: border-box; }
html { scroll-behavior: smooth; -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; max-width: 800px; padding: 24px 20px 60px; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 12px; }
h2 { font-size: 1.3rem; margin: 52px 0 10px; padding-top: 14px; border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 0 0 8px; }
p, ul { margin: 8px 0; }
nav { display: flex; flex-wrap: wrap; gap: 4px 16px; margin-top: 16px; font-size: 0.9rem; }
a { color: var(--accent); text-decoration: none; }
a:hover { text-decoration: underline; }
.summary { font-size: 1.06rem; padding: 12px 16px; border-left: 4px solid var(--accent); background: var(--empty);
  border-radius: 0 6px 6px 0; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(130px, 1fr)); gap: 10px; margin: 16px 0 0; padding: 0; }
.facts div { border: 1px solid var(--line); border-radius: 6px; padding: 8px 12px; }
.facts dt { color: var(--faint); font-size: 0.8rem; }
.facts dd { margin: 0; font-weight: 600; overflow-wrap: anywhere; }
figure { margin: 26px 0; }
figcaption, .note { color: var(--faint); font-size: 0.88rem; margin-top: 4px; }
svg { display: block; max-width: 100%; height: auto; }
.narrow { display: none; }
@media (max-width: 620px) {
  body { padding: 16px 14px 40px; }
  .wide { display: none; }
  .narrow { display: block; }
}
.scroll { overflow-x: auto; margin: 12px 0; }
table { border-collapse: collapse; font-size: 0.82rem; font-variant-numeric: tabular-nums; min-width: 100%; }
th, td { padding: 4px 8px; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
th { color: var(--faint); font-weight: 600; white-space: nowrap; }
td { white-space: nowrap; }
td.long { white-space: normal; min-width: 150px; }
details { margin: 8px 0; }
summary { cursor: pointer; color: var(--faint); font-size: 0.88rem; }
.number { text-align: right; }
.status-failed, .status-impossible { color: var(--bad); }
.status-stopped, .status-unfinished, .status-waiting { color: var(--faint); }
.copy { position: relative; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: var(--empty); padding: 12px 74px 12px 14px; border-radius: 6px; font-size: 0.82rem; line-height: 1.45; }
button { position: absolute; top: 8px; right: 8px; font: inherit; font-size: 0.8rem; padding: 2px 10px; cursor: pointer;
  color: var(--ink); background: var(--paper); border: 1px solid var(--line); border-radius: 5px; }
.finding { border: 1px solid var(--line); border-radius: 6px; padding: 10px 14px; margin: 10px 0; }
footer { margin-top: 60px; color: var(--faint); font-size: 0.82rem; }
`;
}
