/** Knowledge about the batch while a file is read. */

/** The batch size while a file is read. */
export interface BatchBinding {
  /** The size that the network's values have while the file is read. Nothing is decided by it. */
  readonly size: number;
  /** The batch size that the file was written for, where it states one and is read for any. */
  readonly stated?: number;
}
