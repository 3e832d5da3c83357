/** Python as it is evaluated around a QConfig: what changes a value is followed, and what is not followed is refused. */
import { describe, expect, it } from "vitest";
import { SubbyteError } from "../../../src/errors.ts";
import { parsePython } from "../../../src/qconfig/torch/python/parse/parse.ts";
import { parseTorchConfig } from "../../../src/qconfig/torch/text.ts";

const two = `low = QConfig(FakeQuantize.with_args(quant_min=0, quant_max=15), None)
high = QConfig(FakeQuantize.with_args(quant_min=0, quant_max=255), None)
`;

/** The largest code of the activations of `net.qconfig`, or why there is none. */
function read(text: string): number | string | undefined {
  try {
    return parseTorchConfig({ name: "t.py", text: two + text }).qconfig.activation?.args.quantMax;
  } catch (error) {
    if (error instanceof SubbyteError) return error.describe();
    throw error;
  }
}

describe("a value", () => {
  it.each([
    ["of a global name", "Q = high\ndef f():\n  global Q\n  Q = low\nf()\nnet.qconfig = Q"],
    [
      "of an outer function",
      "def o():\n  Q = high\n  def f():\n    nonlocal Q\n    Q = low\n  f()\n  return Q\nnet.qconfig = o()",
    ],
    ["of a dict with two names", "c = {'q': high}\nd = c\nd['q'] = low\nnet.qconfig = c['q']"],
    ["of a list that a function changes", "def add(l):\n  l.append(low)\nxs = [high]\nadd(xs)\nnet.qconfig = xs[-1]"],
    ["of a copy", "c = {'q': low}\nd = c.copy()\nd['q'] = high\nnet.qconfig = c['q']"],
    ["of a deep copy", "c = {'q': [low]}\nd = copy.deepcopy(c)\nd['q'].append(high)\nnet.qconfig = c['q'][-1]"],
    ["of a model with two names", "other = net\nother.qconfig = low\nprepare_qat(net)"],
    ["of a model that a function gets", "def f(m):\n  m.qconfig = low\nf(net)\nprepare_qat(net)"],
    ["of a class", "class C:\n  q = high\nC.q = low\nnet.qconfig = C().q"],
    ["of a base class", "class A:\n  q = low\nclass B(A):\n  pass\nnet.qconfig = B().q"],
    ["of a static method", "class A:\n  @staticmethod\n  def q(x):\n    return x\nnet.qconfig = A().q(low)"],
    ["of a closure", "def mk(x):\n  def f():\n    return x\n  return f\nnet.qconfig = mk(low)()"],
    ["of keywords", "def f(*a, **k):\n  return k['q']\nnet.qconfig = f(1, q=low)"],
    ["after a loop with else", "for i in range(3):\n  if i == 5: break\nelse:\n  net.qconfig = low"],
    ["after a break", "for q in [low, high]:\n  if True: break\nnet.qconfig = q"],
    ["after a while", "i = 0\nwhile i < 3:\n  i += 1\n  net.qconfig = low if i == 3 else high"],
    ["after while True", "while True:\n  net.qconfig = low\n  break"],
    ["of an assignment in a condition", "if (q := low): net.qconfig = q"],
    ["of a match", "match 2 + 2:\n  case 3: net.qconfig = high\n  case 4: net.qconfig = low"],
    ["of a comparison in a chain", "net.qconfig = low if 1 < 2 < 3 else high"],
    ["of a comparison in brackets", "net.qconfig = high if (3 > 2) == 2 else low"],
    ["after an error that is caught", "try:\n  raise ValueError\nexcept ValueError:\n  net.qconfig = low"],
    ["of a comprehension", "net.qconfig = [q for i, q in enumerate([high, low]) if i % 2 == 1][0]"],
    ["of a lambda", "pick = lambda small, q=low: q if small else high\nnet.qconfig = pick(1)"],
  ])("%s is followed", (_name, text) => {
    expect(read(text)).toBe(15);
  });

  it.each([
    [
      "in a loop that may end early",
      "for q in [low, high]:\n  net.qconfig = q\n  if args.x: break",
      "several QConfigs",
    ],
    [
      "of a return that may come early",
      "def f():\n  for q in [high, low]:\n    if args.x: return q\n  return low\nnet.qconfig = f()",
      "several QConfigs",
    ],
    [
      "of a pattern",
      "match args.x:\n  case 'a': net.qconfig = low\n  case _: net.qconfig = high",
      "not evaluated: args.x",
    ],
    ["of a choice, with an operation", "b = 4 if args.x else 8\nnet.qconfig = [low, high][b - 4]", "not known"],
    ["of eval", "net.qconfig = eval('low')", "this call is not evaluated"],
    ["of a function that calls itself", "def f(n):\n  return f(n)\nnet.qconfig = f(1)", "calls itself"],
    [
      "of a property",
      "class A:\n  @property\n  def q(self):\n    return low\nnet.qconfig = A().q",
      "decorator is not evaluated",
    ],
    [
      "of a class with a name of torch's, of another package",
      "from mine import FakeQuantize as F\nnet.qconfig = QConfig(F.with_args(quant_min=0, quant_max=15), None)",
      "comes from mine",
    ],
    [
      "of a class that extends one of torch's",
      "class F(FakeQuantize):\n  pass\nnet.qconfig = QConfig(F.with_args(quant_min=0, quant_max=15), None)",
      "not evaluated",
    ],
    ["that is deleted", "net.qconfig = low\ndel net.qconfig", "none of them is given to a model"],
    [
      "of a number that an unknown loop changes",
      "n = 16\nfor x in data:\n  n -= 1\nnet.qconfig = QConfig(FakeQuantize.with_args(quant_min=0, quant_max=n), None)",
      "loop",
    ],
  ])("%s is refused", (_name, text, words) => {
    expect(read(text)).toContain(words);
  });
});

