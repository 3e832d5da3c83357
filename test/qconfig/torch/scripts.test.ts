/** Whole training scripts: which QConfig counts, what stands around it, and what is refused with its line instead of guessed. */
import { describe, expect, it } from "vitest";
import { SubbyteError } from "../../../src/errors.ts";
import { torchQuantization } from "../../../src/qconfig/torch/modules.ts";
import { parseTorchConfig } from "../../../src/qconfig/torch/text.ts";

const layers = [
  { name: "conv1", operator: "Conv" },
  { name: "layer1.0.conv1", operator: "Conv" },
  { name: "layer1.0.conv2", operator: "Conv" },
  { name: "fc", operator: "Gemm" },
];

type Definitions = Parameters<typeof parseTorchConfig>[1];

function read(text: string, definitions?: Definitions) {
  const parsed = parseTorchConfig({ name: "t.py", text }, definitions);
  const { config, notes } = torchQuantization(parsed, layers);
  const allNotes = [...parsed.notes.map(({ where, text: note }) => `${where} ${note}`), ...notes];
  return { ...config, notes: allNotes, places: parsed.places };
}

function refusal(text: string, definitions?: Definitions): string {
  try {
    read(text, definitions);
  } catch (error) {
    if (error instanceof SubbyteError) return error.describe();
    throw error;
  }
  return "accepted";
}

const low = "low = QConfig(activation=FakeQuantize.with_args(quant_min=0, quant_max=15), weight=None)";
const high = "high = QConfig(activation=FakeQuantize.with_args(quant_min=0, quant_max=255), weight=None)";
const both = `${low}\n${high}\n`;
const fourBits = { activation: { bits: 4, quantMax: 15 } };
const eightBits = { activation: { bits: 8, quantMax: 255 } };

