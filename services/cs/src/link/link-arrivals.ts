import type { Message } from '@lmqtt/common/message';
import type { SessionHandle } from '@lmqtt/common/ids';
import type { Assignment, GroupFence } from '@lmqtt/proto/assignment';
import type { Downstream, Publish, QueueEnd, ReadAnswer, Refusal } from '@lmqtt/proto/link';
import type { DownstreamHandler } from '@lmqtt/proto/wire/downstream-reader';
import type { LinkEvents } from './link-events.ts';
import type { Pending } from './pending.ts';

/** Items of ds: answers go to those who wait for them, the rest to the node. */
export class LinkArrivals implements DownstreamHandler {
  readonly #downstream: Downstream;
  readonly #pending: Pending;
  readonly #events: Pick<LinkEvents, 'pushed'>;
  readonly #onPresented: (refusals: Refusal[]) => void;

  constructor(
    downstream: Downstream,
    pending: Pending,
    events: Pick<LinkEvents, 'pushed'>,
    onPresented: (refusals: Refusal[]) => void,
  ) {
    this.#downstream = downstream;
    this.#pending = pending;
    this.#events = events;
    this.#onPresented = onPresented;
  }

  published(first: number, reasonCodes: Uint8Array): void {
    const ended: Publish[] = [];
    this.#pending.publishes.answered(first, reasonCodes, ended);
    if (ended.length > 0) this.#downstream.published(ended);
  }

  refused(session: SessionHandle, reasonCode: number): void {
    this.#downstream.refused(session, reasonCode);
  }

  sent(number: number): Message | undefined {
    return this.#pending.publishes.message(number);
  }

  push(batch: Message[]): void {
    this.#events.pushed(batch.length);
    this.#downstream.push(batch);
  }

  assign(batch: Assignment[]): void {
    this.#downstream.assign(batch);
  }

  fence(fence: GroupFence): void {
    this.#downstream.fence(fence);
  }

  kick(session: SessionHandle, reasonCode: number): void {
    this.#downstream.kick(session, reasonCode);
  }

  rights(session: SessionHandle, rights: string | undefined): void {
    this.#downstream.rights(session, rights);
  }

  behind(ends: QueueEnd[]): void {
    this.#downstream.behind(ends);
  }

  durable(numbers: number[], fenced: number[]): void {
    this.#pending.writes.durable(numbers, fenced);
  }

  answer(id: number, body: Buffer): void {
    this.#pending.calls.answered(id, body);
  }

  failed(id: number, error: string): void {
    this.#pending.calls.failed(id, error);
    this.#pending.reads.failed(id, error);
  }

  readAnswer(id: number, answer: ReadAnswer): void {
    this.#pending.reads.answered(id, answer);
  }

  presented(refusals: Refusal[]): void {
    this.#onPresented(refusals);
  }
}
