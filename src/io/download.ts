/**
 * Downloads that arrive whole and right or not at all.
 *
 * A file is received into memory (data sets of this size are tens of megabytes), checked against the SHA-256 of its
 * unpacked contents, and only then written, atomically. When one URL fails the next is tried; the error names all.
 */
import { createHash } from "node:crypto";
import { InputOutputError, InterruptedError, SubbyteError } from "../errors.ts";
import { writeFileWithFolder } from "./atomic-file.ts";
import { isGzip, unpack } from "./gzip.ts";
import { describeSystemError } from "./system-error.ts";

/** How far a download has come. */
export interface DownloadProgress {
  readonly url: string;
  readonly receivedBytes: number;
  /** As the server says; the expected size when it says nothing. */
  readonly totalBytes: number;
}

/** What to download, from where, and how to verify it. */
export interface DownloadRequest {
  /** Tried in this order. */
  readonly urls: readonly string[];
  /** The file to write. */
  readonly path: string;
  /** SHA-256 of the contents, unpacked when they are gzip, in lower-case hexadecimal digits. */
  readonly sha256: string;
  /** Size of the file; a download is aborted when it exceeds twice this. */
  readonly expectedBytes: number;
  /** The remedy when no URL answers. */
  readonly remedy: string;
  readonly onProgress?: (progress: DownloadProgress) => void;
  readonly signal?: AbortSignal;
  /** Milliseconds without a byte after which the next URL is tried; default 30,000. */
  readonly stallTimeout?: number;
}

/** The failure of one URL, as opposed to an abort or an error of the disk. */
class DownloadFailure extends Error {}

/**
 * Downloads one file.
 *
 * @throws InputOutputError naming every URL with the reason of its failure, or the file when it cannot be written;
 *   InterruptedError when the signal aborts. The file is untouched then.
 */
export async function downloadVerified(request: DownloadRequest): Promise<void> {
  const failures: string[] = [];
  for (const url of request.urls) {
    try {
      const bytes = await receive(url, request);
      await verify(bytes, url, request.sha256);
      throwIfStopped(request.signal);
      await writeFileWithFolder(request.path, bytes);
      return;
    } catch (error) {
      throwIfStopped(request.signal);
      if (error instanceof SubbyteError) throw error;
      const reason = error instanceof DownloadFailure ? error.message : describeSystemError(error).reason;
      failures.push(`  ${url}: ${reason}`);
    }
  }
  throw new InputOutputError(`the file could not be downloaded:\n${failures.join("\n")}`, {
    where: request.path,
    remedy: request.remedy,
  });
}

/** The bytes behind a URL. */
async function receive(url: string, request: DownloadRequest): Promise<Uint8Array> {
  const { onProgress, signal, expectedBytes, stallTimeout = 30_000 } = request;
  const controller = new AbortController();
  const stop = () => controller.abort(new InterruptedError("the download was stopped"));
  const stall = () => controller.abort(new DownloadFailure(`nothing was received for ${stallTimeout / 1000} s`));
  if (signal?.aborted) stop();
  signal?.addEventListener("abort", stop, { once: true });
  let timer = setTimeout(stall, stallTimeout);
  try {
    // Without gzip as transfer encoding the server sends the file as it is.
    const response = await fetch(url, { signal: controller.signal, headers: { "accept-encoding": "identity" } });
    if (!response.ok) throw new DownloadFailure(`the server answered ${response.status} ${response.statusText}`.trim());
    const announced = Number(response.headers.get("content-length") ?? Number.NaN);
    const totalBytes = announced > 0 ? announced : expectedBytes;
    const parts: Uint8Array[] = [];
    let receivedBytes = 0;
    const body: AsyncIterable<Uint8Array> | null = response.body;
    for await (const part of body ?? []) {
      clearTimeout(timer);
      timer = setTimeout(stall, stallTimeout);
      parts.push(part);
      receivedBytes += part.length;
      if (receivedBytes > 2 * expectedBytes) {
        throw new DownloadFailure(`more than ${2 * expectedBytes} bytes were sent, expected about ${expectedBytes}`);
      }
      onProgress?.({ url, receivedBytes, totalBytes });
    }
    return Buffer.concat(parts);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", stop);
    controller.abort();
  }
}

async function verify(bytes: Uint8Array, url: string, sha256: string): Promise<void> {
  let contents = bytes;
  try {
    if (isGzip(bytes)) contents = await unpack(bytes, url);
  } catch (error) {
    throw new DownloadFailure(error instanceof Error ? error.message : String(error));
  }
  const found = createHash("sha256").update(contents).digest("hex");
  if (found !== sha256) {
    throw new DownloadFailure(`the checksum is wrong: SHA-256 of the contents is ${found}, expected ${sha256}`);
  }
}

function throwIfStopped(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new InterruptedError("the download was stopped");
}
