import type { SessionHandle } from '@lmqtt/common/ids';
import type { LinkedNode, Publish, Refusal } from '@lmqtt/proto/link';
import { writePresents } from '@lmqtt/proto/wire/upstream';
import { WireError } from '@lmqtt/proto/wire/wire-error';
import type { Attachment } from './attachment.ts';
import type { DsAddress } from './directory.ts';
import type { LinkEvents } from './link-events.ts';
import type { Pending } from './pending.ts';
import type { PublishOrder } from './publish-order.ts';

/** One item takes so many; they differ much in size. */
const sessionsPerItem = 256;

/**
 * Another ds, in two steps: it is shown all sessions as they are; when it has answered, the refused
 * ones are closed, and what waited goes out, in the order in which it was handed over.
 */
export class Presenting {
  readonly #node: LinkedNode;
  readonly #attachment: Attachment;
  readonly #pending: Pending;
  readonly #order: PublishOrder;
  readonly #events: LinkEvents;
  #sessionCount = 0;

  constructor(
    node: LinkedNode,
    attachment: Attachment,
    pending: Pending,
    order: PublishOrder,
    events: LinkEvents,
  ) {
    this.#node = node;
    this.#attachment = attachment;
    this.#pending = pending;
    this.#order = order;
    this.#events = events;
  }

  begin(address: DsAddress): void {
    const pending = this.#pending;
    pending.calls.rejectClaims('another ds took over');
    const sessions = this.#node.present();
    // Among them what was handed over just now: it is in what is presented.
    pending.writes.cover();
    this.#sessionCount = sessions.length;
    this.#events.presenting(address, sessions.length);
    let at = 0;
    do {
      const part = sessions.slice(at, at + sessionsPerItem);
      at += sessionsPerItem;
      writePresents(this.#attachment.exchange, part, at >= sessions.length);
    } while (at < sessions.length);
  }

  answered(refusals: Refusal[]): void {
    const attachment = this.#attachment;
    const pending = this.#pending;
    const node = this.#node;
    if (attachment.presented) throw new WireError('an answer to what was not presented');
    this.#events.attached(this.#sessionCount, refusals.length);
    pending.forgetCredits();
    // Items that they hand over while they are closed come after all that wait.
    node.presented(refusals);
    this.#endPublishesOf(new Set(refusals.map(({ session }) => session)));
    attachment.began();
    pending.sendAgain(attachment.exchange, this.#order);
    pending.reads.rejectAll('another ds took over');
    pending.writes.presented();
    attachment.notice();
  }

  /** Refused sessions are claimed by others: nobody will answer for them. */
  #endPublishesOf(sessions: ReadonlySet<SessionHandle>): void {
    if (sessions.size === 0) return;
    const ended: Publish[] = [];
    this.#pending.publishes.fenced(sessions, Infinity, ended);
    if (ended.length > 0) this.#node.published(ended);
  }
}
