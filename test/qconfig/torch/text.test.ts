/** Python with a torch QConfig: what is read, with Python's arithmetic, and what is refused with its token. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SubbyteError } from "../../../src/errors.ts";
import { presets } from "../../../src/qconfig/presets.ts";
import { quantizationConfigOf } from "../../../src/qconfig/torch/convert.ts";
import { parseTorchConfig } from "../../../src/qconfig/torch/text.ts";

function parse(text: string, definitions: Readonly<Record<string, number>> = {}) {
  const parsed = parseTorchConfig({ name: "t.py", text }, definitions);
  return { ...parsed, config: quantizationConfigOf(parsed.qconfig, { placement: parsed.placement }) };
}

function refusal(text: string, definitions: Readonly<Record<string, number>> = {}): string {
  try {
    parse(text, definitions);
  } catch (error) {
    if (error instanceof SubbyteError) return error.describe();
    throw error;
  }
  return "accepted";
}

/** ../shared/peers/torch_replay.py, word for word. */
const threadFunction = `
import torch.ao.quantization as tq
def threadq(wb,ab):
    fa=tq.FakeQuantize.with_args(observer=tq.MovingAverageMinMaxObserver.with_args(quant_min=0,quant_max=2**ab-1,dtype=torch.quint8,qscheme=torch.per_tensor_affine,reduce_range=True))
    fw=tq.FakeQuantize.with_args(observer=tq.MovingAveragePerChannelMinMaxObserver.with_args(quant_min=-(2**wb)//2,quant_max=(2**wb)//2-1,dtype=torch.qint8,qscheme=torch.per_channel_symmetric,reduce_range=False,ch_axis=0))
    return tq.QConfig(activation=fa,weight=fw)
`;

describe("the thread's configuration", () => {
  it.each([
    [8, 8],
    [4, 4],
    [2, 3],
  ])("is the preset thread at W%dA%d", (weightBits, activationBits) => {
    const { config } = parse(threadFunction, { wb: weightBits, ab: activationBits });
    const preset = presets.thread?.({ weightBits, activationBits });
    expect(config).toMatchObject({
      placement: preset?.placement,
      weight: { bits: weightBits, quantMin: -(2 ** (weightBits - 1)), quantMax: 2 ** (weightBits - 1) - 1 },
      activation: { bits: activationBits, quantMin: 0, quantMax: 2 ** activationBits - 1, reduceRange: true },
    });
    expect(config.weight?.observer).toEqual(preset?.weight?.observer);
    expect(config.activation?.options).toEqual(preset?.activation?.options);
  });

  it("knows where its arguments stand", () => {
    const { places } = parse(threadFunction, { wb: 4, ab: 4 });
    expect(places.activation.get("reduce_range")).toBe("t.py:4:165");
    expect(places.weight.get("ch_axis")).toBe("t.py:5:212");
  });

  it("asks for values that are not arguments of its function", () => {
    expect(refusal(threadFunction, { wb: 4 })).toBe(
      't.py:4:109: "ab" is not understood: its value is not an argument of the function\n' +
        "  Assign it in the text, or give its value: --define ab=4.",
    );
  });
});

describe("forms", () => {
  const activation = "FakeQuantize.with_args(observer=MinMaxObserver.with_args(quant_min=0, quant_max=15))";

  it.each([
    ["a QConfig that is assigned", `model.qconfig = torch.quantization.QConfig(activation=${activation}, weight=None)`],
    ["positions", `QConfig(${activation}, torch.nn.Identity)`],
    ["partial", "x = functools.partial(FakeQuantize, observer=partial(MinMaxObserver, quant_min=0, quant_max=15))"],
    ["arguments on the module", "tq.FakeQuantize.with_args(observer=MinMaxObserver, quant_min=0, quant_max=0xF)"],
    [
      "steps",
      "obs = MinMaxObserver.with_args(quant_min=0)\nobs = obs.with_args(quant_max=15)\nFakeQuantize.with_args(observer=obs)",
    ],
    ["a prompt, comments and a docstring", `"""doc"""\n>>> # a comment\n>>> f = ${activation}  # four bits\n`],
    ["lines joined", `f = \\\n  ${activation.replace("(observer", "(\n    observer")}; m = prepare_qat(model)`],
    [
      "tuples and annotations",
      "low, high = 0, 15\nn: int = 4\nFakeQuantize.with_args(observer=MinMaxObserver, quant_min=low, quant_max=high)",
    ],
    [
      "defaults of a function",
      "def make(bits=4):\n  return FakeQuantize.with_args(observer=MinMaxObserver, quant_min=0, quant_max=2**bits-1)",
    ],
  ])("%s", (_name, text) => {
    const { config } = parse(text);
    expect(config.weight).toBeNull();
    expect(config.activation).toMatchObject({ bits: 4, quantMin: 0, quantMax: 15, observer: { observer: "minMax" } });
  });

  it("of weights are known by their codes or their name", () => {
    const signed = "FakeQuantize.with_args(quant_min=-8, quant_max=7, dtype=torch.qint8)";
    expect(parse(`f = ${signed}`).config.activation).toBeNull();
    expect(parse(`act = ${signed}`).config.weight).toBeNull();
  });

  it("that torch has ready", () => {
    expect(parse("get_default_qat_qconfig('qnnpack', version=0)").config.activation).toMatchObject({ quantMax: 255 });
    expect(parse("tq.default_qat_qconfig").config.weight).toMatchObject({ granularity: "tensor", bits: 8 });
  });

  it("of a model that is fused are placed so", () => {
    const qconfig = "m.qconfig = tq.default_qat_qconfig\n";
    expect(parse(`${qconfig}tq.prepare_qat(m, inplace=True)`).placement).toBe("everyModule");
    expect(parse(`m = fuse_modules_qat(m, [['conv', 'bn', 'relu']])\n${qconfig}`).placement).toBe("fused");
  });

  it("take a value from outside over their own, and want it read", () => {
    const text = "bits = 8\nFakeQuantize.with_args(quant_min=0, quant_max=2**bits-1)";
    expect(parse(text, { bits: 3 }).config.activation).toMatchObject({ bits: 3 });
    expect(refusal(text, { bit: 3 })).toContain("Did you mean bits?");
    expect(
      parse("FakeQuantize.with_args(quant_min=0, quant_max=2**args.bits-1)", { "args.bits": 2 }).config,
    ).toMatchObject({
      activation: { bits: 2 },
    });
  });
});

