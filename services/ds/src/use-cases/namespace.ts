// The namespace of a client that connects: its prefix goes into its principal, and before the topics of
// its will. The topics of its packets have it already: its cs puts it there.
import type { ClientId } from '@lmqtt/common/ids';
import { mountOf } from '@lmqtt/common/mount';
import { mountedMessage } from '@lmqtt/common/mounted-message';
import type { Peer, Will } from '@lmqtt/proto/link';
import type { Principal } from '../auth/auth-provider.ts';

/** undefined: its names make no namespace of the template of its listener. */
export function mountedPrincipal(
  principal: Principal,
  clientId: ClientId,
  { mount: template }: Peer,
): Principal | undefined {
  if (template === undefined) return principal;
  const mount = mountOf(template, { user: principal.user, clientId });
  return mount === undefined ? undefined : { ...principal, mount };
}

/** undefined: a topic of the will is no topic of a client. */
export function mountedWill(mount: string | undefined, will: Will): Will | undefined {
  if (mount === undefined) return will;
  const message = mountedMessage(mount, will.message);
  return message && { ...will, message };
}
