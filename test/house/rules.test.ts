/** The rules of the house, each with a list of what still breaks it. The lists may only shrink: npm run house:shrink. */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { repositoryRoot } from "../support/repository.ts";
import { excess, listPath, readAllowance } from "./rules/allow-list.ts";
import { openHouse, rules } from "./rules/rules.ts";

/** Whether the key of a list, a path or the exported name of two rooms, still names something. */
function exists(key: string): boolean {
  return !key.includes("/") || key.endsWith("-") || existsSync(join(repositoryRoot, key));
}

describe("the house", () => {
  const house = openHouse();

  it.each(rules)("$name: $says", ({ name, says, find }) => {
    const beyond = excess(name, find(house), readAllowance(name), exists);
    expect(beyond, `${says}\n${beyond.join("\n")}\n(${listPath(name)})`).toEqual([]);
  });
});
