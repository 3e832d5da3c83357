/** Shared parts of the commands that read ONNX files: the flag for input shapes, and the lines about frozen parameters. */

import { ConfigError } from "../errors.ts";

/** Reads `name=1x3x32x32` flags. @throws ConfigError for one that is written otherwise. */
export function parseInputShapes(texts: readonly string[] = []): Record<string, number[]> {
  return Object.fromEntries(
    texts.map((text) => {
      const match = /^(.+)=(\d+(?:x\d+)*)$/.exec(text);
      if (match === null) {
        throw new ConfigError(`expected an input with its shape, got ${JSON.stringify(text)}`, {
          where: "--input-shape",
          remedy: "Write it as name=1x3x224x224.",
        });
      }
      return [match[1] ?? "", (match[2] ?? "").split("x").map(Number)];
    }),
  );
}

/** One line for each reason, with the number of parameters that it freezes. */
export function frozenLines(held: Readonly<Record<string, string>>): string[] {
  const counts = new Map<string, number>();
  for (const reason of Object.values(held)) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  return [...counts].map(([reason, count]) => `not trained: ${count} parameter tensors before ${reason}`);
}
