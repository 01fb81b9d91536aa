// Claims that a token must have, as JWT_CLAIMS writes them: `iss=https://id.example aud=mqtt exp`.
// A name alone: the claim is there. A name may be a path, `realm_access.roles`; a claim that is a
// list has the value where one of its members is it; %u and %c stand for the user name of the
// CONNECT and the client identifier.

import type { Names } from '../filled-filter.ts';

export interface WantedClaim {
  readonly path: readonly string[];
  /** Undefined: any value. */
  readonly value: string | undefined;
}

/** Undefined: the text is not a list of claims. */
export function parseClaims(text: string): readonly WantedClaim[] | undefined {
  const claims: WantedClaim[] = [];
  for (const part of text.split(/\s+/u)) {
    if (part === '') continue;
    const at = part.indexOf('=');
    const name = at < 0 ? part : part.slice(0, at);
    const path = name.split('.');
    if (path.includes('')) return undefined;
    claims.push({ path, value: at < 0 ? undefined : part.slice(at + 1) });
  }
  return claims;
}

/** Name of the first claim that the payload lacks, or that has another value. */
export function missingClaim(
  payload: Readonly<Record<string, unknown>>,
  wanted: readonly WantedClaim[],
  names: Names,
): string | undefined {
  for (const { path, value } of wanted) {
    const claim = claimAt(payload, path);
    const name = path.join('.');
    if (claim === undefined || claim === null) return name;
    if (value !== undefined && !has(claim, value, names)) return name;
  }
  return undefined;
}

/** A claim of that very name counts before one that the path leads to. */
export function claimAt(
  payload: Readonly<Record<string, unknown>>,
  path: readonly string[],
): unknown {
  const name = path.join('.');
  if (Object.hasOwn(payload, name)) return payload[name];
  let value: unknown = payload;
  for (const step of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step))
      return undefined;
    value = (value as Record<string, unknown>)[step];
  }
  return value;
}

function has(claim: unknown, value: string, { user, clientId }: Names): boolean {
  // A name that is not known equals nothing.
  if (value.includes('%u') && user === undefined) return false;
  const wanted = value.replaceAll('%u', () => user ?? '').replaceAll('%c', () => clientId);
  const members: readonly unknown[] = Array.isArray(claim) ? claim : [claim];
  return members.some(
    (one) =>
      (typeof one === 'string' || typeof one === 'number' || typeof one === 'boolean') &&
      String(one) === wanted,
  );
}
