import { createHash } from 'node:crypto';

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

const whoInKeyMax = 256;

/**
 * The key of a ban, of at most 1,000 bytes and without U+0000: stores have limits for keys. Kinds
 * have neither space nor number sign, so no name is taken for a hash.
 */
export function banKey({ kind, who }: Pick<Ban, 'kind' | 'who'>): string {
  return who.length <= whoInKeyMax && !who.includes('\0')
    ? `${kind} ${who}`
    : `${kind}# ${createHash('sha256').update(who).digest('base64')}`;
}

/** Whether the ban has not ended. */
export function isInForce({ endsAtMs }: Ban, nowMs: number): boolean {
  return endsAtMs === null || endsAtMs > nowMs;
}
