/** Pauses of a long measurement, in which signals and timers get their turn. */

import { setImmediate } from "node:timers/promises";
import { InterruptedError } from "../../errors.ts";

/** Lets the signal arrive: without a pause a Ctrl-C waits until all work is done. @throws InterruptedError when it has. */
export async function giveTurn(signal: AbortSignal | undefined): Promise<void> {
  await setImmediate();
  // There is no partial result to resume from.
  if (signal?.aborted === true) throw new InterruptedError("the measurement was stopped");
}
