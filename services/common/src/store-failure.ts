/** A store could not do what was asked, or does not say whether it did. */
export class StoreFailure extends Error {
  override readonly name: string = 'StoreFailure';
  /** For the client (2.4 of 5.0). */
  readonly reasonCode: number;

  constructor(message: string, reasonCode: number, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.reasonCode = reasonCode;
  }
}
