import type { NodeId } from '@lmqtt/common/ids';
import type { RedisConnection, Reply } from '../../redis/connection.ts';
import type { Attempts } from './attempts.ts';
import type { SessionEntry } from './entry.ts';
import { list, text } from './fields.ts';
import type { SessionKeys } from './keys.ts';
import { noteHoldsMs, type SessionNotes } from './notes.ts';
import { scripts } from './scripts.ts';
import type { SessionWrites } from './writes.ts';
import type { Release } from '../session-store.ts';
import { neverS, type StoredSession } from '../stored-session.ts';

interface ReleasePorts {
  readonly redis: RedisConnection;
  readonly keys: SessionKeys;
  readonly ds: NodeId;
  readonly writes: SessionWrites;
  readonly notes: SessionNotes;
  readonly attempts: Attempts;
}

interface ReleaseAnswer {
  readonly waiting: string;
  readonly expiresAtMs: number;
}

/**
 * The end of a connection, behind all writes of its session; for as long as it takes. Undefined:
 * the session was another's.
 */
export async function releaseSession(
  ports: ReleasePorts,
  entry: SessionEntry,
  release: Release,
): Promise<ReleaseAnswer | undefined> {
  const { redis, keys, writes, notes, attempts } = ports;
  const { session } = entry;
  const { clientId, epoch, sessionExpiryS } = session;
  const dueMs = dueAfterMs(session, release);
  const sessionKeys = [keys.session(clientId), keys.wills(clientId)];
  let wasSent = false;
  const answer = await attempts.until(async () => {
    const noted =
      dueMs === undefined ? '' : String((await notes.note(clientId, undefined, dueMs)).atMs);
    if (entry.fenced) return 'fenced';
    if (!redis.up) return undefined;
    if (session.persistent) writes.push(entry);
    const versions = writes.nextVersions(entry);
    if (versions === undefined || (session.persistent && entry.dirty !== undefined)) {
      entry.broken = true;
      return undefined;
    }
    const args = [
      ...[String(epoch), ports.ds, versions.before, versions.version],
      ...[release.publishWill ? 1 : 0, sessionExpiryS, release.graceMs, noted, noteHoldsMs],
    ];
    let reply: Reply[];
    const again = wasSent;
    wasSent = true;
    entry.inFlight += 1;
    try {
      reply = list(await redis.callDurable(scripts.release, sessionKeys, args));
    } catch (error) {
      entry.broken = true;
      throw error;
    } finally {
      entry.inFlight -= 1;
    }
    switch (reply[0]) {
      case 'released':
        return { waiting: text(reply[1]), expiresAtMs: Number(reply[2]) };
      case 'late':
      case 'broken':
        entry.broken = true;
        return undefined;
      case 'gone':
      default:
        // The first of two attempts may have been done, with an answer that is not known.
        return again ? { waiting: '', expiresAtMs: 0 } : 'fenced';
    }
  });
  return answer === 'fenced' ? undefined : answer;
}

/** Undefined: nothing falls due by it. */
function dueAfterMs(session: StoredSession, release: Release): number | undefined {
  if (session.will !== 0 && release.publishWill) return release.graceMs > 0 ? release.graceMs : 0;
  const { sessionExpiryS } = session;
  return sessionExpiryS === 0 || sessionExpiryS === neverS ? undefined : sessionExpiryS * 1000;
}
