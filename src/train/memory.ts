/** Memory figures of the operating system. */

/** The most memory that this process has had at once, in bytes. */
export function peakMemory(): number {
  return process.resourceUsage().maxRSS * 1024;
}
