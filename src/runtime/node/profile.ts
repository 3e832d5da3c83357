/** Reads the records of ONNX Runtime's own profiler on a session's runs, node by node. */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { RuntimeError } from "../../errors.ts";
import type { Engine } from "../engine.ts";
import { nodeEngine } from "./node.ts";

/** One execution of one node. */
export interface ProfiledNode {
  readonly name: string;
  readonly op: string;
  /** The provider that ran it, such as `CPUExecutionProvider`. */
  readonly provider: string;
  readonly seconds: number;
  /** Bytes of its inputs and outputs. */
  readonly bytes: number;
}

/** One run of a session. */
export interface ProfiledRun {
  /** From the call to its return, inside the engine. */
  readonly seconds: number;
  readonly nodes: readonly ProfiledNode[];
}

const count = z.coerce.number().default(0);

const eventsSchema = z.array(
  z.object({
    cat: z.string(),
    name: z.string(),
    ts: z.number(),
    dur: z.number(),
    args: z
      .object({
        op_name: z.string().default(""),
        provider: z.string().default(""),
        activation_size: count,
        parameter_size: count,
        output_size: count,
      })
      .prefault({}),
  }),
);

const kernelSuffix = "_kernel_time";

/**
 * Calls `body` with an engine whose first session is profiled, and returns what was measured of that session's runs, in
 * their order. `body` must release the session, which is when the profiler writes. The profiler escapes nothing in the
 * names of nodes: give it a graph {@link withNumberedNodes} where they come from people.
 *
 * @throws RuntimeError when the engine wrote no profile.
 */
export async function profiled(
  options: { readonly threads?: number; readonly device?: Engine["device"] },
  body: (engine: Engine) => Promise<void>,
): Promise<ProfiledRun[]> {
  const folder = await mkdtemp(join(tmpdir(), "subbyte-profile-"));
  try {
    await body(nodeEngine({ ...options, profilePrefix: join(folder, "profile") }));
    const [file] = (await readdir(folder)).sort();
    if (file === undefined) throw new RuntimeError("ONNX Runtime wrote no profile");
    return parseProfile(await readFile(join(folder, file), "utf8"));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The runs in a profile of ONNX Runtime (the JSON of Chrome's tracing). @throws RuntimeError for any other text. */
export function parseProfile(text: string): ProfiledRun[] {
  const events = eventsSchema.safeParse(jsonOf(text));
  if (!events.success) throw new RuntimeError(`the profile is not ONNX Runtime's: ${z.prettifyError(events.error)}`);
  const runs = events.data.filter(({ name }) => name === "model_run");
  const kernels = events.data.filter(({ cat, name }) => cat === "Node" && name.endsWith(kernelSuffix));
  return runs
    .toSorted((a, b) => a.ts - b.ts)
    .map(({ ts, dur }) => ({
      seconds: dur / 1e6,
      nodes: kernels
        .filter((kernel) => kernel.ts >= ts && kernel.ts < ts + dur)
        .map(({ name, dur: microseconds, args }) => ({
          name: name.slice(0, -kernelSuffix.length),
          op: args.op_name,
          provider: args.provider,
          seconds: microseconds / 1e6,
          bytes: args.activation_size + args.parameter_size + args.output_size,
        })),
    }));
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new RuntimeError("the profile is not JSON", { cause });
  }
}
