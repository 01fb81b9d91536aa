/** Whether the keep alive of a CONNECT, 0 for none, is past the maximum, 0 for none. */
export function isTooLong(keepAliveS: number, maximumS: number): boolean {
  return maximumS > 0 && (keepAliveS === 0 || keepAliveS > maximumS);
}
