/** Repeated statements of the C program as loops: unrolled again they are the statements. */

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { withLoops } from "../../../../src/convert/formats/c/loops.ts";

/** The statements that lines stand for. */
function unrolled(lines: readonly string[]): string[] {
  const statements: string[] = [];
  for (let i = 0; i < lines.length; i++) {
    const count = /^for \(int step = 0; step < (\d+); step\+\+\) \{$/.exec(lines[i] ?? "")?.[1];
    if (count === undefined) {
      statements.push(lines[i] ?? "");
      continue;
    }
    const end = lines.indexOf("}", i);
    for (let step = 0; step < Number(count); step++) {
      for (const line of lines.slice(i + 1, end)) {
        const at = (_: string, base: string, growth: string) => String(Number(base) + step * Number(growth));
        statements.push(line.trimStart().replaceAll(/\((\d+) \+ step \* (-?\d+)\)/g, at));
      }
    }
    i = end;
  }
  return statements;
}

const statement = fc
  .tuple(fc.constantFrom("f", "g", "run_3"), fc.nat(3), fc.nat(2))
  .map(([name, a, b]) => `${name}(memory + ${a * 16}, memory + ${b * 32});`);
const step = fc.array(
  fc.tuple(fc.constantFrom("run_7", "run_8", "run_9"), fc.nat(40), fc.integer({ min: -2, max: 3 })),
  { minLength: 1, maxLength: 5 },
);

describe("repeated statements", () => {
  it("are a loop over what grows", () => {
    const calls = [0, 1, 2, 3].flatMap((t) => [
      `run_5(memory + ${t * 8}, memory + 64);`,
      `run_12(memory + ${96 - t * 4});`,
    ]);
    expect(withLoops(["start();", ...calls, "end();"])).toEqual([
      "start();",
      "for (int step = 0; step < 4; step++) {",
      "  run_5(memory + (0 + step * 8), memory + 64);",
      "  run_12(memory + (96 + step * -4));",
      "}",
      "end();",
    ]);
  });

  it("stay written out where there are two, or where a name differs", () => {
    const two = ["f(1);", "f(2);"];
    const names = ["run_1(4);", "run_2(4);", "run_3(4);"];
    const uneven = ["f(1);", "f(2);", "f(4);"];
    expect([two, names, uneven].map(withLoops)).toEqual([two, names, uneven]);
  });

  it("are the same statements when the loops are unrolled", () => {
    const program = fc.tuple(
      fc.array(statement, { maxLength: 4 }),
      step,
      fc.nat(9),
      fc.array(statement, { maxLength: 6 }),
    );
    fc.assert(
      fc.property(fc.array(program, { maxLength: 3 }), (programs) => {
        const lines = programs.flatMap(([before, body, count, after]) => [
          ...before,
          ...Array.from({ length: count }, (_, t) =>
            body.map(([name, base, growth]) => `${name}(memory + ${200 + base + t * growth}, ${base});`),
          ).flat(),
          ...after,
        ]);
        expect(unrolled(withLoops(lines))).toEqual(lines);
      }),
      { numRuns: 300 },
    );
  });
});
