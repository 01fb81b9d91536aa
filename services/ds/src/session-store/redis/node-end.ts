import { clientId as clientIdOf, csOfLane, type NodeId } from '@lmqtt/common/ids';
import type { RedisConnection } from '../../redis/connection.ts';
import { list, text } from './fields.ts';
import type { HeldSessions } from './held.ts';
import type { SessionKeys } from './keys.ts';
import { noteHoldsMs, type SessionNotes } from './notes.ts';
import { scripts } from './scripts.ts';
import type { Held, Judgement } from '../session-store.ts';

const pageEntries = 500;
/** As long as DS_LOST_MS may be: so long may a cs keep its connections without a lease. */
const presentMs = 3_600_000;

/** A connection that nobody answers for: ended as one that was lost, if it is still that one. */
export async function endHeldConnection(
  redis: RedisConnection,
  keys: SessionKeys,
  notes: SessionNotes,
  held: HeldSessions,
  { clientId, epoch, node }: Held,
): Promise<void> {
  const time = list(await redis.command('TIME'));
  const nowMs = Number(time[0]) * 1000 + Math.ceil(Number(time[1]) / 1000);
  await notes.noteDue([clientId]);
  const reply = await redis.callDurable(
    scripts.endConnection,
    [keys.session(clientId), keys.wills(clientId), keys.nodeEnd(clientId)],
    [csOfLane(node), nowMs, nowMs, 0, 0, 2 * noteHoldsMs, presentMs, String(epoch)],
  );
  held.tell(clientId, text(list(reply)[1]));
}

/**
 * The connections of a node that ended. An entry of the node's list goes when its session was
 * seen to, so that whoever begins anew has the rest before him.
 */
export async function endConnections(
  redis: RedisConnection,
  keys: SessionKeys,
  notes: SessionNotes,
  held: HeldSessions,
  node: NodeId,
  graceMs: number,
  judgement: Judgement | undefined,
): Promise<void> {
  const cs = csOfLane(node);
  const sessionsKey = keys.sessionsOf(cs);
  const time = list(await redis.command('TIME'));
  const nowMs = Number(time[0]) * 1000 + Math.floor(Number(time[1]) / 1000);
  const { atMs, leaseEndedAtMs } = judgement ?? { atMs: nowMs, leaseEndedAtMs: nowMs };
  for (;;) {
    const limit = ['WITHSCORES', 'LIMIT', 0, pageEntries] as const;
    const page = list(
      await redis.command('ZRANGEBYSCORE', sessionsKey, '-inf', String(atMs), ...limit),
    );
    if (page.length === 0) return;
    const seen: { client: string; score: string }[] = [];
    for (let at = 0; at < page.length; at += 2)
      seen.push({ client: text(page[at]), score: text(page[at + 1]) });
    await notes.noteDue(seen.map(({ client }) => clientIdOf(client)));
    await Promise.all(
      seen.map(async ({ client, score }) => {
        const id = clientIdOf(client);
        const underWay = Number(score) > nowMs - noteHoldsMs ? 1 : 0;
        const reply = await redis.callDurable(
          scripts.endConnection,
          [keys.session(id), keys.wills(id), keys.nodeEnd(id)],
          [cs, atMs, leaseEndedAtMs, graceMs, underWay, 2 * noteHoldsMs, presentMs, ''],
        );
        held.tell(id, text(list(reply)[1]));
      }),
    );
    const args = seen.flatMap(({ client, score }) => [1, client, score]);
    await redis.callDurable(scripts.unnote, [sessionsKey], args);
  }
}
