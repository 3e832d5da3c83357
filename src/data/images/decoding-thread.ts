/**
 * Decodes images in a separate thread. The engine blocks the main thread while it computes a step: there, decoding
 * requested before a step would start only after it, a few images at a time. Requests and answers are sent in bundles,
 * because a message costs more than a small image.
 */
import { startThread } from "../../io/processes.ts";
import type { Shape } from "../../ir/types.ts";
import type { LoadedSample } from "../dataset/sample-store.ts";
import type { ImageFit, SixteenBit } from "./pixels.ts";

/** An image for the thread to decode. */
export interface DecodingRequest {
  readonly id: number;
  readonly path: string;
  readonly shape: Shape;
  readonly sixteenBit: SixteenBit;
  readonly fit: ImageFit;
}

/** The answer to a request. */
export type DecodingAnswer = { readonly id: number } & (
  | { readonly samples: Uint8Array<ArrayBuffer> }
  | { readonly reason: string }
);

interface Waiting {
  readonly resolve: (sample: LoadedSample) => void;
  readonly reject: (error: Error) => void;
}

/** The thread that all data sets of the process share; it starts at the first request. */
class DecodingThread {
  readonly #worker = startThread(import.meta.url, "decode-worker");
  readonly #waiting = new Map<number, Waiting>();
  #bundle: DecodingRequest[] = [];
  #lastId = 0;

  constructor() {
    this.#worker.on("message", (answers: readonly DecodingAnswer[]) => {
      for (const { id, ...sample } of answers) {
        this.#waiting.get(id)?.resolve(sample);
        this.#waiting.delete(id);
      }
      // An idle thread must not keep the process alive, one that is awaited must.
      if (this.#waiting.size === 0) this.#worker.unref();
    });
    this.#worker.on("error", (error) => {
      thread = undefined;
      for (const { reject } of this.#waiting.values()) reject(error);
      this.#waiting.clear();
    });
    this.#worker.unref();
  }

  decode(path: string, shape: Shape, sixteenBit: SixteenBit, fit: ImageFit): Promise<LoadedSample> {
    if (this.#bundle.length === 0) queueMicrotask(() => this.#send());
    const id = ++this.#lastId;
    this.#bundle.push({ id, path, shape, sixteenBit, fit });
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
  }

  #send(): void {
    this.#worker.ref();
    this.#worker.postMessage(this.#bundle);
    this.#bundle = [];
  }
}

let thread: DecodingThread | undefined;

/** Decodes an image as ImageDecoder.decode does, in a separate thread. */
export function decodeInThread(
  path: string,
  shape: Shape,
  sixteenBit: SixteenBit = "clip",
  fit: ImageFit = "cover",
): Promise<LoadedSample> {
  thread ??= new DecodingThread();
  return thread.decode(path, shape, sixteenBit, fit);
}
