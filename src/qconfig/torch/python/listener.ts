/** What the runner of a script reports. */
import type { SubbyteError } from "../../../errors.ts";
import type { TorchValue } from "../values.ts";
import type { At } from "./source.ts";

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
