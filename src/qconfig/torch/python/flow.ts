/** How bodies of statements end: where one may leave its loop or function, and what is reported of a script while it runs. */
import { ConfigError, type SubbyteError } from "../../../errors.ts";
import type { TorchValue } from "../values.ts";
import type { At } from "./source.ts";
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

/** Receives what a script does while it runs. */
export interface Listener {
  /** `target.name = value` on an object. */
  assigned(object: TorchValue, name: string, value: TorchValue, at: At, path: string): void;
  /** An expression statement or an assigned name with a value. */
  kept(name: string, value: TorchValue, at: At): void;
  /** A statement that could not be evaluated, or parsed. */
  failed(error: SubbyteError, at: At): void;
  skipped(at: At, names: readonly string[]): void;
  imported(path: readonly string[]): TorchValue;
  importedName(module: string, name: string, at: At): TorchValue;
}