describe("a script", () => {
  it.each([
    [
      "too many steps",
      "for i in range(400):\n  for j in range(400):\n    for k in range(400):\n      x = i",
      "too many steps",
    ],
    [
      "a number too large",
      "net.qconfig = QConfig(FakeQuantize.with_args(quant_min=0, quant_max=10**400), None)",
      "cannot be combined",
    ],
    ["deep brackets", `x = ${"(".repeat(3000)}1${")".repeat(3000)}`, "t.py:3:"],
    ["a very long sum", `x = ${"1+".repeat(3000)}1`, "t.py:3:"],
  ])("with %s is refused in bounded time", (_name, text, words) => {
    expect(read(text)).toContain(words);
  });

  it("parses with everything that Python has", () => {
    const text = `from __future__ import annotations
import a.b as c, d
from . import (x as y, z)
@decorated(1).call
class A(B, metaclass=M):
    """doc"""
    x: int = 0x_ff
    async def m(self, a, /, b: "int" = 1., *args, c, **kw) -> None:
        async with a as b, c: await x
        async for i in g(): yield
        return
lambda *a, k=1: (yield)
with open(f) as g, h: pass
try: pass
except (E, F) as e: raise X from e
else: pass
finally: del a[0], b
while (n := f()) and not a or b is not c: assert n, "m"
x = y = {**a, 1: [*b], "k": {1, 2}}; print(f"{a!r:>{w}} {{}}" "b" rb'c')
a[1:2, ...] += 1.e3 if x else -2 ** -.5 @ m
match x:
    case [1, *rest] | {"k": v} if v: pass
    case Point(x=0): pass
    case _: pass
(a, b), *c = d
print(*a, sep="", **k)
`;
    expect(parsePython({ name: "t.py", text }).length).toBeGreaterThan(12);
  });

  it("with a statement that the grammar does not have is read around it, unless it speaks of quantization", () => {
    const odd = (body: string) => `net.qconfig = low\nwith (open(a) as f, open(b) as g):\n    ${body}\n`;
    expect(read(odd("print(f.read())"))).toBe(15);
    expect(read(odd("net.qconfig = high"))).toContain("t.py:4:1: this part of the script is not understood");
    expect(read(`${odd("low = 3")}net.qconfig = low`)).toContain("not understood");
  });

  it("may be an interactive session, indented, or with Windows line ends", () => {
    const line = "net.qconfig = low";
    expect(read(line)).toBe(15);
    const session = `${two}${line}`.split("\n").filter((text) => text !== "");
    const shown = (texts: readonly string[]) =>
      parseTorchConfig({ name: "t.py", text: texts.join("\n") }).qconfig.activation?.args.quantMax;
    expect(shown(session.flatMap((text) => [`>>> ${text}`, "Net(...)"]))).toBe(15);
    expect(shown(session.map((text) => `        ${text}`))).toBe(15);
    expect(shown(session.map((text) => `${text}\r`))).toBe(15);
  });
});
