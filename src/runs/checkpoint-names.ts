/** The names of a run's checkpoints. */

/** The name of the checkpoint that a run is resumed from. */
export const lastCheckpoint = "last.safetensors";
/** The name of the checkpoint before the last one, for the case that the last is damaged. */
export const previousCheckpoint = "previous.safetensors";
/** The file name of the checkpoint with the best test score. */
export const bestCheckpoint = "best.safetensors";
