// Access to the REST interface. With a token: whoever shows it. Without: this machine only, and
// only under a name that a page in a browser cannot point at it.
import { createHash, timingSafeEqual } from 'node:crypto';
import { isIP } from 'node:net';

import { isLoopback } from '@lmqtt/common/loopback';

export type Access = (authorization: string | undefined, host: string | undefined) => boolean;

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/** The host without port and brackets. */
function hostName(host: string): string {
  return host.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
}

export function restAccess(bind: string, token: string | null): Access {
  if (token !== null) {
    const wanted = digest(`Bearer ${token}`);
    return (authorization) => timingSafeEqual(digest(authorization ?? ''), wanted);
  }
  if (!isLoopback(bind)) return () => false;
  return (_authorization, host) => {
    const name = hostName(host ?? '');
    return name === 'localhost' || isIP(name) !== 0;
  };
}