describe("arithmetic", () => {
  it.each([
    ["-(2**4)//2 + 8", 0],
    ["-2**2 + 19", 15],
    ["2**3**2 // 32 - 1", 15],
    ["-7 // 2 + 19", 15],
    ["-7 % 4 * 15", 15],
    ["1 << 4 | 0", 16],
    ["(1 << 4) - 1 & 0xff", 15],
    ["int(2 ** 4 / 1) - 1", 15],
    ["pow(2, 4) - 1", 15],
    ["max(3, min(20, 15))", 15],
    ["round(2.5) + 13", 15],
    ["~-16", 15],
    ["1_5", 15],
    ["--15", 15],
    ["2 ** -(-3)", 8],
  ])("%s is %d", (expression, value) => {
    const text = `FakeQuantize.with_args(quant_min=-1, quant_max=${expression}, dtype=torch.qint8)`;
    expect(parse(text).config.weight).toMatchObject({ quantMax: value });
  });

  it("of floats stays a float, which torch's limits are not", () => {
    const text = "FakeQuantize.with_args(quant_min=0, quant_max=2**4/2 - 1)";
    expect(refusal(text)).toBe(
      't.py:1:37: "quant_max" is not understood: its value is the float 7.0, but torch expects an int\n' +
        "  Divide with //, or write int(…).",
    );
  });
});

describe("what is not understood", () => {
  it.each([
    ["FakeQuantize.with_args(reduse_range=True)", "t.py:1:24", '"reduse_range"', "Did you mean reduce_range?"],
    ["FakeQuantize.with_args(observer=MinMaxObsrver)", "t.py:1:33", '"MinMaxObsrver"', "Did you mean MinMaxObserver?"],
    ["FakeQuantize.with_args(dtype=torch.quint9)", "t.py:1:36", '"quint9"', "Did you mean quint8?"],
    ["FakeQuantize.with_args(dtype=4)", "t.py:1:30", '"4"', "expected a dtype"],
    ["FakeQuantize.with_args(MinMaxObserver)", "t.py:1:24", '"MinMaxObserver"', "keyword arguments only"],
    ["FakeQuantize(observer=MinMaxObserver)", "t.py:1:1", '"FakeQuantize"', "with_args"],
    ["QConfig(activation=MinMaxObserver, weight=None)", "t.py:1:20", '"MinMaxObserver"', "only watches"],
    ["QConfig(weight=None)", "t.py:1:8", '"("', "activation"],
    ["QConfig(activation=None, wieght=None)", "t.py:1:26", '"wieght"', "There are: activation, weight."],
    ["x = 4 $ 3", "t.py:1:7", '"$"', "this is no Python"],
    ["x = (4", "t.py:1:7", "the end of the text", "not closed"],
    ["x = 4 5", "t.py:1:7", '"5"', "this is no Python"],
    ["x = 1 // 0", "t.py:1:7", '"//"', "cannot be combined"],
    ["x = None + 1", "t.py:1:5", '"None"', "expected a number"],
    ["for b in (8, 4):\n  pass", "t.py", "there is no QConfig", "Paste the lines"],
    ["q = [b for b in bits]", "t.py", "there is no QConfig", "Paste the lines"],
    ["model.fc.qconfig = None", "t.py", "there is no QConfig", "Paste the lines"],
    ["a, b = 1, 2, 3", "t.py:1:1", '"a"', "2 names are given 3 values"],
    ["f(x)", "t.py", "there is no QConfig", "Paste the lines"],
    ["x = {1: 2}", "t.py", "there is no QConfig", "Paste the lines"],
    ["q = {1: 2}[1]\nQConfig(f(q), None)", "t.py:2:9", '"f(…)"', "this call is not evaluated"],
    ["get_default_qat_qconfig('qnnpak')", "", "qnnpak", "Did you mean qnnpack?"],
    ["x = 3", "t.py", "there is no QConfig", "Paste the lines"],
    ["", "t.py", "there is no QConfig", "Paste the lines"],
  ])("%s", (text, place, token, words) => {
    const message = refusal(text);
    expect(message.startsWith(place)).toBe(true);
    expect(message).toContain(token);
    expect(message).toContain(words);
  });

  it("is always an error of ours, whatever the text", () => {
    const word = fc.constantFrom(
      ..."FakeQuantize .with_args ( ) = , observer MinMaxObserver quant_min 4 ** // - + [ ] return def x : ' \n torch .quint8 True".split(
        " ",
      ),
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 24 }), (words) => {
        const text = words.join("");
        // refusal() throws whatever is no SubbyteError.
        expect(typeof refusal(text)).toBe("string");
      }),
      { numRuns: 300 },
    );
  });
});
