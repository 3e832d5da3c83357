/** The source of the initial values of parameters: any source of uniform and normal numbers, as base/random.ts has. */
export interface InitialRandom {
  /** In [0, 1). */
  uniform(): number;
  /** Mean 0, deviation 1. */
  normal(): number;
}
