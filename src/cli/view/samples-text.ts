/** The word for what a data set or a network's batch consists of. */
import type { Shape } from "../../ir/types.ts";

/** What samples are called. */
export type SampleWord = "images" | "samples";

/** `images` for samples of three dimensions, [channels, height, width]; else `samples`. */
export function sampleWord(sampleShape: Shape): SampleWord {
  return sampleShape.length === 3 ? "images" : "samples";
}
