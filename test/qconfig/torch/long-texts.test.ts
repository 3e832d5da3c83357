/** Python texts of a megabyte and less that repeat one thing: read or refused in a second of processor time each. @slow */

import { expect, it } from "vitest";
import { SubbyteError } from "../../../src/errors.ts";
import { parseTorchConfig } from "../../../src/qconfig/torch/text.ts";

const most = 1_000_000;

/** As much of a text as a megabyte holds, as the limit of a statement lets pass, and (LONG_TEXTS=1) as that of a script does. */
const sizes: readonly number[] = [most, 18_000, ...(process.env.LONG_TEXTS === undefined ? [] : [90_000])];

function repeated(part: string, tokens: number): string {
  const own = part.match(/\w+|[^\w\s]|\n/g)?.length ?? 1;
  return part.repeat(Math.max(1, Math.min(Math.floor(most / part.length), Math.floor(tokens / own))));
}

const texts: Readonly<Record<string, (of: (part: string) => string) => string>> = {
  "open brackets": (of) => `x = ${of("(")}`,
  "mixed brackets": (of) => `x = ${of("([{")}`,
  "closing brackets": (of) => `x = ${of(")")}`,
  "nested calls": (of) => `x = ${of("f(")}`,
  subscripts: (of) => `x = a${of("[0]")}`,
  "calls of calls": (of) => `x = a${of("()")}`,
  attributes: (of) => `x = a${of(".a")}`,
  sums: (of) => `x = 1${of("+1")}`,
  powers: (of) => `x = 1${of("**1")}`,
  signs: (of) => `x = ${of("-")}1`,
  negations: (of) => `x = ${of("not ")}1`,
  comparisons: (of) => `x = 1${of("<1")}`,
  conditionals: (of) => `x = 1${of(" if 1 else 1")}`,
  lambdas: (of) => `x = ${of("lambda:")}1`,
  "one open string": (of) => `x = '''${of("a b\n")}`,
  "many open strings": (of) => of("x = 'a\n"),
  "replacements of an f-string": (of) => `x = f'${of("{a}")}'`,
  "nested f-strings": (of) => `x = ${of("f'{")}`,
  decorators: (of) => `${of("@a\n")}def f(): pass\n`,
  "clauses of a comprehension": (of) => `x = [a${of(" for a in b")}]`,
  "nested comprehensions": (of) => `x = ${of("[a for a in ")}`,
  "elif branches": (of) => `if a: pass\n${of("elif a: pass\n")}`,
  handlers: (of) => `try:\n a\n${of("except a: pass\n")}`,
  assignments: (of) => of("a=1\n"),
  targets: (of) => `${of("a=")}1`,
  "items of a dict": (of) => `x = {}\n${of("x[len(x)]=1\n")}`,
  "items of a list": (of) => `x = []\n${of("x.append(1)\n")}`,
  "texts that double": (of) => `a = 'aaaa'\n${of("a=f'{a}{a}'\n")}`,
  "lists that double": (of) => `a = [1]\n${of("a=a+a\n")}`,
  "conditions that are not known": (of) => of("if a: b=1\n"),
  imports: (of) => of("import a\n"),
  classes: (of) => of("class A: pass\n"),
  comments: (of) => of("#(\n"),
  indentation: () => Array.from({ length: 1400 }, (_, depth) => `${" ".repeat(depth)}if a:`).join("\n"),
  "indented lines": (of) => `if a:\n${of(`${" ".repeat(98)}a=1\n`)}`,
};

it.each(Object.keys(texts))(
  "%s",
  (name) => {
    for (const tokens of sizes) {
      const text = texts[name]?.((part) => repeated(part, tokens)) ?? "";
      const start = process.cpuUsage();
      try {
        parseTorchConfig({ name: "long.py", text });
      } catch (error) {
        expect(error).toBeInstanceOf(SubbyteError);
      }
      const { user } = process.cpuUsage(start);
      expect(user / 1e6, `${tokens} words and signs`).toBeLessThan(3);
    }
  },
  60_000,
);

it("brackets 50,000 deep are refused before they are parsed", () => {
  const text = `x = ${"(".repeat(50_000)}1${")".repeat(50_000)}`;
  const start = process.cpuUsage();
  expect(() => parseTorchConfig({ name: "deep.py", text })).toThrow("nested too deeply");
  expect(process.cpuUsage(start).user / 1e6).toBeLessThan(0.5);
});

it("brackets in strings and comments are no depth", () => {
  const many = "([{".repeat(1000);
  const qconfig = "import torch.ao.quantization as tq\nq = tq.get_default_qat_qconfig()\n";
  for (const line of [
    `# ${many}`,
    `s = "${many}"`,
    `s = '''${many}\n"${many}'''`,
    `s = r"${many}\\"`,
    `s = f"${many.replaceAll("{", "{{")}"`,
  ]) {
    expect(() => parseTorchConfig({ name: "flat.py", text: `${qconfig}${line}\n` }), line.slice(0, 9)).not.toThrow();
  }
});
