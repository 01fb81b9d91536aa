/**
 * A call that no ds has answered, because the lease has ended or another ds took over. What it
 * asked for may be asked for again.
 */
export class LinkLost extends Error {
  override readonly name: string = 'LinkLost';
}
