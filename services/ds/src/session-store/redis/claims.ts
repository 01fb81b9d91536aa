import { type ClientId, csOfLane, epoch as epochOf, type NodeId } from '@lmqtt/common/ids';
import type { RedisConnection, Reply } from '../../redis/connection.ts';
import { RedisUnavailable } from '../../redis/failure.ts';
import { type Attempts, failureOf, unavailable } from './attempts.ts';
import type { RedisSessionCounts, Room } from './counts.ts';
import { list, text, userText } from './fields.ts';
import type { HeldSessions } from './held.ts';
import type { SessionKeys } from './keys.ts';
import { type Note, noteHoldsMs, type SessionNotes } from './notes.ts';
import { scripts } from './scripts.ts';
import type { SessionsLimit } from '../session-counts.ts';
import { willRecord } from '../session-record.ts';
import type { Claim, ClaimRefused, Held } from '../session-store.ts';
import { neverS } from '../stored-session.ts';

/** A note that came too late, and a due time that had to be noted first. */
const triesMax = 4;

interface ClaimPorts {
  readonly redis: RedisConnection;
  readonly keys: SessionKeys;
  readonly ds: NodeId;
  readonly notes: SessionNotes;
  readonly held: HeldSessions;
  readonly counts: RedisSessionCounts;
  readonly attempts: Attempts;
  /** Sends the writes of this ds that wait for the client, so that they come before the claim. */
  flush(clientId: ClientId): void;
}

/** The script's answer to a claim that is done. */
interface ClaimDone {
  readonly note: Note;
  readonly reply: Reply[];
  /** Place in the count of stored sessions; undefined: the session is not stored. */
  readonly room: Room | undefined;
}

/**
 * Claims as Redis sees them: noted before, with a place in the count of stored sessions, and undone
 * in the background where the answer did not come.
 */
export class RedisClaims {
  readonly #ports: ClaimPorts;

  constructor(ports: ClaimPorts) {
    this.#ports = ports;
  }

  async claim(claim: Claim): Promise<ClaimDone | Held | ClaimRefused> {
    const { clientId } = claim;
    const { notes, counts } = this.#ports;
    const cs = csOfLane(claim.node);
    const asked = claim.sessionExpiryS > 0 ? this.#roomFor(claim) : undefined;
    asked?.catch(() => undefined);
    const [note, reply] = await this.noted(
      clientId,
      cs,
      async (noted, due) => this.#send(claim, cs, noted, due, (await asked)?.full),
      (noted) => this.#undo(claim, noted),
    );
    const room = await asked;
    if (reply[0] === 'refused' || reply[0] === 'full') {
      // The note of a connection there, which stays, has been replaced by that of the claim.
      const node = text(reply[1]) as NodeId;
      if (csOfLane(node) !== cs) notes.unnote(clientId, cs, note.score);
      if (room?.isFresh === true) counts.set(clientId, undefined);
      if (reply[0] === 'full' && room?.full !== undefined)
        return { kind: 'refused', reason: room.full };
      const refused = { kind: 'refused', reason: 'other user' } as const;
      return Number(reply[2]) === 1 ? { ...refused, whileConnected: true } : refused;
    }
    if (reply[0] === 'held') {
      notes.unnote(clientId, cs, note.score);
      const [epoch, node, handle] = [Number(reply[1]), text(reply[2]), Number(reply[3])];
      return {
        kind: 'held',
        clientId,
        epoch: epochOf(epoch),
        node: node as Held['node'],
        handle: handle as Held['handle'],
      };
    }
    return { note, reply, room };
  }

  /** Notes where it may be, then changes it; again where a due time has to be noted first. */
  async noted(
    clientId: ClientId,
    cs: NodeId,
    change: (noted: number, due: boolean) => Promise<Reply>,
    undo?: (note: Note) => void,
  ): Promise<[Note, Reply[]]> {
    let due = false;
    for (let tries = 1; ; tries += 1) {
      let note: Note | undefined;
      try {
        note = await this.#ports.notes.note(clientId, cs, due ? 0 : undefined);
        const reply = list(await change(note.atMs, due));
        if (reply[0] === 'due first') due = true;
        else if (reply[0] !== 'late') return [note, reply];
      } catch (error) {
        const unknown = error instanceof RedisUnavailable && error.outcome === 'unknown';
        if (note !== undefined && unknown) undo?.(note);
        throw failureOf(error);
      }
      if (tries === triesMax) throw unavailable('the session cannot be claimed in time');
    }
  }

  #send(
    claim: Claim,
    cs: NodeId,
    noted: number,
    due: boolean,
    full: SessionsLimit | undefined,
  ): Promise<Reply> {
    const { clientId, will } = claim;
    this.#ports.flush(clientId);
    const record = will === undefined ? '' : JSON.stringify(willRecord(0, 0, will, 0, false));
    return this.#ports.redis.callDurable(
      scripts.claim,
      [
        this.#ports.keys.session(clientId),
        this.#ports.keys.wills(clientId),
        this.#ports.keys.lastEpoch(clientId),
        this.#ports.keys.nodeEnd(clientId),
      ],
      [
        ...[this.#ports.ds, claim.node, cs, claim.handle, claim.cleanStart ? 1 : 0],
        ...[claim.sessionExpiryS, noted, noteHoldsMs, due ? 1 : 0],
        ...[record, will?.will.delayS ?? 0],
        ...[userText(claim.user), claim.userChange === 'refuse' ? 1 : 0, full ?? ''],
      ],
    );
  }

  async #roomFor({ clientId, user }: Claim): Promise<Room> {
    try {
      return await this.#ports.counts.ask(clientId, user);
    } catch (error) {
      throw failureOf(error);
    }
  }

  /** The client was told that it is not connected; the claim may yet be done. */
  #undo({ clientId, node, handle, sessionExpiryS }: Claim, note: Note): void {
    const keys = [this.#ports.keys.session(clientId), this.#ports.keys.wills(clientId)];
    const dueMs =
      sessionExpiryS === 0 || sessionExpiryS === neverS ? undefined : sessionExpiryS * 1000;
    this.#ports.attempts
      .until(async () => {
        if (dueMs !== undefined) await this.#ports.notes.note(clientId, undefined, dueMs);
        const reply = list(
          await this.#ports.redis.callDurable(scripts.undoClaim, keys, [
            this.#ports.ds,
            node,
            handle,
          ]),
        );
        this.#ports.held.tell(clientId, text(reply[1]));
        const leftMs = note.atMs + noteHoldsMs - Number(reply[0]);
        if (leftMs < 0) return true;
        await this.#ports.attempts.pause(leftMs + 1);
        return undefined;
      })
      .then(
        () => this.#ports.notes.unnote(clientId, csOfLane(node), note.score),
        () => undefined,
      );
  }
}
