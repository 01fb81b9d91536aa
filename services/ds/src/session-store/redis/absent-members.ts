import { type ClientId, type Epoch, type GroupId, type NodeId, nodeId } from '@lmqtt/common/ids';
import type { AbsentMembers, MemberOut, MemberState } from '../../group-store/absent-members.ts';
import type { RedisConnection, Reply } from '../../redis/connection.ts';
import type { RedisKeys } from '../../redis/keys.ts';
import { loadScript } from '../../redis/script.ts';
import { unavailable } from './attempts.ts';
import { list, sessionOverTurns, text } from './fields.ts';
import { SessionKeys } from './keys.ts';

const takeOut = loadScript(import.meta.dirname, 'take-out');

/** The ds whose writes are taken. */
function homeOf(record: Reply[]): NodeId | undefined {
  for (let at = 0; at < record.length; at += 2)
    if (record[at] === 'H') return nodeId(text(record[at + 1]));
  return undefined;
}

/** Members as their sessions are stored in Redis. */
export class RedisAbsentMembers implements AbsentMembers {
  readonly #redis: RedisConnection;
  readonly #keys: SessionKeys;

  constructor(redis: RedisConnection, keys: RedisKeys) {
    this.#redis = redis;
    this.#keys = new SessionKeys(keys);
  }

  async look(member: ClientId, group: GroupId): Promise<MemberState | undefined> {
    const key = this.#keys.session(member);
    const reply = await this.#redis.command('HGETALL', key).catch((error: unknown) => {
      throw unavailable('a member of a group cannot be read', error);
    });
    const record = list(reply);
    const session = await sessionOverTurns(member, record);
    if (session === undefined) return undefined;
    const outs: MemberOut[] = [];
    for (const { packetId, qos, place } of session.outbound) {
      if (place.kind !== 'group' || place.group !== group) continue;
      outs.push({ packetId, qos, partition: place.partition, offset: place.offset });
    }
    const { epoch, connected, persistent, subscriptions } = session;
    const subscribed = !persistent || subscriptions.some((one) => one.group === group);
    return { epoch, connected, home: homeOf(record), subscribed, outs };
  }

  async takeOut(member: ClientId, epoch: Epoch, packetIds: readonly number[]): Promise<boolean> {
    const args = [String(epoch), ...packetIds.map((packetId) => `o${packetId}`)];
    try {
      const key = this.#keys.session(member);
      return (await this.#redis.callDurable(takeOut, [key], args)) === 1;
    } catch (error) {
      throw unavailable('a member of a group cannot be written', error);
    }
  }
}