describe("which QConfig counts", () => {
  it.each([
    ["the one that the model is given", `${low}\nmodel.qconfig = low\n${high}`],
    ["the last that it is given", `${both}model.qconfig = high\nmodel.qconfig = low`],
    [
      "the one that it was prepared with",
      `${both}model.qconfig = low\nprepare_qat(model, inplace=True)\nmodel.qconfig = high`,
    ],
    [
      "the one of the model that is prepared",
      `${both}student.qconfig = low\nteacher.qconfig = high\ntq.prepare_qat(student)`,
    ],
    ["the one of a mapping", `${both}m = QConfigMapping().set_global(low)\nnet = prepare_qat_fx(net, m, (x,))`],
    ["the one of a dict", `${both}net = prepare_qat_fx(net, {"": low})`],
    [
      "the one that a function returns",
      `${both}def pick(bits):\n    if bits == 4:\n        return low\n    return high\nnet.qconfig = pick(4)`,
    ],
    ["the one of an entry", `${both}net.qconfig = {"w4": low, "w8": high}["w4"]`],
    ["the only one", low],
    ["the only one, in a function that nothing calls", `def make():\n    ${low}\n    return low`],
    [
      "the one in a method",
      `class Net(nn.Module):\n    def __init__(self):\n        self.qconfig = self.make()\n    def make(self):\n        ${low}\n        return low`,
    ],
    [
      "the one of main",
      `${both}def main(args):\n    model = Net()\n    model.qconfig = low\n    prepare_qat(model)\nif __name__ == "__main__":\n    main(parse())`,
    ],
    [
      "a copy of the model's",
      `${both}model.qconfig = high\nother = copy.deepcopy(model)\nother.qconfig = low\nprepare_qat(other.train())`,
    ],
  ])("%s", (_name, text) => {
    expect(read(text)).toMatchObject({ ...fourBits, notes: [] });
  });

  it("is asked for where several are made and none is given to a model", () => {
    expect(refusal(both)).toBe(
      "t.py: there are several QConfigs, low (line 1) and high (line 2), and none of them is given to a model\n" +
        "  Add the line that says which one counts, such as model.qconfig = low.",
    );
  });

  it.each([
    ["two models", `${both}a.qconfig = low\nb.qconfig = high`, "a.qconfig (line 3)"],
    [
      "two preparations",
      `${both}for q in (low, high):\n    net.qconfig = q\n    prepare_qat(net)`,
      "there are several QConfigs",
    ],
    ["a condition", `${both}net.qconfig = low if args.small else high`, "depends on what is not evaluated: args.small"],
    [
      "two branches",
      `${both}if args.small:\n    net.qconfig = low\nelse:\n    net.qconfig = high`,
      "those of the lines 1 and 2",
    ],
    [
      "a return",
      `${both}def pick(small):\n    if small:\n        return low\n    return high\nnet.qconfig = pick(args.small)`,
      "not evaluated: small",
    ],
  ])("is refused for %s", (_name, text, words) => {
    expect(refusal(text)).toContain(words);
  });

  it("follows a value from outside, a truth or a text", () => {
    const text = `${both}if args.size == "small" and args.qat:\n    net.qconfig = low\nelse:\n    net.qconfig = high`;
    expect(read(text, { "args.size": "small", "args.qat": true })).toMatchObject(fourBits);
    expect(read(text, { "args.size": "large" })).toMatchObject(eightBits);
    expect(refusal(text)).toContain("several QConfigs");
  });

  it("is none where the model is given None", () => {
    expect(read(`${low}\nmodel.qconfig = low\nmodel.qconfig = None`)).toMatchObject({
      activation: null,
      weight: null,
      notes: ["t.py:3:7 model.qconfig is None: nothing is quantized"],
    });
  });

  it("is explained with a note where a condition decides whether there is any", () => {
    const { activation, notes } = read(`${low}\nif args.qat:\n    model.qconfig = low\n    prepare_qat(model)`);
    expect(activation).toMatchObject({ bits: 4 });
    expect(notes).toEqual(["t.py:2:4 not evaluated: args.qat; explained as if this part of the script ran"]);
    expect(read(`${low}\nmodel.qconfig = low if args.qat else None`).notes).toEqual([
      "t.py:2:24 not evaluated: args.qat; explained for the case that quantizes",
    ]);
  });

  it("leaves out a branch that ends in an error", () => {
    expect(
      read(`${low}\nif args.bits == 4:\n    net.qconfig = low\nelse:\n    raise ValueError(args.bits)`),
    ).toMatchObject(fourBits);
  });
});

describe("QConfigs of modules", () => {
  it.each([
    ["an attribute", `${low}\nmodel.qconfig = low\nmodel.fc.qconfig = None`],
    ["a dict of the old form", `${low}\nprepare_qat_fx(net, {"": low, "module_name": [("fc", None)]})`],
    [
      "a mapping",
      `${low}\nm = QConfigMapping().set_global(low)\nm.set_module_name("fc", None)\nprepare_qat_fx(net, m, x)`,
    ],
    [
      "a type",
      `${low}\nm = QConfigMapping().set_global(low).set_object_type(torch.nn.Linear, None)\nprepare_qat_fx(net, m, x)`,
    ],
  ])("by %s are overrides", (_name, text) => {
    const { activation, overrides, notes } = read(text);
    expect(activation).toMatchObject({ bits: 4 });
    expect(overrides).toMatchObject([{ weight: "float", activation: "float" }]);
    expect(notes).toEqual([]);
  });

  it("hold for everything in a module, with all that they say", () => {
    const { overrides } = read(`${both}net.qconfig = low\nnet.layer1[0].qconfig = high`);
    expect(overrides).toMatchObject([{ layer: "layer1.0.**", isWhole: true, activation: { bits: 8, quantMax: 255 } }]);
  });

  it("that no layer has are named", () => {
    expect(read(`${low}\nnet.qconfig = low\nnet.head.qconfig = None`).notes).toEqual([
      "no layer is called head: the QConfig for it changes nothing here",
    ]);
  });

  it("in a loop over modules are explained as if they were for all, and said to be", () => {
    const { activation, notes } = read(
      `${low}\nfor name, m in net.named_modules():\n    if isinstance(m, nn.Conv2d):\n        m.qconfig = low\nprepare_qat(net)`,
    );
    expect(activation).toMatchObject({ bits: 4 });
    expect(notes.join("\n")).toContain("not evaluated: isinstance(m, nn.Conv2d)");
  });

  it("without one for the model are refused where they differ", () => {
    expect(refusal(`${both}net.a.qconfig = low\nnet.b.qconfig = high\nprepare_qat(net)`)).toContain(
      "for the modules a, b, and none for the whole model",
    );
  });
});

