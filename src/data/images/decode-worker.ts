/** The thread that decodes images: bundles of requests come in, bundles of answers go out. See decoding-thread.ts. */
import { availableParallelism } from "node:os";
import { parentPort } from "node:worker_threads";
import { Limiter } from "../dataset/sample-store.ts";
import { ImageDecoder } from "./decoder.ts";
import type { DecodingAnswer, DecodingRequest } from "./decoding-thread.ts";

/** Number of answers in a message; the last message may have fewer. */
const bundleSize = 16;

const decoder = await ImageDecoder.create();
const limiter = new Limiter(Math.max(2, availableParallelism()));
let unanswered = 0;
let bundle: DecodingAnswer[] = [];

async function answer({ id, path, shape, sixteenBit, fit }: DecodingRequest): Promise<void> {
  const sample = await limiter.run(() => decoder.decode(path, shape, sixteenBit, fit));
  // In memory of its own: a small image comes as a piece of a larger buffer, which could not be given away.
  bundle.push("samples" in sample ? { id, samples: Uint8Array.from(sample.samples) } : { id, reason: sample.reason });
  unanswered--;
  if (bundle.length < bundleSize && unanswered > 0) return;
  const buffers = bundle.flatMap((one) => ("samples" in one ? [one.samples.buffer] : []));
  parentPort?.postMessage(bundle, buffers);
  bundle = [];
}

parentPort?.on("message", (requests: readonly DecodingRequest[]) => {
  unanswered += requests.length;
  for (const request of requests) void answer(request);
});
