/** The columns that text takes on a terminal. */
import { stripVTControlCharacters } from "node:util";
import stringWidth from "string-width";

/** Returns the columns that a text takes on a terminal: none for colours and combining marks, two for wide letters and emoji. */
export function displayWidth(text: string): number {
  return stringWidth(text);
}

const segmenter = new Intl.Segmenter();

/**
 * Returns a text cut to a width, with an ellipsis where something was lost. Colours are lost with it. What a reader sees as
 * one character stays whole.
 */
export function truncate(text: string, width: number): string {
  if (displayWidth(text) <= width) return text;
  let cut = "";
  let left = width - 1;
  for (const { segment } of segmenter.segment(stripVTControlCharacters(text))) {
    left -= displayWidth(segment);
    if (left < 0) break;
    cut += segment;
  }
  return width <= 0 ? "" : `${cut}…`;
}
