/** Parameters of quantizers outside of the range that their record states, over every quantizer in every form. */
import { describe, expect, it } from "vitest";
import { randomStream } from "../../src/base/random.ts";
import { illegalValue } from "../../src/compile/legal-values.ts";
import { newBuilder } from "../../src/compile/registry.ts";
import { insertQuantizer, type QuantizedNetwork, quantizerSite } from "../../src/compile/sites.ts";
import { float32Data, float32Tensor, type Tensor } from "../../src/ir/tensor.ts";
import { makeModel } from "../../src/models/index.ts";
import type { QuantizerSpec } from "../../src/quantizers/definition.ts";
import { quantizerNamed, quantizers } from "../../src/quantizers/index.ts";
import { describeSpec, laws, parametersFor, shape } from "../quantizers/law-specs.ts";

/** Parameters that may have every finite value. */
const unbounded = ["zero_point", "offset", "start"];

/** A network that is one quantizer, with these values. */
function networkOf(spec: QuantizerSpec, values: ReadonlyMap<string, Tensor>): QuantizedNetwork {
  const builder = newBuilder("one quantizer");
  const x = builder.input("x", { dtype: "float32", shape });
  const id = "x.quantizer";
  const place = { id, kind: "activation", layer: "x", tensor: "x", spec } as const;
  const { quantized, site, parameters } = insertQuantizer(builder, x, place);
  builder.output("y", quantized);
  const given = parameters.map((parameter) => {
    const own = Object.entries(site.parameters).find(([, name]) => name === parameter.name)?.[0] ?? "";
    return { ...parameter, value: values.get(own) ?? parameter.value };
  });
  return { name: "one", graph: builder.finish(), parameters: given, sites: [quantizerSite(site)] };
}

function withElement({ shape: own, ...tensor }: Tensor, at: number, value: number): Tensor {
  return float32Tensor(
    own,
    float32Data({ shape: own, ...tensor }).map((each, i) => (i === at ? value : each)),
  );
}

describe("a parameter of a quantizer", () => {
  const specs = laws.map(({ spec }) => spec);
  const sound = (spec: QuantizerSpec) => parametersFor(spec, [0.3, 0.6, 0.9]);

  it.each(specs.map((spec) => [describeSpec(spec), spec] as const))(
    "is refused outside of its range: %s",
    (_, spec) => {
      const values = sound(spec);
      expect(illegalValue(networkOf(spec, values))).toBeUndefined();
      for (const [name, tensor] of values) {
        if (unbounded.includes(name)) continue;
        const isLogarithm = quantizerNamed(spec.quantizer).name === "tqt";
        const wrong = isLogarithm ? [-1000, 128] : name === "intervals" ? [-1, -1e-6] : [0, -0, -1, -1e-6, 1e-30];
        for (const value of wrong) {
          const last = float32Data(tensor).length - 1;
          const network = networkOf(spec, new Map(values).set(name, withElement(tensor, last, value)));
          expect(illegalValue(network), `${name} ${value}`).toMatchObject({ parameter: `x.quantizer.${name}` });
        }
        // Where earlier versions stopped scales.
        const least = isLogarithm ? -64 : 1e-8;
        expect(illegalValue(networkOf(spec, new Map(values).set(name, withElement(tensor, 0, least))))).toBeUndefined();
      }
    },
  );

  it("is covered for every quantizer", () => {
    expect(new Set(specs.map(({ quantizer }) => quantizer))).toEqual(new Set(quantizers.keys()));
  });
});

describe("a running variance", () => {
  it("is refused below 0, and may be 0", () => {
    const network = makeModel("resnet8", { sampleShape: [1, 8, 8], classes: 3, width: 4 }, randomStream(0, "weights"));
    const given = (value: number) => ({
      ...network,
      parameters: network.parameters.map((each) =>
        each.role === "running-variance" ? { ...each, value: withElement(each.value, 1, value) } : each,
      ),
    });
    expect(illegalValue(given(0))).toBeUndefined();
    expect(illegalValue(given(-0.5))).toMatchObject({ value: -0.5 });
  });
});
