/** What `subbyte eval` does. */

import { UnsupportedError } from "../../errors.ts";
import type { EvalFlags } from "../flags.ts";

/** Measures the network of a run. */
export async function evaluate(run: string, _flags: EvalFlags): Promise<void> {
  throw new UnsupportedError("evaluation is not built yet", { where: run });
}
