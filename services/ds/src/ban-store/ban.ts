export const banKinds = ['client', 'user', 'address'] as const;
export type BanKind = (typeof banKinds)[number];

export interface Ban {
  readonly kind: BanKind;
  /**
   * Client identifier, name of a user, or an address or network as `networkText` writes it.
   */
  readonly who: string;
  readonly reason: string;
  /** Name of the token of the operator, or `flapping`. */
  readonly by: string;
  /** Clock of the store. */
  readonly createdAtMs: number;
  /** Clock of the store; null: the ban has no end. */
  readonly endsAtMs: number | null;
}

/** The key of a ban: kinds have no space. */
export function banKey({ kind, who }: Pick<Ban, 'kind' | 'who'>): string {
  return `${kind} ${who}`;
}

/** Whether the ban has not ended. */
export function isInForce({ endsAtMs }: Ban, nowMs: number): boolean {
  return endsAtMs === null || endsAtMs > nowMs;
}
