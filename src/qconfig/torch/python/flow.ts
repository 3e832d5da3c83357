/** How bodies of statements end: where one may leave its loop or function, and what a loop makes of it. */
import { ConfigError } from "../../../errors.ts";
import type { BodyOutcome } from "./state.ts";
import type { Body } from "./syntax.ts";

/** Ends the evaluation of a script that takes too many steps. */
export class TooManySteps extends ConfigError {}

/** How a statement ends; `final`: with everything that follows it in its body. */
export type Step = BodyOutcome | { readonly final: BodyOutcome } | undefined;

/** The outcome of a loop that may run any number of times: an iteration that ends in any way ends with what follows the loop. */
export function loopOutcome(outcome: BodyOutcome): BodyOutcome {
  const { next, break: stopped, continue: again, ...rest } = outcome;
  return next === undefined && stopped === undefined && again === undefined ? rest : { ...rest, next: true };
}

/** Whether a body may end its loop or function. */
export function mayLeave(body: Body): boolean {
  return body.some((statement) => {
    switch (statement.kind) {
      case "return":
      case "break":
      case "continue":
      case "raise":
        return true;
      case "if":
        return mayLeave(statement.whenTrue) || mayLeave(statement.otherwise);
      case "with":
        return mayLeave(statement.body);
      case "try":
        return mayLeave([...statement.body, ...statement.finalBody]);
      case "for":
      case "while":
        return mayLeave(statement.body.filter(({ kind }) => kind !== "break" && kind !== "continue"));
      default:
        return false;
    }
  });
}
