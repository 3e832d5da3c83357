/** What `subbyte demo` does. */

import { UnsupportedError } from "../../errors.ts";
import type { DemoFlags } from "../flags.ts";

/** Trains in float, then twice with few bits, and prints the table that compares them. */
export async function demo(_flags: DemoFlags): Promise<void> {
  throw new UnsupportedError("the demo is not built yet");
}
