// Access to the REST interface. With tokens: whoever shows one, as far as its role goes. Without:
// this machine only, and only under a name that a page in a browser cannot point at it.
import { timingSafeEqual } from 'node:crypto';
import { isIP } from 'node:net';

import { isLoopback } from '@lmqtt/common/loopback';

import { hashOf, type Role, roles, type TokenFile } from './tokens.ts';

/** Whoever asks. */
export interface Caller {
  /** Name of the token; for the log. */
  readonly name: string;
  readonly role: Role;
  /** The user whose access rules count for what the caller publishes; `null`: none count. */
  readonly user: string | null;
  /** Address, and the node that has passed the request on. */
  readonly address: string;
}

interface Shown {
  readonly authorization: string | undefined;
  readonly host: string | undefined;
  readonly address: string;
}

/** `null`: nobody who may come in. */
export type Access = (shown: Shown) => Caller | null;

interface AccessOptions {
  readonly bind: string;
  /** A token that may everything. */
  readonly token: string | null;
  readonly file: TokenFile | undefined;
}

/** The host without port and brackets. */
function hostName(host: string): string {
  return host.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
}

export function restAccess({ bind, token, file }: AccessOptions): Access {
  if (token !== null || file !== undefined) {
    const wanted = token === null ? undefined : hashOf(token);
    return ({ authorization, address }) => {
      const shown = /^Bearer +(\S+) *$/i.exec(authorization ?? '')?.[1] ?? '';
      if (wanted !== undefined && timingSafeEqual(hashOf(shown), wanted))
        return { name: 'OPS_TOKEN', role: 'admin', user: null, address };
      const found = file?.find(shown);
      return found === undefined
        ? null
        : { name: found.name, role: found.role, user: found.name, address };
    };
  }
  if (!isLoopback(bind)) return () => null;
  return ({ host, address }) => {
    const name = hostName(host ?? '');
    if (name !== 'localhost' && isIP(name) === 0) return null;
    return { name: 'loopback', role: 'admin', user: null, address };
  };
}

export function mayDo(role: Role, needed: Role): boolean {
  return roles.indexOf(role) >= roles.indexOf(needed);
}
