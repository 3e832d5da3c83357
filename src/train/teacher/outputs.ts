/** The outputs of a teacher for the batches of an evaluation, cached where they are small: the batches stay the same. */
import type { TeacherConfig } from "../../compile/build/distillation.ts";
import { buildEvaluation } from "../../compile/build/evaluation.ts";
import type { ImageInput } from "../../compile/build/input.ts";
import { givesProbabilities } from "../../compile/build/outputs.ts";
import { float32Data, type Tensor } from "../../ir/tensor.ts";
import type { Target } from "../../ops/definition.ts";
import type { Engine } from "../../runtime/engine.ts";
import { ForwardJob } from "../../runtime/job.ts";
import { StateBuffers } from "../../runtime/state.ts";
import { scoresOf } from "../loop/metrics.ts";

/** A teacher network that supplies the targets of an evaluation, and the kind of its outputs. */
export type TeacherReference = Pick<TeacherConfig, "teacher" | "outputs">;

/** Bytes of outputs to keep; beyond them the teacher runs again. */
const keptBytes = 64 * 2 ** 20;

/** Computes the teacher's outputs for batches. */
export class TeacherOutputs {
  readonly #job: ForwardJob;
  readonly #state: StateBuffers;
  readonly #isProbability: boolean;
  readonly #kept = new Map<number, Float32Array>();
  #bytes = 0;

  private constructor(job: ForwardJob, { teacher, outputs }: TeacherReference) {
    this.#job = job;
    this.#state = new StateBuffers(teacher.parameters.map(({ name, value }) => [name, value] as const));
    this.#isProbability = outputs === "classes" && givesProbabilities(teacher);
  }

  static async create(
    reference: TeacherReference,
    input: ImageInput,
    batchSize: number,
    engine: Engine,
    target?: Target,
  ): Promise<TeacherOutputs> {
    const job = await ForwardJob.create(engine, buildEvaluation(reference.teacher, { batchSize, input }), target);
    return new TeacherOutputs(job, reference);
  }

  /** Returns the outputs for batch `step`, whose samples are `data`: scores of classes, or values. */
  async read(step: number, data: Tensor): Promise<Float32Array> {
    const known = this.#kept.get(step);
    if (known !== undefined) return known;
    const [output] = Object.values(await this.#job.run(this.#state, data));
    if (output === undefined) return new Float32Array(0);
    const values = float32Data(this.#isProbability ? scoresOf(output) : output).slice();
    this.#bytes += values.byteLength;
    if (this.#bytes <= keptBytes) this.#kept.set(step, values);
    return values;
  }

  release(): Promise<void> {
    return this.#job.release();
  }
}
