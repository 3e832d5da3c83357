/**
 * State that lives between runs. Each tensor has two buffers: a step reads one and writes the other, then they change
 * places. (Writing into the buffer that is being read would be wrong: the engine may update a weight before the
 * backward pass has read it.)
 */
import { GraphError } from "../errors.ts";
import { allocate, makeTensor, type Tensor } from "../graph/tensor.ts";
import { elementCount, sameShape } from "../graph/types.ts";

export class StateBuffers {
  readonly #current = new Map<string, Tensor>();
  readonly #spare = new Map<string, Tensor>();

  constructor(initial: Iterable<readonly [string, Tensor]>) {
    for (const [name, tensor] of initial) this.#current.set(name, copyOf(tensor));
  }

  get names(): string[] {
    return [...this.#current.keys()];
  }

  has(name: string): boolean {
    return this.#current.has(name);
  }

  /** The tensor as it stands; its buffer is reused by later steps, so copy what must stay. */
  get(name: string): Tensor {
    const tensor = this.#current.get(name);
    if (tensor === undefined) throw new GraphError(`there is no state "${name}"`);
    return tensor;
  }

  /** Where the next value is written; it counts only after {@link swap}. */
  spare(name: string): Tensor {
    const known = this.#spare.get(name);
    if (known !== undefined) return known;
    const { dtype, shape } = this.get(name);
    const made = makeTensor(dtype, shape, allocate(dtype, elementCount(shape)));
    this.#spare.set(name, made);
    return made;
  }

  /** Makes the spare buffers of these names the current ones. */
  swap(names: readonly string[]): void {
    for (const name of names) {
      const next = this.spare(name);
      this.#spare.set(name, this.get(name));
      this.#current.set(name, next);
    }
  }

  /** Replaces a tensor by a copy of another of the same type. @throws GraphError when the types differ. */
  set(name: string, tensor: Tensor): void {
    const known = this.#current.get(name);
    if (known !== undefined && (known.dtype !== tensor.dtype || !sameShape(known.shape, tensor.shape))) {
      throw new GraphError(`state "${name}" is ${known.dtype}[${known.shape}], got ${tensor.dtype}[${tensor.shape}]`);
    }
    this.#current.set(name, copyOf(tensor));
  }

  /** Copies of every tensor, by name. */
  snapshot(): Map<string, Tensor> {
    return new Map([...this.#current].map(([name, tensor]) => [name, copyOf(tensor)]));
  }
}

/** A tensor with a buffer of its own. */
export function copyOf(tensor: Tensor): Tensor {
  const { data } = tensor;
  return "buffer" in data ? { ...tensor, data: data.slice() } : tensor;
}
