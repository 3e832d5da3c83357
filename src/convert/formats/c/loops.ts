/** Statements of a C program that repeat, with numbers that grow by the same amount each time, as a loop: time steps. */

/** Fewer repetitions than this stay written out. */
const leastRepetitions = 3;
/** The most statements that the body of a loop may have. */
const longestBody = 256;

/** A statement as the texts between its numbers, and those. */
interface Statement {
  readonly key: string;
  readonly texts: readonly string[];
  readonly numbers: readonly number[];
}

function statementOf(text: string): Statement {
  // A number that is part of an identifier names something.
  const parts = text.split(/(?<![\w.])(\d+)(?![\w.])/);
  const texts = parts.filter((_, i) => i % 2 === 0);
  return { key: texts.join("#"), texts, numbers: parts.filter((_, i) => i % 2 === 1).map(Number) };
}

/** A part of a program that repeats. */
interface Run {
  readonly start: number;
  /** Statements in one repetition. */
  readonly length: number;
  readonly count: number;
}

/**
 * Returns the lines of a program, loops in the place of repetitions.
 *
 * @param statements One line each.
 * @example
 * withLoops(["f(a + 0);", "f(a + 4);", "f(a + 8);"]); // ["for (int step = 0; step < 3; step++) {", "  f(a + (0 + step * 4));", "}"]
 */
export function withLoops(statements: readonly string[]): string[] {
  const all = statements.map(statementOf);
  const lines: string[] = [];
  for (let i = 0; i < all.length; ) {
    const run = longestRun(all, i);
    if (run === undefined) lines.push(statements[i++] ?? "");
    else {
      lines.push(...loopOf(all, run));
      i += run.length * run.count;
    }
  }
  return lines;
}

/** The repetition from a statement on that covers the most statements; of several the one with the shortest body. */
function longestRun(all: readonly Statement[], start: number): Run | undefined {
  let best: Run | undefined;
  const key = all[start]?.key;
  const furthest = Math.min(longestBody, Math.floor((all.length - start) / leastRepetitions));
  for (let length = 1; length <= furthest; length++) {
    if (all[start + length]?.key !== key) continue;
    const count = repetitions(all, start, length);
    if (count < leastRepetitions) continue;
    if (best === undefined || count * length > best.count * best.length) best = { start, length, count };
  }
  return best;
}

function repetitions(all: readonly Statement[], start: number, length: number): number {
  const isNext = (i: number): boolean => {
    const [before, first, second] = [
      all[i - length],
      all[start + ((i - start) % length)],
      all[start + ((i - start) % length) + length],
    ];
    const own = all[i];
    if (own === undefined || before === undefined || first === undefined || second === undefined) return false;
    if (own.key !== first.key || own.key !== second.key) return false;
    return own.numbers.every(
      (number, n) => number - (before.numbers[n] ?? 0) === (second.numbers[n] ?? 0) - (first.numbers[n] ?? 0),
    );
  };
  let end = start + length;
  while (end < all.length && isNext(end)) end++;
  return Math.floor((end - start) / length);
}

function loopOf(all: readonly Statement[], { start, length, count }: Run): string[] {
  const body = all.slice(start, start + length).map(({ texts, numbers }, i) => {
    const next = all[start + length + i];
    const written = numbers.map((number, n) => {
      const growth = (next?.numbers[n] ?? number) - number;
      return growth === 0 ? String(number) : `(${number} + step * ${growth})`;
    });
    return `  ${texts.map((text, n) => text + (written[n] ?? "")).join("")}`;
  });
  return [`for (int step = 0; step < ${count}; step++) {`, ...body, "}"];
}
