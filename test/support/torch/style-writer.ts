/** Python written in random styles: how names are imported, and how a number is computed. */
import type { RandomStream } from "../../../src/base/random.ts";

/** Picks styles and collects the lines that they need. */
export class StyleWriter {
  readonly #random: RandomStream;
  readonly styles: string[] = [];
  readonly imports = new Set<string>();
  readonly setup: string[] = [];
  readonly #prefix: string;
  #names = 0;

  constructor(random: RandomStream) {
    this.#random = random;
    this.#prefix = this.style("import", ["tq", "full", "old", "names"]);
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.#random.integerBelow(items.length)];
    if (item === undefined) throw new Error("nothing to pick from");
    return item;
  }

  chance(share: number): boolean {
    return this.#random.uniform() < share;
  }

  style(axis: string, choices: readonly string[]): string {
    const choice = this.pick(choices);
    this.styles.push(`${axis} ${choice}`);
    return choice;
  }

  fresh(stem: string): string {
    return `${stem}_${this.#names++}`;
  }

  /** A name of torch.ao.quantization, as the script imports it. */
  torch(name: string): string {
    if (this.#prefix === "tq") {
      this.imports.add("import torch.ao.quantization as tq");
      return `tq.${name}`;
    }
    if (this.#prefix === "full") return `torch.ao.quantization.${name}`;
    if (this.#prefix === "old") return `torch.quantization.${name}`;
    if (this.chance(0.2)) {
      const alias = `_${name}`;
      this.imports.add(`from torch.ao.quantization import ${name} as ${alias}`);
      return alias;
    }
    this.imports.add(`from torch.ao.quantization import ${name}`);
    return name;
  }

  /** An expression of this whole number. */
  number(value: number): string {
    const bits = Math.log2(value + 1);
    const low = Math.log2(-value);
    const styles = ["literal", "function", "constant", "entry", "class", "loop", "conditional", "text"];
    const isPower = Number.isInteger(bits) && value > 0;
    const isLow = value < 0 && Number.isInteger(low);
    const style = this.style("number", isPower || isLow ? [...styles, "power", "shift"] : styles);
    const name = this.fresh("n");
    switch (style) {
      case "power":
        return isPower ? `2 ** ${bits} - 1` : `-(2 ** ${low + 1}) // 2`;
      case "shift":
        return isPower ? `(1 << ${bits}) - 1` : `-(1 << ${low})`;
      case "function":
        this.setup.push(
          `def ${name}(x, *, shift=0):`,
          `    "adds"`,
          "    if shift:",
          "        return x + shift",
          "    return x",
        );
        return `${name}(${value - 3}, shift=3)`;
      case "constant":
        this.setup.push(`${name}: int = ${value}`);
        return name;
      case "entry":
        this.setup.push(`${name} = {"low": 1, "value": [0, ${value}]}`);
        return `${name}["value"][-1]`;
      case "class":
        this.setup.push(
          `class ${name}:`,
          `    value = ${value - 1}`,
          "    def get(self):",
          "        return self.value + 1",
        );
        return `${name}().get()`;
      case "loop":
        this.setup.push(`${name} = ${value - 6}`, "for _i in range(4):", `    ${name} += _i`);
        return name;
      case "conditional":
        return `(${value} if len("abc") == 3 else 77)`;
      case "text":
        return `int("${value}")`;
      default:
        return value >= 0 && this.chance(0.2) ? `0x${value.toString(16)}` : String(value);
    }
  }

  /** Keyword arguments, some of them through a dict. */
  keywords(args: readonly (readonly [string, string])[]): string {
    const shuffled = [...this.#random.permutation(args.length)].flatMap((index) => {
      const pair = args[index];
      return pair === undefined ? [] : [pair];
    });
    if (shuffled.length < 2 || !this.chance(0.2)) return shuffled.map(([name, text]) => `${name}=${text}`).join(", ");
    const name = this.fresh("kw");
    const cut = 1 + this.#random.integerBelow(shuffled.length - 1);
    const inside = shuffled
      .slice(0, cut)
      .map(([key, text]) => (this.#prefix === "tq" ? `${key}=${text}` : `"${key}": ${text}`));
    this.setup.push(
      this.#prefix === "tq" ? `${name} = dict(${inside.join(", ")})` : `${name} = {${inside.join(", ")}}`,
    );
    this.styles.push("keywords dict");
    return [...shuffled.slice(cut).map(([key, text]) => `${key}=${text}`), `**${name}`].join(", ");
  }
}