describe("limits", () => {
  it("of signed codes on the default type are refused with the type to give", () => {
    const weight = "FakeQuantize.with_args(observer=MovingAverageMinMaxObserver, quant_min=-8, quant_max=7)";
    const message = refusal(`net.qconfig = QConfig(activation=None, weight=${weight})\nprepare_qat(net, inplace=True)`);
    expect(message).toContain("the codes -8..7 do not fit into quint8");
    expect(message).toContain("torch.qint8");
  });
});

describe("what stands around a QConfig", () => {
  const eight = "torch.ao.quantization.get_default_qat_qconfig('qnnpack')";

  it.each([
    [
      "torchvision's scripts",
      `import torch\nfrom torchvision.models.quantization import resnet18\nnet = resnet18(weights=None, quantize=False)\nnet.train()\nnet.fuse_model(is_qat=True)\nnet.qconfig = ${eight}\ntorch.ao.quantization.prepare_qat(net, inplace=True)`,
    ],
    [
      "FX",
      `from torch.ao.quantization.quantize_fx import prepare_qat_fx\nmapping = QConfigMapping().set_global(get_default_qat_qconfig("qnnpack"))\nprepared = prepare_qat_fx(net.train(), mapping, example_inputs=(x,))`,
    ],
    [
      "a mapping that torch has ready",
      `mapping = get_default_qat_qconfig_mapping("qnnpack")\nnet = prepare_qat_fx(net, mapping, (x,))`,
    ],
  ])("in %s is read over, and means fused placement", (_name, text) => {
    expect(read(text)).toMatchObject({ placement: "fused", ...eightBits, weight: { bits: 8 }, notes: [] });
  });

  it("includes a training loop, checkpoints, arguments and prints", () => {
    const text = `
import argparse, os
parser = argparse.ArgumentParser(description="QAT")
parser.add_argument("--bits", type=int, default=4)
args = parser.parse_args()
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
model = MyNet(**vars(args)).to(device)
if args.resume and os.path.exists(args.resume):
    model.load_state_dict(torch.load(args.resume)["model"])
${low}
model.qconfig = low
tq.prepare_qat(model.train(), inplace=True)
best = 0.0
for epoch in range(args.epochs):
    for i, (x, y) in enumerate(loader):
        loss = criterion(model(x.to(device)), y)
        optimizer.zero_grad(); loss.backward(); optimizer.step()
        if i % 100 == 0:
            print(f"{epoch} {i:>5} {loss.item():.3f}")
    with torch.no_grad():
        acc1, *_ = evaluate(model, loader)
    best = max(acc1, best)
    if epoch > 3:
        model.apply(torch.ao.quantization.disable_observer)
        break
quantized = torch.ao.quantization.convert(model.eval(), inplace=False)
`;
    expect(read(text)).toMatchObject({ ...fourBits, placement: "everyModule", notes: [] });
  });

  it("may be a function that is called with numbers, or a value given for its argument", () => {
    const text = `def quantizers(bits):
    act = FakeQuantize.with_args(observer=HistogramObserver.with_args(quant_min=0, quant_max=2**bits - 1))
    return QConfig(activation=act, weight=None)
net.qconfig = quantizers(4)`;
    expect(read(text)).toMatchObject({ activation: { bits: 4, quantMax: 15 } });
    expect(read(text, { bits: 3 })).toMatchObject({ activation: { bits: 3, quantMax: 7 } });
  });

  it("may be keywords in a dict", () => {
    const text =
      "limits = dict(quant_min=0, quant_max=15)\nact = FakeQuantize.with_args(observer=MovingAverageMinMaxObserver, **limits)";
    expect(read(text)).toMatchObject(fourBits);
  });

  it.each([
    [
      "a class of another file",
      "from mine import MyQuant\nnet.qconfig = QConfig(activation=MyQuant.with_args(bits=4), weight=None)",
      "comes from mine, which is not in the text",
    ],
    [
      "a function of another file",
      "from mine import make\nnet.qconfig = make(4)",
      "comes from mine, which is not in the text",
    ],
    [
      "a class that is not imported",
      "net.qconfig = QConfig(activation=MyObserver2, weight=None)",
      "nothing has this name",
    ],
  ])("is never asked for as a number: %s", (_name, text, words) => {
    const message = refusal(text);
    expect(message).toContain(words);
    expect(message).not.toContain("--define");
    expect(message).toMatch(/Paste the lines that define it/);
  });

  it("is named where it is a variable", () => {
    const text = "net.qconfig = QConfig(FakeQuantize.with_args(quant_min=0, quant_max=2**args.abits - 1), None)";
    expect(refusal(text)).toBe(
      't.py:1:77: "args.abits" is not understood: nothing has this name\n' +
        "  Assign it in the text, or give its value: --define args.abits=4.",
    );
    expect(read(text, { "args.abits": 4 })).toMatchObject(fourBits);
  });
});

