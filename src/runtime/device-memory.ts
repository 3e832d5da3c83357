/**
 * Copies between the host and a device, by graphs of a single Identity. ONNX Runtime for Node.js has no other way: there
 * its tensors on a device cannot be downloaded.
 */
import { newBuilder } from "../compile/registry.ts";
import { RuntimeError } from "../errors.ts";
import { allocate, makeTensor, type Tensor } from "../ir/tensor.ts";
import { elementCount, showType, type TensorType } from "../ir/types.ts";
import { writeOnnx } from "../onnx/write/write.ts";
import { identity } from "../ops/families/elementwise.ts";
import type { DeviceTensor, EngineSession, SessionOptions } from "./engine.ts";

/** The copies of one engine; a session for each type and direction is made once and kept. */
export class DeviceMemory {
  readonly #create: (model: Uint8Array, options: SessionOptions) => Promise<EngineSession>;
  readonly #sessions = new Map<string, Promise<EngineSession>>();

  constructor(create: (model: Uint8Array, options: SessionOptions) => Promise<EngineSession>) {
    this.#create = create;
  }

  async keep(tensor: Tensor): Promise<DeviceTensor> {
    const { y } = await (await this.#session(tensor, true)).run({ x: tensor }, {});
    if (y === undefined) throw new RuntimeError(`the engine kept no ${showType(tensor)}`);
    return y;
  }

  async read(tensor: DeviceTensor): Promise<Tensor> {
    const { dtype, shape } = tensor;
    const y = makeTensor(dtype, shape, allocate(dtype, elementCount(shape)));
    await (await this.#session(tensor, false)).run({ x: tensor }, { y });
    return y;
  }

  #session({ dtype, shape }: TensorType, kept: boolean): Promise<EngineSession> {
    const key = `${showType({ dtype, shape })} ${kept}`;
    const known = this.#sessions.get(key);
    if (known !== undefined) return known;
    const builder = newBuilder("copy");
    builder.output("y", identity(builder, builder.input("x", { dtype, shape })));
    const made = this.#create(writeOnnx(builder.finish()), kept ? { kept: ["y"] } : {});
    this.#sessions.set(key, made);
    return made;
  }
}
