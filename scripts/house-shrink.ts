/**
 * Rewrites the allow-lists of test/house to the present counts. Refuses where a total would grow.
 *
 *     npm run house:shrink
 */
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { listPath, shrinkList } from "../test/house/rules/allow-list.ts";
import { openHouse, rules } from "../test/house/rules/rules.ts";
import { repositoryRoot } from "../test/support/repository.ts";

const grow = process.argv.includes("--grow");
const house = openHouse();
for (const { name, says, find } of rules) {
  const path = join(repositoryRoot, listPath(name));
  if (!existsSync(path)) writeFileSync(path, "");
  console.log(shrinkList(name, says, find(house), grow));
}
