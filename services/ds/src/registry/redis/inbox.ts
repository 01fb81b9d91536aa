import { type NodeId, nodeId } from '@lmqtt/common/ids';
import { OnceATurn } from '@lmqtt/common/once-a-turn';
import type { RedisSubscriber } from '../../redis/subscriber.ts';
import type { DsMessage, Inbox } from '../inbox.ts';
import type { Membership } from './membership.ts';
import { scripts } from './registry-scripts.ts';

/** Messages by pub/sub: a JSON array of all that one turn has for a receiver, behind the sender. */
export class RedisInbox implements Inbox {
  readonly #member: Membership;
  readonly #subscriber: RedisSubscriber;
  readonly #listeners: ((from: NodeId, message: DsMessage) => void)[] = [];
  readonly #sending: OnceATurn = new OnceATurn(() => void this.#send());
  #waiting = new Map<NodeId, DsMessage[]>();

  constructor(member: Membership, subscriber: RedisSubscriber) {
    this.#member = member;
    this.#subscriber = subscriber;
  }

  /** After the nodes: this ds has its name from there. */
  async start(): Promise<void> {
    const { base, id } = this.#member;
    await this.#subscriber.subscribe(`${base}to:${id}`, (text) => {
      const [from, ...messages] = JSON.parse(text) as [string, ...DsMessage[]];
      for (const message of messages) {
        for (const listener of this.#listeners) listener(nodeId(from), message);
      }
    });
  }

  send(ds: NodeId, message: DsMessage): void {
    this.#sending.soon();
    const messages = this.#waiting.get(ds);
    if (messages === undefined) this.#waiting.set(ds, [message]);
    else messages.push(message);
  }

  onMessage(listener: (from: NodeId, message: DsMessage) => void): void {
    this.#listeners.push(listener);
  }

  async #send(): Promise<void> {
    const waiting = this.#waiting;
    this.#waiting = new Map();
    const args = [...waiting].flatMap(([ds, messages]) => [
      ds,
      JSON.stringify([this.#member.id, ...messages]),
    ]);
    try {
      const { redis, base } = this.#member;
      await redis.call(scripts.send, [base], args);
    } catch (error) {
      this.#member.events.failed('message to another ds', error);
    }
  }
}
