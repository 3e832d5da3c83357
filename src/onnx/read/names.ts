/** The names in a graph that engines can take. */
import type { GraphProto } from "onnx-buf";
import { FileFormatError } from "../../errors.ts";

/**
 * Checks that engines can be given the names: ONNX Runtime cuts a name at a NUL character, and its JavaScript takes
 * `__proto__` for the prototype of the tensors that it feeds.
 *
 * @throws FileFormatError for another name.
 */
export function checkNames(graph: GraphProto, source: string): void {
  const values = [...graph.input, ...graph.output, ...graph.initializer].map(({ name }) => name);
  const ofNodes = graph.node.flatMap(({ name, input, output }) => [name, ...input, ...output]);
  for (const name of [...values, ...ofNodes]) {
    if (!name.includes("\0") && name !== "__proto__") continue;
    const reason = name === "__proto__" ? "is reserved by JavaScript" : "holds a NUL character, which would end it";
    throw new FileFormatError(`the name ${JSON.stringify(name)} ${reason}`, {
      where: source,
      remedy: "Give it another name where the model is written.",
    });
  }
}
