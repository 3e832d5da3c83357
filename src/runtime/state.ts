/**
 * State that lives between runs.
 *
 * On the host a tensor has two buffers where a step may write its next value before the present one has been read: the
 * step reads one and writes the other, then they change places. Where the graph rules that out (compile/passes/in-place.ts), it
 * has one, which the step reads and overwrites.
 *
 * Where an engine keeps tensors on a device, the newest values lie there while a job runs, and `toHost` brings them back
 * before they are read here.
 */
import { GraphError } from "../errors.ts";
import { allocate, makeTensor, type Tensor } from "../ir/tensor.ts";
import { elementCount, sameShape } from "../ir/types.ts";
import type { DeviceTensor } from "./engine.ts";

/**
 * The state of a job in buffers that steps read and write.
 *
 * @example
 * const state = new StateBuffers([["scale", filled([], 0.5)]]);
 * console.log(state.get("scale").data); // Float32Array [0.5]
 */
export class StateBuffers {
  readonly #current = new Map<string, Tensor>();
  readonly #spare = new Map<string, Tensor>();
  readonly #onDevice = new Map<string, DeviceTensor>();
  /** Names whose value here is older than the one on the device. */
  readonly #behind = new Set<string>();

  constructor(initial: Iterable<readonly [string, Tensor]>) {
    for (const [name, tensor] of initial) this.#current.set(name, copyOf(tensor));
  }

  get names(): string[] {
    return [...this.#current.keys()];
  }

  has(name: string): boolean {
    return this.#current.has(name);
  }

  /**
   * The tensor as it stands; its buffer is reused by later steps, so copy what must stay.
   *
   * @throws GraphError when there is none of that name, or its value has not been brought back from the device.
   */
  get(name: string): Tensor {
    if (this.#behind.has(name)) {
      throw new GraphError(`the newest value of "${name}" lies on the device`, {
        remedy: "await state.toHost() before.",
      });
    }
    return this.#host(name);
  }

  /** The newest value, wherever it lies: to be fed to a run of the engine that holds it. */
  feed(name: string): Tensor | DeviceTensor {
    return this.#onDevice.get(name) ?? this.#host(name);
  }

  isOnDevice(name: string): boolean {
    return this.#onDevice.has(name);
  }

  /** A second buffer, where the next value is written; it counts only after {@link swap}. */
  spare(name: string): Tensor {
    const known = this.#spare.get(name);
    if (known !== undefined) return known;
    const { dtype, shape } = this.#host(name);
    const made = makeTensor(dtype, shape, allocate(dtype, elementCount(shape)));
    this.#spare.set(name, made);
    return made;
  }

  /** Makes the spare buffers of these names the current ones. */
  swap(names: readonly string[]): void {
    for (const name of names) {
      const next = this.spare(name);
      this.#spare.set(name, this.#host(name));
      this.#current.set(name, next);
    }
  }

  /** Replaces a tensor by a copy of another of the same type. @throws GraphError when the types differ. */
  set(name: string, tensor: Tensor): void {
    const known = this.#current.get(name);
    if (known !== undefined && (known.dtype !== tensor.dtype || !sameShape(known.shape, tensor.shape))) {
      throw new GraphError(`state "${name}" is ${known.dtype}[${known.shape}], got ${tensor.dtype}[${tensor.shape}]`);
    }
    this.#forget(name);
    this.#current.set(name, copyOf(tensor));
  }

  /** Takes over a tensor on the device as the value of a name: a newer one, or a copy of what is here. */
  hold(name: string, tensor: DeviceTensor, isNewer: boolean): void {
    this.#onDevice.get(name)?.release();
    this.#onDevice.set(name, tensor);
    if (isNewer) this.#behind.add(name);
  }

  /** Brings back what is newer on the device; the values stay there too. */
  async toHost(): Promise<void> {
    for (const name of this.#behind) {
      const tensor = this.#onDevice.get(name);
      if (tensor !== undefined) this.#current.set(name, await tensor.read());
      this.#behind.delete(name);
    }
  }

  /** Brings everything back and gives the device's memory back. */
  async leaveDevice(): Promise<void> {
    await this.toHost();
    for (const name of [...this.#onDevice.keys()]) this.#forget(name);
  }

  /** Copies of every tensor, by name. @throws GraphError as `get`. */
  snapshot(): Map<string, Tensor> {
    return new Map(this.names.map((name) => [name, copyOf(this.get(name))]));
  }

  #host(name: string): Tensor {
    const tensor = this.#current.get(name);
    if (tensor === undefined) throw new GraphError(`there is no state "${name}"`);
    return tensor;
  }

  #forget(name: string): void {
    this.#onDevice.get(name)?.release();
    this.#onDevice.delete(name);
    this.#behind.delete(name);
  }
}

/** A tensor with a buffer of its own. */
export function copyOf(tensor: Tensor): Tensor {
  const { data } = tensor;
  return "buffer" in data ? { ...tensor, data: data.slice() } : tensor;
}
