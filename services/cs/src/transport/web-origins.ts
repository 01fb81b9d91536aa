// Web pages that may open a WebSocket. A browser names the origin of the page in the field `Origin`
// (RFC 6455, section 10.2); other clients have no such field.
import { isIP } from 'node:net';

import { isLoopback } from '@lmqtt/common/loopback';
import type { WebPages } from '@lmqtt/common/settings/row';

/**
 * The host of an origin without port and brackets; undefined for `null`, which sandboxed pages and
 * files have.
 */
function hostOf(origin: string): string | undefined {
  if (!URL.canParse(origin)) return undefined;
  return new URL(origin).hostname.replace(/^\[(.*)\]$/, '$1');
}

export function mayOpen(pages: WebPages, origin: string | undefined): boolean {
  if (origin === undefined || pages === 'any') return true;
  if (pages !== 'local') return pages.includes(origin);
  const host = hostOf(origin) ?? '';
  // A name that only begins like an address is a name of somebody else.
  return (
    host === 'localhost' || host.endsWith('.localhost') || (isIP(host) !== 0 && isLoopback(host))
  );
}
