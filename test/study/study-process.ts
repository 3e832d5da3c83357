/** A study in a process of its own, for tests that kill it: node --import tsx study-process.ts FOLDER CONFIG. */

import { resolveStudyConfig } from "../../src/study/plan/config.ts";
import { runStudy } from "../../src/study/run-study.ts";

const [folder = "", text = ""] = process.argv.slice(2);
const config = resolveStudyConfig({ name: "killed", text });
const { result } = await runStudy({ folder, config });
process.stdout.write(`${JSON.stringify(result.counts)}\n`);
