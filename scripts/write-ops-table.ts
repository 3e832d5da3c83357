/**
 * Writes docs/OPS.md from what the registries say.
 *
 *     npx tsx scripts/write-ops-table.ts
 */

import { writeFileSync } from "node:fs";
import { operatorTable } from "../test/support/onnx/operator-document.ts";

writeFileSync(new URL("../docs/OPS.md", import.meta.url), operatorTable());
