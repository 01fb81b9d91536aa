/** What came is no frame of ours: the stream that it came by cannot go on. */
export class WireError extends Error {
  override readonly name: string = 'WireError';
}
