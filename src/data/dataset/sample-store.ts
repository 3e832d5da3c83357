/**
 * Samples that are read or decoded on demand; a bounded number of them stays in memory.
 *
 * `prefetch` reads samples in the requested order, a limited number at a time; `get` is synchronous. Where all samples fit
 * the bound, each is read once; otherwise the least recently used are dropped. A sample that cannot be read is replaced
 * by the next readable one, always the same, so that a resumed run sees the same data.
 */
import { ConfigError, FileFormatError, InterruptedError } from "../../errors.ts";
import type { SampleArray, SkippedSample } from "./dataset.ts";

/** The result of reading a sample: its elements, or the reason why it cannot be read. */
export type LoadedSample = { readonly samples: SampleArray } | { readonly reason: string };

/** Where samples come from. */
export interface SampleSource {
  readonly count: number;
  /** Bytes of one sample in memory. */
  readonly sampleBytes: number;
  /** For messages: the path of the sample's file. */
  name(index: number): string;
  /** Reads one sample. A reason skips it; an exception ends the training. */
  load(index: number): Promise<LoadedSample>;
}

/** A sample in memory with its own number, which is another one where it replaces an unreadable sample. */
export interface StoredSample {
  readonly samples: SampleArray;
  readonly index: number;
}

/** Limits of memory and of concurrent reads. */
export interface SampleStoreOptions {
  readonly memoryBytes: number;
  /** Samples that are read at the same time. */
  readonly concurrency: number;
}

/** Runs asynchronous functions in order, at most `limit` at a time. */
export class Limiter {
  readonly #limit: number;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  async run<T>(action: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#limit) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#running++;
    try {
      return await action();
    } finally {
      // The slot passes to the one that has waited longest, so the count stays; with none waiting it is released.
      const next = this.#waiting.shift();
      if (next === undefined) this.#running--;
      else next();
    }
  }
}

/** The store that the header of this file describes. */
export class SampleStore {
  readonly #source: SampleSource;
  readonly #limiter: Limiter;
  readonly #capacity: number;
  /** Length of the longest requested batch: it and the batches ahead must fit, whatever the bound. */
  #longest = 0;
  /** The least recently used first. */
  readonly #ready = new Map<number, StoredSample>();
  readonly #loading = new Map<number, Promise<void>>();
  readonly #skipped = new Map<number, string>();

  constructor(source: SampleSource, options: SampleStoreOptions) {
    this.#source = source;
    this.#limiter = new Limiter(options.concurrency);
    this.#capacity = Math.max(1, Math.floor(options.memoryBytes / Math.max(1, source.sampleBytes)));
  }

  /** Returns the samples skipped so far. */
  skipped(): readonly SkippedSample[] {
    return [...this.#skipped]
      .sort(([a], [b]) => a - b)
      .map(([index, reason]) => ({ name: this.#source.name(index), reason }));
  }

  /** Number of samples in memory. */
  get size(): number {
    return this.#ready.size;
  }

  /** Marks a sample as unreadable. */
  skip(index: number, reason: string): void {
    this.#skipped.set(index, reason);
  }

  /**
   * Reads the samples that are not in memory.
   *
   * @throws InterruptedError when the signal aborts, FileFormatError when no sample at all can be read.
   */
  async prefetch(indices: Int32Array, signal?: AbortSignal): Promise<void> {
    if (indices.length > this.#longest) this.#longest = indices.length;
    const waiting: Promise<void>[] = [];
    for (const index of indices) {
      const stored = this.#ready.get(index);
      if (stored !== undefined) this.#keep(index, stored);
      else waiting.push(this.#start(index, signal));
    }
    await Promise.all(waiting);
  }

  /** @throws ConfigError when the sample was not prefetched. */
  get(index: number): StoredSample {
    const stored = this.#ready.get(index);
    if (stored !== undefined) return stored;
    throw new ConfigError(`sample ${index} is not in memory`, {
      remedy: "Await the data set's prefetch for these samples before readBatch.",
    });
  }

  #start(index: number, signal: AbortSignal | undefined): Promise<void> {
    const known = this.#loading.get(index);
    if (known !== undefined) return known;
    const promise = this.#obtain(index, signal)
      .then((stored) => this.#keep(index, stored))
      .finally(() => this.#loading.delete(index));
    this.#loading.set(index, promise);
    return promise;
  }

  /** Returns the sample, or the next readable one. */
  async #obtain(index: number, signal: AbortSignal | undefined): Promise<StoredSample> {
    const { count } = this.#source;
    for (let offset = 0; offset < count; offset++) {
      const candidate = (index + offset) % count;
      if (this.#skipped.has(candidate)) continue;
      const known = this.#ready.get(candidate);
      if (known?.index === candidate) return known;
      const loaded = await this.#limiter.run(() => {
        if (signal?.aborted) throw new InterruptedError("reading the data was stopped");
        return this.#source.load(candidate);
      });
      if ("samples" in loaded) return { samples: loaded.samples, index: candidate };
      this.#skipped.set(candidate, loaded.reason);
    }
    const [first] = this.skipped();
    throw new FileFormatError(`none of the ${count} samples can be read; the first: ${first?.reason ?? "none"}`, {
      ...(first === undefined ? {} : { where: first.name }),
      remedy: "Check that the contents of the files match their names.",
    });
  }

  #keep(index: number, stored: StoredSample): void {
    const capacity = Math.max(this.#capacity, 4 * this.#longest);
    if (capacity < this.#source.count) this.#ready.delete(index);
    this.#ready.set(index, stored);
    if (this.#ready.size <= capacity) return;
    for (const oldest of this.#ready.keys()) {
      if (this.#ready.size <= capacity) break;
      this.#ready.delete(oldest);
    }
  }
}
