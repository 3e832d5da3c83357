/** Where the tables of functions start: at one value, however many nodes compute the function. */
import { describe, expect, it } from "vitest";
import { storedInputs } from "../../src/compile/stored-inputs.ts";
import type { GraphBuilder, Value } from "../../src/ir/graph.ts";
import type { Network } from "../../src/ir/network.ts";
import { NetworkBuilder } from "../../src/models/network-builder.ts";
import { sigmoid } from "../../src/ops/families/activations.ts";
import { add, divide, multiply, subtract } from "../../src/ops/families/elementwise.ts";
import { flatten } from "../../src/ops/families/shape/shape-ops.ts";
import { functions } from "../support/convert/random/functions.ts";
import { seededParameters } from "../support/random.ts";

/** conv → `between` → fc, or the end. */
function network(between: (b: GraphBuilder, x: Value, y: Value) => Value, isLast = false): Network {
  const made = new NetworkBuilder("small", seededParameters(1));
  const images = made.input("images", [1, 4, 4]);
  const [x, y] = ["conv", "other"].map((name) => made.conv(name, images, 2, { kernel: 1 }));
  if (x === undefined || y === undefined) throw new Error("there are no convolutions");
  const z = flatten(made.builder, between(made.builder, x, y));
  return made.finish(isLast ? z : made.linear("fc", z, 3));
}

/** The values that are stored: the operators that make them, and at which inputs. */
function stored(made: Network): string[] {
  const of = storedInputs(made);
  const found = made.graph.nodes.flatMap((node) => of(node).map(({ value, place }) => ({ value, place })));
  const nameOf = (value: Value) => made.graph.nodes.find(({ outputs }) => outputs.includes(value))?.name ?? value.name;
  return [...new Set(found.map(({ value, place }) => `${nameOf(value)} ${place}`))];
}

describe("what is stored for functions of one value", () => {
  const { halved: _folded, "exponential per channel": _signed, root: _shifted, ...plain } = functions;
  for (const [name, of] of Object.entries(plain)) {
    it(`is the value that they are of: ${name}`, () => {
      expect(stored(network((b, x) => of(b, x)))).toEqual(["conv input"]);
    });
  }

  it("is nothing for what is folded, and nothing where no layer follows", () => {
    expect(stored(network((b, x) => functions.halved(b, x)))).toEqual([]);
    expect(stored(network((b, x) => functions.silu(b, x), true))).toEqual([]);
    expect(stored(network((b, x) => add(b, x, 3)))).toEqual([]);
  });

  it("is what comes before the first function, where it is scaled before", () => {
    const made = network((b, x) => multiply(b, sigmoid(b, divide(b, x, 3)), 2));
    expect(stored(made)).toHaveLength(1);
    expect(stored(made)[0]).toMatch(/^Div/);
  });

  it("is each of two different values", () => {
    expect(stored(network((b, x, y) => multiply(b, x, sigmoid(b, y))))).toHaveLength(3);
    expect(stored(network((b, x, y) => multiply(b, x, y)))).toEqual(["conv input", "other factor"]);
    expect(stored(network((b, x, y) => subtract(b, x, y))).map((line) => line.split(" ")[1])).toEqual([
      "skip",
      "branch",
    ]);
  });
});
