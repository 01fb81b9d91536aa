import { type ClientId, clientId as clientIdOf, csOfLane, type NodeId } from '@lmqtt/common/ids';
import type { Argument, RedisConnection } from '../../redis/connection.ts';
import { failureOf } from './attempts.ts';
import { list, text } from './fields.ts';
import type { HeldSessions } from './held.ts';
import type { SessionKeys } from './keys.ts';
import { noteHoldsMs, type SessionNotes } from './notes.ts';
import { scripts } from './scripts.ts';
import type { Held, Judgement } from '../session-store.ts';

const pageEntries = 500;
/** As long as DS_LOST_MS may be: so long may a cs keep its connections without a lease. */
const presentMs = 3_600_000;

/** Ends of connections whose node has ended, or does not answer. Rejects as the store does. */
export class NodeEnds {
  readonly #redis: RedisConnection;
  readonly #keys: SessionKeys;
  readonly #notes: SessionNotes;
  readonly #held: HeldSessions;

  constructor(redis: RedisConnection, keys: SessionKeys, notes: SessionNotes, held: HeldSessions) {
    this.#redis = redis;
    this.#keys = keys;
    this.#notes = notes;
    this.#held = held;
  }

  /** A connection that nobody answers for: ended as one that was lost, if it is still that one. */
  async endHeld({ clientId, epoch, node }: Held): Promise<void> {
    try {
      const nowMs = Math.ceil(await this.#timeMs());
      await this.#notes.noteDue([clientId]);
      const args = [csOfLane(node), nowMs, nowMs, 0, 0, 2 * noteHoldsMs, presentMs, String(epoch)];
      await this.#endConnection(clientId, args);
    } catch (error) {
      throw failureOf(error);
    }
  }

  /**
   * The connections of a node that ended. An entry of the node's list goes when its session was
   * seen to, so that whoever begins anew has the rest before him.
   */
  async end(
    node: NodeId,
    graceMs: number,
    judgement: Judgement | undefined,
    told?: (clientIds: ClientId[]) => Promise<void>,
  ): Promise<void> {
    try {
      const cs = csOfLane(node);
      const nowMs = Math.floor(await this.#timeMs());
      const ended = judgement ?? { atMs: nowMs, leaseEndedAtMs: nowMs };
      while (await this.#endPage(cs, nowMs, graceMs, ended, told));
    } catch (error) {
      throw failureOf(error);
    }
  }

  /** False: there was none. */
  async #endPage(
    cs: NodeId,
    nowMs: number,
    graceMs: number,
    { atMs, leaseEndedAtMs }: Judgement,
    told: ((clientIds: ClientId[]) => Promise<void>) | undefined,
  ): Promise<boolean> {
    const sessionsKey = this.#keys.sessionsOf(cs);
    const limit = ['WITHSCORES', 'LIMIT', 0, pageEntries] as const;
    const page = list(
      await this.#redis.command('ZRANGEBYSCORE', sessionsKey, '-inf', String(atMs), ...limit),
    );
    if (page.length === 0) return false;
    const seen: { client: string; score: string }[] = [];
    for (let at = 0; at < page.length; at += 2)
      seen.push({ client: text(page[at]), score: text(page[at + 1]) });
    await this.#notes.noteDue(seen.map(({ client }) => clientIdOf(client)));
    const ended: ClientId[] = [];
    await Promise.all(
      seen.map(async ({ client, score }) => {
        const underWay = Number(score) > nowMs - noteHoldsMs ? 1 : 0;
        const args = [cs, atMs, leaseEndedAtMs, graceMs, underWay, 2 * noteHoldsMs, presentMs, ''];
        const id = clientIdOf(client);
        if (await this.#endConnection(id, args)) ended.push(id);
      }),
    );
    if (ended.length > 0) await told?.(ended);
    const args = seen.flatMap(({ client, score }) => [1, client, score]);
    await this.#redis.callDurable(scripts.unnote, [sessionsKey], args);
    return true;
  }

  /** False: it was not connected there. */
  async #endConnection(clientId: ClientId, args: readonly Argument[]): Promise<boolean> {
    const keys = this.#keys;
    const reply = await this.#redis.callDurable(
      scripts.endConnection,
      [keys.session(clientId), keys.wills(clientId), keys.nodeEnd(clientId)],
      args,
    );
    this.#held.tell(clientId, text(list(reply)[1]));
    return list(reply)[0] === 1;
  }

  /** By the clock of Redis. */
  async #timeMs(): Promise<number> {
    const time = list(await this.#redis.command('TIME'));
    return Number(time[0]) * 1000 + Number(time[1]) / 1000;
  }
}
