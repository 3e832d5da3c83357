/** The lines around a QConfig: how it reaches a model, and what has nothing to do with it. */
import type { StyleWriter } from "./style-writer.ts";

const indented = (lines: readonly string[]) => lines.map((line) => (line === "" ? "" : `    ${line}`));

/** A network for the scripts. */
export const model = [
  "class Net(torch.nn.Module):",
  "    def __init__(self, width=4):",
  "        super().__init__()",
  "        self.conv = torch.nn.Conv2d(1, width, 3)",
  "        self.fc = torch.nn.Linear(width, 2)",
  "",
  "    def forward(self, x):",
  "        return self.fc(torch.relu(self.conv(x)).mean((2, 3)))",
];

/** Lines on which no configuration depends. */
export const noise: readonly (readonly string[])[] = [
  ["# four bits, or so"],
  ["try:", "    import apex", "except ImportError:", "    apex = None"],
  ["torch.manual_seed(0)"],
  ['print(f"running {1 + 1:>3} of {[i for i in range(3)]}")'],
  [
    "def unused(a, *rest, key=None, **more):",
    "    for i in rest:",
    "        if i is None: continue",
    "        yield i",
  ],
  ["with torch.no_grad():", "    zeros = torch.zeros(3)"],
  ["best = 0.", "scales = [1., 2.5e-3, 1_000]"],
  ["losses = {k: v for k, v in zip('abc', range(3)) if k != 'b'}"],
  ["match len('ab'):", "    case 2:", "        half = 1", "    case _:", "        half = 0"],
  ["async def fetch(url):", "    return await url"],
  ["square = lambda x, y=2: x ** y"],
  ['"""A text with QConfig( in it, and a "quote"."""'],
];

/** How the QConfig reaches the model. */
export function delivered(
  writer: StyleWriter,
  made: string,
  decoy: string,
): { readonly body: readonly string[]; readonly probe: string } {
  const style = writer.style("deliver", [
    "assign",
    "twice",
    "function",
    "method",
    "mapping",
    "dict",
    "entry",
    "condition",
    "main",
    "loop",
    "unassigned",
    "module",
    "both branches",
  ]);
  const plain = { probe: "model.qconfig" };
  switch (style) {
    case "twice":
      return {
        ...plain,
        body: ["model = Net()", `high = ${decoy}`, "model.qconfig = high", `model.qconfig = ${made}`, "other = high"],
      };
    case "function":
      return {
        ...plain,
        body: [
          "def make(kind='low'):",
          "    if kind == 'high':",
          `        return ${decoy}`,
          `    return ${made}`,
          "model = Net().train()",
          "model.qconfig = make()",
        ],
      };
    case "method":
      return {
        ...plain,
        body: [
          "class Quantizer:",
          "    def __init__(self, target):",
          "        self.target = target",
          "    def apply(self):",
          `        self.target.qconfig = ${made}`,
          "model = Net()",
          "Quantizer(model).apply()",
        ],
      };
    case "mapping":
      return {
        body: [
          "from torch.ao.quantization import QConfigMapping",
          `high = ${decoy}`,
          `mapping = QConfigMapping().set_global(${made}).set_module_name("nowhere", high)`,
        ],
        probe: "mapping.global_qconfig",
      };
    case "dict":
      return {
        body: [`qconfig_dict = {"": ${made}}`, 'qconfig_dict["module_name"] = [("nowhere", None)]'],
        probe: 'qconfig_dict[""]',
      };
    case "entry":
      return {
        ...plain,
        body: [`configs = {"low": ${made}, "high": ${decoy}}`, "model = Net()", 'model.qconfig = configs.get("low")'],
      };
    case "condition":
      return {
        ...plain,
        body: [
          "model = Net()",
          "if 2 ** 3 > 7 and not None:",
          `    model.qconfig = ${made}`,
          "else:",
          `    model.qconfig = ${decoy}`,
        ],
      };
    case "main":
      return {
        body: [
          "def main(width):",
          ...indented(["model = Net(width)", `model.qconfig = ${made}`, "return model"]),
          "if __name__ == '__main__':",
          "    result = main(4)",
        ],
        probe: "result.qconfig",
      };
    case "loop":
      return { ...plain, body: ["model = Net()", `for q in [${decoy}, ${made}]:`, "    model.qconfig = q"] };
    case "unassigned":
      return { body: [`the_config = ${made}`], probe: "the_config" };
    case "module":
      return { ...plain, body: ["model = Net()", `model.qconfig = ${made}`, "model.fc.qconfig = None"] };
    case "both branches":
      return {
        ...plain,
        body: [
          "import time",
          "model = Net()",
          `low = ${made}`,
          "if time.time() > 5:",
          "    model.qconfig = low",
          "else:",
          "    model.qconfig = low",
        ],
      };
    default:
      return { ...plain, body: ["model = Net()", "model.train()", `model.qconfig = ${made}`] };
  }
}