describe("fake quantizers of other kinds", () => {
  it("take eps, which raises smaller scales", () => {
    const text = "FakeQuantize.with_args(observer=MinMaxObserver.with_args(eps=2**-12), quant_min=0, quant_max=15)";
    expect(read(text)).toMatchObject({ activation: { options: { eps: 2 ** -12 } } });
    const fused = "FusedMovingAvgObsFakeQuantize.with_args(quant_min=0, quant_max=15, eps=2**-12)";
    expect(read(fused).activation?.options).toEqual({ scheme: "affine", convention: "fused" });
  });

  it("learn scale and zero point", () => {
    const text = `from torch.ao.quantization._learnable_fake_quantize import _LearnableFakeQuantize as Learnable
act = Learnable.with_args(observer=MovingAverageMinMaxObserver, quant_min=0, quant_max=15, scale=6.0 / 15, zero_point=0., use_grad_scaling=True)
wt = Learnable.with_args(observer=MovingAveragePerChannelMinMaxObserver, quant_min=-8, quant_max=7, dtype=torch.qint8, qscheme=torch.per_channel_symmetric, channel_len=16)
net.qconfig = QConfig(activation=act, weight=wt)`;
    expect(read(text)).toMatchObject({
      activation: { quantizer: "learnable", bits: 4, options: { scheme: "affine", gradientScale: "torch" } },
      weight: {
        quantizer: "learnable",
        granularity: "channel",
        options: { scheme: "symmetric", gradientScale: "none" },
      },
    });
  });

  it("have additive powers of two, unsigned whatever the tensor is", () => {
    const text =
      "net.qconfig = QConfig(activation=APoTFakeQuantize.with_args(b=4, k=2, dtype=torch.quint8), weight=APoTFakeQuantize.with_args(b=4, k=2, dtype=torch.qint8))";
    expect(read(text)).toMatchObject({
      activation: { quantizer: "apotTorch", bits: 4, signed: false, options: { k: 2, alwaysUnsigned: true } },
      weight: { quantizer: "apotTorch", bits: 4, signed: true },
    });
    expect(refusal("net.qconfig = QConfig(APoTFakeQuantize.with_args(b=4), None)")).toContain("needs its bits b");
  });

  it("are made from the specs of PT2E, whose fields go over the module's", () => {
    const ctr = "FusedMovingAvgObsFakeQuantize.with_args(observer=MovingAverageMinMaxObserver, eps=2**-12)";
    const text = `act_spec = QuantizationSpec(dtype=torch.int8, quant_min=-8, quant_max=7, qscheme=torch.per_tensor_affine, is_dynamic=False, observer_or_fake_quant_ctr=${ctr})
weight_spec = QuantizationSpec(dtype=torch.int8, quant_min=-7, quant_max=7, qscheme=torch.per_channel_symmetric, ch_axis=0, observer_or_fake_quant_ctr=FusedMovingAvgObsFakeQuantize.with_args(observer=MovingAveragePerChannelMinMaxObserver))`;
    const specs = { activation: { bits: 4, quantMin: -8 }, weight: { quantMin: -7, granularity: "channel" } };
    expect(read(text)).toMatchObject(specs);
    expect(
      read(`${text}\nq = MyQuantizer()\nconfig = QuantizationConfig(act_spec, act_spec, weight_spec, None)`),
    ).toMatchObject(specs);
  });

  it("of XNNPACK and X86 Inductor have the limits that these have", () => {
    const text = `quantizer = XNNPACKQuantizer()
quantizer.set_global(get_symmetric_quantization_config(is_per_channel=True, is_qat=True, weight_qmin=-8, weight_qmax=7))
m = prepare_qat_pt2e(m, quantizer)`;
    expect(read(text)).toMatchObject({
      placement: "fused",
      activation: { quantMin: -128, quantMax: 127, options: { convention: "fused", scheme: "affine" } },
      weight: { quantMin: -8, quantMax: 7, granularity: "channel", options: { scheme: "symmetric" } },
    });
    const inductor =
      "q = X86InductorQuantizer().set_global(xiq.get_default_x86_inductor_quantization_config(is_qat=True, reduce_range=True))\nprepare_qat_pt2e(m, q)";
    expect(read(inductor)).toMatchObject({ activation: { quantMax: 127 }, weight: { quantMin: -128 } });
  });

  it("of torchao quantize linear layers only, in groups, with ranges of the values at hand", () => {
    const text = `a8 = IntxFakeQuantizeConfig(torch.int8, "per_token", is_symmetric=False)
w4 = IntxFakeQuantizeConfig(torch.int4, group_size=32)
quantize_(net, QATConfig(activation_config=a8, weight_config=w4, step="prepare"))`;
    const { activation, weight, overrides, notes } = read(text);
    expect(weight).toMatchObject({
      bits: 4,
      signed: true,
      granularity: "group",
      groupSize: 32,
      options: { scheme: "symmetric" },
    });
    expect(activation).toMatchObject({ bits: 8, signed: true, options: { scheme: "affine" } });
    expect(overrides).toEqual([{ operator: "Conv", weight: "float", activation: "float" }]);
    expect(notes.join()).toContain("each token a range of its own");
    const base =
      "base = Int8DynamicActivationInt4WeightConfig(group_size=32)\nquantize_(net, QATConfig(base, step='prepare'))\nquantize_(net, QATConfig(base, step='convert'))";
    expect(read(base)).toMatchObject({ weight, activation });
    expect(read("Int8DynActInt4WeightQATQuantizer(groupsize=32).prepare(net)")).toMatchObject({ weight, activation });
  });

  it.each([
    ['IntxFakeQuantizeConfig(torch.float8_e4m3fn, "per_token")', "torch"],
    ['IntxFakeQuantizeConfig(torch.int4, "per_chanel")', "there is no such granularity"],
    ['IntxFakeQuantizeConfig(torch.int4, "per_channel", group_size=32)', "contradicts group_size"],
    ["IntxFakeQuantizeConfig(torch.int4, group_size=32, range_learning=True)", "needs is_dynamic=False"],
    ["Int4WeightOnlyConfig(group_size=32)", "differ between torchao's versions"],
  ])("refuse %s", (text, words) => {
    expect(refusal(`quantize_(net, QATConfig(weight_config=${text}))`)).toContain(words);
  });

  it("that torch has ready for qnnpack", () => {
    expect(read("net.qconfig = torch.ao.quantization.default_symmetric_qnnpack_qat_qconfig")).toMatchObject({
      activation: { quantMin: -128, quantMax: 127, signed: true },
      weight: { quantMin: -127, quantMax: 127, granularity: "tensor" },
    });
  });
});
