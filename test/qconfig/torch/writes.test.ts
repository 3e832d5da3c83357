/** Every way to give a module a QConfig: it is followed, or a note names its line. */

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseTorchConfig } from "../../../src/qconfig/torch/text.ts";

function quantizer(top: number): string {
  return `FakeQuantize.with_args(observer=MovingAverageMinMaxObserver, quant_min=0, quant_max=${top}, dtype=torch.quint8)`;
}

const head = `import torch
import mine
from torch.ao.quantization import *
low = QConfig(activation=${quantizer(15)}, weight=${quantizer(15)})
high = QConfig(activation=${quantizer(255)}, weight=${quantizer(255)})
`;
const firstLine = head.split("\n").length;

/** The codes of the activations, the modules with a QConfig of their own, and the lines of the notes. */
function read(text: string): {
  readonly top: number | undefined;
  readonly modules: string[];
  readonly lines: number[];
} {
  const { qconfig, modules, notes } = parseTorchConfig({ name: "t.py", text: head + text });
  const lines = notes.map(({ where }) => Number(where.split(":")[1]) - firstLine + 1);
  const top = qconfig.activation?.args.quantMax;
  return { top, modules: modules.map((module) => module.text), lines };
}

const prepared = "\nprepare_qat(net)\n";

describe("a QConfig that is given", () => {
  it.each([
    'setattr(net, "qconfig", low)',
    'net.__setattr__("qconfig", low)',
    'object.__setattr__(net, "qconfig", low)',
    "net.qconfig: QConfig = low",
    "net.qconfig, other.qconfig = low, high",
    "net.qconfig = low\npropagate_qconfig_(net)",
  ])("%s is followed", (line) => {
    expect(read(line + prepared)).toEqual({ top: 15, modules: [], lines: [] });
  });

  it("by setattr counts for one module too", () => {
    const text = 'net.qconfig = low\nsetattr(net.fc, "qconfig", None)';
    expect(read(text + prepared)).toEqual({ top: 15, modules: ["fc"], lines: [] });
  });

  it("twice, the second time by propagate_qconfig_, is refused", () => {
    const text = 'net.qconfig = low\npropagate_qconfig_(net, {"": high})';
    expect(() => read(text + prepared)).toThrow("propagate_qconfig_ (line 7) is prepared with one");
  });

  it.each([
    "prepare_qat(net, mine.mapping)",
    "prepare_qat(net, mapping=mine.mapping)",
    "net = prepare_qat_fx(net, mine.mapping, x)",
  ])("with a mapping that is not known: %s", (line) => {
    expect(read(`net.qconfig = low\n${line}\n`).lines).toEqual([2]);
  });
});

/** Lines that give modules another QConfig, none of which is followed; each with the line, from 0, that says so. */
const hidden: readonly (readonly [text: string, line: number])[] = [
  ["setattr(net, name, high)", 0],
  ["for m in net.modules():\n    m.qconfig = high", 1],
  ['for n, m in net.named_modules():\n    setattr(m, "qconfig", high)', 1],
  ['[setattr(m, "qconfig", high) for m in net.modules()]', 0],
  ['net.apply(lambda m: setattr(m, "qconfig", high))', 0],
  ["def change(m):\n    m.qconfig = high\nnet.apply(change)", 1],
  ['net.__dict__["qconfig"] = high', 0],
  ["net.__dict__.update(qconfig=high)", 0],
  ['vars(net)["qconfig"] = high', 0],
  ['net.get_submodule("fc").qconfig = None', 0],
  ['x = net.get_submodule("fc")\nx.qconfig = None', 1],
  ["list(net.children())[0].qconfig = None", 0],
  ["net.layers[i].qconfig = high", 0],
  ['for n in ["a", "b"]:\n    getattr(net, n).qconfig = high', 1],
  ["(net if small else other).qconfig = high", 0],
  ["class Part(nn.Module):\n    qconfig = high\nnet.fc = Part()", 1],
  ["net.fc = Wrapped(3, qconfig=high)", 0],
  ['exec("net.qconfig = high")', 0],
  ["for m.qconfig in [high]:\n    pass\nfor p in mine.parts(net):\n    p.inner().qconfig = high", 3],
];

const around = [
  "lr = 0.1",
  "print(net)",
  "for epoch in range(3):\n    train(net, epoch)",
  "optimizer = SGD(net.parameters())",
];

it("every assignment that is not followed has a note with its line, whatever stands around it", () => {
  const piece = fc.oneof(
    fc.constantFrom(...hidden).map(([text, line]) => ({ text, line })),
    fc.constantFrom(...around).map((text) => ({ text, line: undefined })),
  );
  const nested = fc
    .tuple(piece, fc.constantFrom("", "if args.small:", "def main():"))
    .map(([{ text, line }, block]) => {
      if (block === "") return { text, line };
      const inner = text.replaceAll(/^/gm, "    ");
      const call = block.startsWith("def") ? "\nmain()" : "";
      return { text: `${block}\n${inner}${call}`, line: line === undefined ? undefined : line + 1 };
    });
  fc.assert(
    fc.property(fc.array(nested, { minLength: 1, maxLength: 4 }), (pieces) => {
      let text = "net.qconfig = low\n";
      const lines: number[] = [];
      for (const each of pieces) {
        if (each.line !== undefined) lines.push(text.split("\n").length + each.line);
        text += `${each.text}\n`;
      }
      const found = read(`${text}prepare_qat(net)\n`);
      expect(found.top).toBe(15);
      for (const line of lines) expect(found.lines, text).toContain(line);
    }),
    { numRuns: Number(process.env.QCONFIG_WRITES ?? 150) },
  );
});
