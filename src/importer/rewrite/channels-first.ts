/**
 * Models of images with their channels last, read as ones that have them first: the input is transposed, and where the
 * file's own nodes bring the channels to the front, as converters of Keras models write them, both are left out.
 */
import { copyNodes, mapped, type ValueMap } from "../../compile/passes/copy.ts";
import { newBuilder } from "../../compile/registry.ts";
import { UnsupportedError } from "../../errors.ts";
import type { Node, Value } from "../../ir/graph.ts";
import { dataInputs, type Network } from "../../ir/network.ts";
import { sameSizes } from "../../ir/size.ts";
import { permutationOf } from "../../ops/build/operands.ts";
import { showSizes } from "../../ops/rewrite/context.ts";
import { type Slot, type SlotType, type SourceNode, typeOf } from "../../ops/rewrite/slots.ts";
import type { Emitter } from "../emitter.ts";
import { knownIntegers, resolveReshape } from "./batch-forms.ts";

/** From [N, C, H, W] to [N, H, W, C]. */
const toChannelsLast: readonly number[] = [0, 2, 3, 1];

/**
 * Adds an input [N, C, H, W] to the network.
 *
 * @param type That of the file's input, [N, H, W, C].
 * @returns What the file's nodes read.
 * @throws UnsupportedError for an input that is no image.
 */
export function channelsFirstInput(e: Emitter, name: string, { dtype, shape }: SlotType): Slot {
  const [n, height, width, channels] = shape;
  if (shape.length !== 4 || n === undefined || height === undefined || width === undefined || channels === undefined) {
    throw new UnsupportedError(
      `the input "${name}" is [${showSizes(shape)}], images with channels last are [N,H,W,C]`,
      {
        where: e.builder.name,
      },
    );
  }
  const input = e.input(name, { dtype, shape: [n, channels, height, width] });
  return e.one("Transpose", [input], { perm: [...toChannelsLast] }, { name: "channels_last" });
}

/** The same network with its data input [N, C, H, W] as [N, H, W, C] again, as the file had it. */
export function withChannelsLast(network: Network): Network {
  const [data] = dataInputs(network);
  const builder = newBuilder(network.graph.name);
  const map: ValueMap = new Map();
  let input: Value | undefined;
  for (const value of network.graph.inputs) {
    const { name, type } = value;
    if (value !== data) {
      map.set(value, builder.input(name, type));
      continue;
    }
    const [n = 1, channels = 1, height = 1, width = 1] = type.shape;
    input = builder.input(name, { dtype: type.dtype, shape: [n, height, width, channels] });
    map.set(value, builder.one("Transpose", [input], { perm: [0, 3, 1, 2] }, { name: "channels_first" }));
  }
  copyNodes(network.graph, builder, map, ({ op, inputs: [read], attributes }) =>
    op === "Transpose" && read === data && `${attributes.perm}` === `${toChannelsLast}` ? [input] : undefined,
  );
  for (const { name, value } of network.graph.outputs) builder.output(name, mapped(map, value));
  return { ...network, graph: builder.finish() };
}

/** Returns the input of the Transpose that a node undoes. */
export function undoneTranspose(e: Emitter, node: SourceNode): Slot | undefined {
  const [x] = node.inputs;
  if (x?.kind !== "value" || node.domain !== "") return undefined;
  const producer = e.builder.producerOf(x.value);
  const [source] = producer?.inputs ?? [];
  if (producer?.op !== "Transpose" || source === undefined) return undefined;
  const undoes =
    node.op === "Transpose" ? turnsBack(node, producer) : node.op === "Reshape" && shapesBack(e, node, producer);
  return undoes ? e.slotOf(source) : undefined;
}

function turnsBack(node: SourceNode, producer: Node): boolean {
  const rank = producer.outputs[0]?.type.shape.length ?? 0;
  const first = permutationOf(producer, rank);
  return permutationOf(node, rank).every((axis, i) => first[axis] === i);
}

/** A Transpose that moves an axis of size 1 alone, as that of a grey image, keeps the elements in their order. */
function shapesBack(e: Emitter, node: SourceNode, producer: Node): boolean {
  const [x, wanted] = node.inputs;
  const source = producer.inputs[0];
  const sizes = wanted === undefined || wanted.kind === "value" ? undefined : knownIntegers(node, wanted, "shape");
  if (x === undefined || sizes === undefined || source === undefined) return false;
  const from = typeOf(e.slotOf(source)).shape;
  const moved = permutationOf(producer, from.length).filter((axis) => from[axis] !== 1);
  const isInOrder = moved.every((axis, i) => i === 0 || axis > (moved[i - 1] ?? -1));
  return isInOrder && sameSizes(resolveReshape(e, node, typeOf(x).shape, sizes), from);
}
