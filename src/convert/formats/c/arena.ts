/** The offset of each tensor in the one buffer of the C program; tensors that never live together share bytes. */
import { elementCount } from "../../../ir/types.ts";
import {
  type IntegerNetwork,
  type IntegerOperation,
  type IntegerTensor,
  inputsOf,
  isSumming,
  producerOf,
  type TensorForm,
  tensorById,
} from "../../integer-network.ts";
import { partsOfJoins } from "./joins.ts";
import { viewOf } from "./views.ts";

/** The offset of a tensor in the arena. */
export interface ArenaSlot {
  /** Offset in bytes. */
  readonly offset: number;
  readonly bytes: number;
}

/** The buffer that all tensors of codes share. */
export interface Arena {
  readonly bytes: number;
  /** Tensors of codes by number; a view lies in its input, a part of a concatenation in the whole. */
  readonly placements: ReadonlyMap<number, ArenaSlot>;
  /** The concatenations whose parts are made in them. */
  readonly joined: ReadonlySet<number>;
}

/** Element type of a tensor of codes in C; codes above eight bits, wide codes and quotients take 32 bits. */
export function elementType({ form }: Pick<IntegerTensor, "form">): "uint8_t" | "int32_t" {
  return form.kind === "codes" && form.high - Math.min(form.low, 0) <= 255 ? "uint8_t" : "int32_t";
}

/** Element type of a tensor of quotients. */
export function quotientType(fixed: boolean): "float" | "int32_t" {
  return fixed ? "int32_t" : "float";
}

/** The number that is added to a code in its uint8_t. */
export function storedOffset(tensor: IntegerTensor): number {
  return storedLowest(tensor.form);
}

/** The same, of a form: codes below 0 are moved up where they lie in a uint8_t. */
export function storedLowest(form: TensorForm): number {
  return elementType({ form }) === "uint8_t" && form.low < 0 ? -form.low : 0;
}

/** Whether codes that do not depend on the data lie among the program's constants, and so not in the buffer. */
export function isStoredWhole(operation: IntegerOperation): boolean {
  return operation.op === "ConstantCodes" && operation.codes.length > 1;
}

/** First fit over the tensors in the order in which they are made. */
export function planArena(network: IntegerNetwork): Arena {
  const lastUse = lastUses(network);
  const parts = partsOfJoins(network);
  for (const [id, { whole }] of parts) {
    lastUse.set(whole, Math.max(lastUse.get(whole) ?? -1, lastUse.get(id) ?? -1));
  }
  const placements = new Map<number, ArenaSlot>();
  const live: { readonly id: number; readonly placement: ArenaSlot }[] = [];
  let bytes = 0;
  network.operations.forEach((operation, index) => {
    const tensor = tensorById(network, operation.output);
    const { kind } = tensor.form;
    if (kind === "accumulator" || kind === "float" || isStoredWhole(operation)) return;
    const elementBytes = elementType(tensor) === "uint8_t" ? 1 : 4;
    const view = viewOf(network, operation);
    if (view !== undefined) {
      const shared = placements.get(view.input);
      if (shared !== undefined) {
        placements.set(tensor.id, { ...shared, offset: shared.offset + view.start * elementBytes });
      }
      return;
    }
    const part = parts.get(tensor.id);
    const whole = part === undefined ? tensor : tensorById(network, part.whole);
    const known = placements.get(whole.id);
    const size = align(elementCount(whole.shape) * elementBytes);
    const others = live.filter(({ id }) => (lastUse.get(id) ?? -1) >= index).map(({ placement }) => placement);
    const placement = known ?? { offset: firstGap(others, size), bytes: size };
    placements.set(whole.id, placement);
    if (part !== undefined) {
      placements.set(tensor.id, { ...placement, offset: placement.offset + part.start * elementBytes });
    }
    if (known === undefined) live.push({ id: whole.id, placement });
    bytes = Math.max(bytes, placement.offset + size);
  });
  return { bytes, placements, joined: new Set([...parts.values()].map(({ whole }) => whole)) };
}

function align(bytes: number): number {
  return Math.ceil(bytes / 4) * 4;
}

function firstGap(taken: readonly ArenaSlot[], size: number): number {
  let offset = 0;
  for (const other of [...taken].sort((a, b) => a.offset - b.offset)) {
    if (other.offset - offset >= size) break;
    offset = Math.max(offset, other.offset + other.bytes);
  }
  return offset;
}

/** The last operation that reads each tensor of codes: directly, through sums that are not stored, or through a view. */
function lastUses(network: IntegerNetwork): Map<number, number> {
  const last = new Map<number, number>();
  const use = (id: number, index: number): void => {
    last.set(id, Math.max(last.get(id) ?? -1, index));
    const producer = producerOf(network, id);
    if (producer === undefined) return;
    const isStored = !isSumming(producer) && viewOf(network, producer) === undefined;
    if (!isStored) for (const input of inputsOf(producer)) use(input, index);
  };
  network.operations.forEach((operation, index) => {
    for (const input of inputsOf(operation)) use(input, index);
  });
  for (const { tensor } of network.outputs) use(tensor, network.operations.length);
  return last;
}
