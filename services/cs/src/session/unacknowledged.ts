import { retryDelay } from '@lmqtt/common/retry-delay';
import type { Message } from '@lmqtt/common/message';
import { withhold } from './acknowledgement.ts';
import type { OutboundSession } from './outbound-session.ts';
import { resend } from './sending.ts';
import { giveUp } from './undelivered.ts';
import type { Inflight } from './window.ts';

const readBytesMax = 1 << 20;

interface Try {
  tries: number;
  /** Monotonic. */
  dueMs: number;
}

/** A session that may be sent a second copy on the same connection: of MQTT 3.1 or 3.1.1. */
interface Resendable extends OutboundSession {
  /** True while messages that were in flight on the previous connection go out again. */
  readonly redelivers: boolean;
}

/**
 * The QoS 1 messages of one session that its client does not acknowledge: sent again with DUP, later
 * each time, and given up in the end. Looked at from a timer, so that sending itself costs nothing;
 * the first time counts from the first look.
 */
export class Unacknowledged {
  readonly #session: Resendable;
  readonly #tries: Map<Inflight, Try> = new Map();
  #busy = false;

  constructor(session: Resendable) {
    this.#session = session;
  }

  /** `resent` is told of each message that goes out again. */
  look(nowMs: number, intervalMs: number, triesMax: number, resent: () => void): void {
    const session = this.#session;
    const tries = this.#tries;
    if (this.#busy || session.redelivers || !session.outlet.writable) return;
    for (const inflight of tries.keys()) if (!isOpen(session, inflight)) tries.delete(inflight);
    const due: Inflight[] = [];
    for (const inflight of session.window.entries()) {
      if (!isOpen(session, inflight)) continue;
      const known = tries.get(inflight);
      if (known === undefined) tries.set(inflight, { tries: 1, dueMs: nowMs + intervalMs });
      else if (known.dueMs <= nowMs) due.push(inflight);
    }
    if (due.length === 0) return;
    this.#busy = true;
    due.sort((a, b) => a.sequence - b.sequence);
    void this.#sendAll(due, nowMs, intervalMs, triesMax, resent).finally(() => {
      this.#busy = false;
    });
  }

  /** One after the other, in the order of their first sending. */
  async #sendAll(
    due: readonly Inflight[],
    nowMs: number,
    intervalMs: number,
    triesMax: number,
    resent: () => void,
  ): Promise<void> {
    const session = this.#session;
    const tries = this.#tries;
    for (const inflight of due) {
      const known = tries.get(inflight);
      if (known === undefined || session.closed) return;
      if (known.tries >= triesMax) {
        tries.delete(inflight);
        giveUp(session, inflight, 'unacknowledged', 0, known.tries);
        continue;
      }
      // A store that does not answer is asked again at the next look.
      const message = await read(session, inflight).catch(() => undefined);
      if (message === undefined || !isOpen(session, inflight) || !session.outlet.writable) continue;
      known.tries += 1;
      known.dueMs = nowMs + retryDelay(known.tries, intervalMs);
      if (session.rights?.allows(message.topic) === false) {
        withhold(session, inflight);
        continue;
      }
      resent();
      const isRetained = inflight.place?.kind === 'retained';
      const options = session.subscriptions.get(inflight.filter)?.options;
      const retain = isRetained || (options?.retainAsPublished === true && message.retain);
      resend(session, inflight, message, retain, undefined);
    }
  }
}

function isOpen(session: OutboundSession, inflight: Inflight): boolean {
  if (inflight.qos !== 1 || inflight.state !== 'sent') return false;
  return !session.closed && session.window.get(inflight.packetId) === inflight;
}

async function read(session: OutboundSession, inflight: Inflight): Promise<Message | undefined> {
  const place = inflight.place ?? inflight.origin?.placeOf(inflight.offset);
  if (place === undefined) return undefined;
  const { node, handle } = session;
  if (place.kind === 'retained') {
    const { messages } = await node.readRetained({
      session: handle,
      filter: inflight.filter,
      after: '',
      messagesMax: 1,
      bytesMax: readBytesMax,
      version: { topic: place.topic, orderKey: place.orderKey },
    });
    return messages[0];
  }
  const { queue, partition, offset } = place;
  const request = { queue, partition, from: offset, messagesMax: 1, bytesMax: readBytesMax };
  const { messages } = await node.readQueue(request);
  return messages.find(({ entries }) =>
    entries.some(
      (entry) => entry.queue === queue && entry.partition === partition && entry.offset === offset,
    ),
  );
}
