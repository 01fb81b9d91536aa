/** Bytes that are no frame of ours: the stream by which they came cannot go on. */
export class WireError extends Error {
  override readonly name: string = 'WireError';
}
