import type { SessionHandle } from '@lmqtt/common/ids';
import { nextTurn } from '@lmqtt/common/pause';
import type {
  LinkedNode,
  PresentedSession,
  Publish,
  Refusal,
  SessionsToPresent,
} from '@lmqtt/proto/link';
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
 * Subscriptions and messages in flight after which an item ends; the last session may have more.
 */
const statesPerItem = 500;

type Presenter = Pick<LinkedNode, 'present' | 'presented' | 'published'>;
type PresentingTo = Pick<Attachment, 'exchange' | 'presented' | 'began' | 'notice'>;

/**
 * Another ds, in two steps: it is shown all sessions, each as it is when its turn comes; when it has
 * answered, the refused ones are closed, and what waited goes out, in the order in which it was
 * handed over, without the writes that a presented session had made before it was taken.
 */
export class Presenting {
  readonly #node: Presenter;
  readonly #attachment: PresentingTo;
  readonly #pending: Pending;
  readonly #order: PublishOrder;
  readonly #events: Pick<LinkEvents, 'presenting' | 'attached'>;
  #sessionCount = 0;
  /** Grows with each that begins: what an earlier one has not written counts no more. */
  #run = 0;

  constructor(
    node: Presenter,
    attachment: PresentingTo,
    pending: Pending,
    order: PublishOrder,
    events: Pick<LinkEvents, 'presenting' | 'attached'>,
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
    this.#run += 1;
    void this.#write(sessions, this.#run);
  }

  /** Each item is taken and made in a turn of its own; one that is void is not taken. */
  async #write(sessions: SessionsToPresent, run: number): Promise<void> {
    const each = sessions[Symbol.iterator]();
    for (let left = sessions.length; ;) {
      const item = this.#takeItem(each);
      left -= item.length;
      writePresents(this.#attachment.exchange, item, left === 0);
      if (left === 0) return;
      await nextTurn();
      if (run !== this.#run) return;
    }
  }

  #takeItem(sessions: Iterator<PresentedSession>): PresentedSession[] {
    const item: PresentedSession[] = [];
    let states = 0;
    while (item.length < sessionsPerItem && states < statesPerItem) {
      const { done, value } = sessions.next();
      if (done === true) break;
      this.#pending.writes.coverOf(value.session);
      item.push(value);
      states += value.state.subscriptions.length + value.state.outbound.length;
    }
    return item;
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
