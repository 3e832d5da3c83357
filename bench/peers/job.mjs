/** What the programs of bench/peers in JavaScript have in common: values of the job's file, and the clock around each step. */

/** @param {string} text Base64 of float32 values. */
export function float32(text) {
  return new Float32Array(new Uint8Array(Buffer.from(text, "base64")).buffer);
}

/** @param {string} text Base64 of int32 values. */
export function int32(text) {
  return new Int32Array(new Uint8Array(Buffer.from(text, "base64")).buffer);
}

/**
 * Runs the job's steps and prints the seconds, the processor's seconds and the loss of each.
 *
 * @param {{steps: number}} job
 * @param {(step: number) => Promise<number>} step From a batch in JavaScript to its loss in JavaScript.
 */
export async function clockedSteps({ steps }, step) {
  const seconds = [];
  const processor = [];
  const losses = [];
  for (let i = 0; i < steps; i++) {
    const start = performance.now();
    const before = process.cpuUsage();
    losses.push(await step(i));
    const { user, system } = process.cpuUsage(before);
    seconds.push((performance.now() - start) / 1000);
    processor.push((user + system) / 1e6);
  }
  console.log(JSON.stringify({ seconds, processor, losses }));
}
