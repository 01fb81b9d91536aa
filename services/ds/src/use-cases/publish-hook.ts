// onPublish, between the link and the publisher. Hides that a hook may take its time: what a client
// publishes goes on in the order in which it came, the answer of one message waits for those of the
// messages before it, and no client waits for another. The receive window bounds the publishes at
// QoS 1 and 2 of a client; HOOK_WAITING_BYTES bounds all that wait, a client having an eighth.
import { Fifo } from '@lmqtt/common/fifo';
import { OnceATurn } from '@lmqtt/common/once-a-turn';
import type { Message } from '@lmqtt/common/message';
import { receiptsTopic } from '@lmqtt/common/receipt';
import { ReasonCode } from '@lmqtt/common/reason-code';
import type { Publish } from '@lmqtt/proto/link';
import type { AccessControl } from '../auth/auth-provider.ts';
import { type HookCalls, isPromise, type NoAnswer, noAnswer } from '../hooks/hook-calls.ts';
import {
  type ChangeLimits,
  changedMessage,
  type HookSession,
  SeenMessage,
} from '../hooks/hooked-message.ts';
import type { Hooks, PublishVerdict } from '../hooks/hooks.ts';
import type { CsNode } from '../sessions/cs-node.ts';
import { HookedLine, type HookedPublish } from '../sessions/hooked-line.ts';
import type { LiveSession } from '../sessions/live-session.ts';
import { delayedTopicOf } from './delay.ts';

interface PublishHookOptions extends ChangeLimits {
  readonly calls: HookCalls;
  readonly onPublish: NonNullable<Hooks['onPublish']>;
  readonly access: AccessControl;
  /** Whether a message goes on where the hook gives no answer. */
  readonly passesFailures: boolean;
  readonly waitingBytesMax: number;
  /** HOOK_WAITING_BYTES was reached. */
  readonly onWaitingFull: () => void;
}

/** Where publishes go on to. */
interface HookedPublisher {
  publish(node: CsNode, batch: Publish[]): void;
  refuse(node: CsNode, session: LiveSession, publish: Publish): void;
}

/** A publish as it goes on, or the reason code of its refusal. */
type Answered = Publish | number;
type Said = Answered | Promise<PublishVerdict>;

interface Uncalled {
  readonly node: CsNode;
  readonly session: LiveSession;
  readonly entry: HookedPublish;
}

const codes: ReadonlySet<number> = new Set([0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]);
/** One client may have this part of what waits. */
const shareOfOne = 8;

/** A publish that the operator's hook has changed, and whose topic the rules do not judge again. */
interface ChangedPublish extends Publish {
  readonly isChanged: true;
}

export function isChanged(publish: Publish): publish is ChangedPublish {
  return 'isChanged' in publish;
}

export class PublishHook {
  readonly #options: PublishHookOptions;
  readonly #to: HookedPublisher;
  /** Sessions whose first message has its answer. */
  readonly #answered = new Map<LiveSession, CsNode>();
  /** Publishes for which no hook could begin yet. */
  readonly #uncalled = new Fifo<Uncalled>();
  readonly #drain = new OnceATurn(() => this.#drainAll());
  #waitingBytes = 0;

  constructor(options: PublishHookOptions, to: HookedPublisher) {
    this.#options = options;
    this.#to = to;
    options.calls.onFreed(() => this.#callNext());
  }

  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  publish(node: CsNode, batch: Publish[]): void {
    let ready: Publish[] = [];
    for (const publish of batch) {
      const session = node.sessions.get(publish.session);
      // Receipts are no messages of the client's.
      if (session === undefined || publish.message.topic === receiptsTopic) {
        ready.push(publish);
        continue;
      }
      const line = (session.hooked ??= new HookedLine());
      if (line.waits && !this.#hasRoom(line, publish)) {
        this.#full(node, session, line, publish);
        continue;
      }
      const said = this.#asks(session, line, publish) ? this.#ask(session, publish) : publish;
      if (line.waits || said === undefined || isPromise(said)) {
        if (this.#hasRoom(line, publish)) this.#wait(node, session, line, publish, said);
        else {
          // Its hook has begun, and counts until it ends.
          if (isPromise(said)) this.#options.calls.follow('onPublish', said, ignored);
          this.#full(node, session, line, publish);
        }
      } else if (typeof said !== 'number') ready.push(said);
      else {
        this.#pass(node, ready);
        ready = [];
        this.#refuse(node, session, publish, said);
      }
    }
    this.#pass(node, ready);
  }

  /** The message of a will as it is to be, or the reason code of its refusal. */
  async will(session: HookSession, message: Message): Promise<Message | number> {
    const { calls, onPublish } = this.#options;
    if (calls.isFull) {
      calls.full('onPublish');
      return ReasonCode.quotaExceeded;
    }
    const seen = new SeenMessage(session, message, true);
    return this.#verdict(message, await calls.ask('onPublish', () => onPublish(seen)));
  }

  /** Whether the hook is to see it: what is refused anyway, or is known already, it is not. */
  #asks(session: LiveSession, line: HookedLine, { packetId, message }: Publish): boolean {
    const { topic, qos } = message;
    if (qos === 2 && session.stored.hasInbound(packetId)) return false;
    const { access } = this.#options;
    if (line.topic !== topic || line.accessVersion !== access.version) {
      const delayed = delayedTopicOf(topic);
      const real = typeof delayed === 'object' ? delayed.topic : topic;
      const { principal, clientId, peer } = session;
      line.topic = topic;
      line.accessVersion = access.version;
      line.isAsked = access.authorise(principal, clientId, peer.address, 'publish', real);
    }
    return line.isAsked;
  }

  /** Undefined: the hook cannot begin yet. */
  #ask(session: LiveSession, publish: Publish): Said | undefined {
    if (this.#options.calls.isFull || this.#uncalled.length > 0) return undefined;
    return this.#call(session, publish);
  }

  #call(session: LiveSession, publish: Publish): Said {
    const { calls, onPublish } = this.#options;
    const seen = new SeenMessage(session, publish.message, false);
    const said = calls.begin('onPublish', () => onPublish(seen));
    return isPromise(said) ? said : this.#judged(publish, said);
  }

  #hasRoom(line: HookedLine, { message }: Publish): boolean {
    const bytes = message.heldBytes;
    const { waitingBytesMax } = this.#options;
    if (this.#waitingBytes + bytes > waitingBytesMax) return false;
    return line.bytes + bytes <= waitingBytesMax / shareOfOne;
  }

  #wait(
    node: CsNode,
    session: LiveSession,
    line: HookedLine,
    publish: Publish,
    said: Said | undefined,
  ): void {
    const bytes = publish.message.heldBytes;
    const entry: HookedPublish = { publish, said: undefined, bytes };
    this.#waitingBytes += bytes;
    line.add(entry);
    if (said === undefined) this.#uncalled.push({ node, session, entry });
    else this.#follow(node, session, entry, said);
  }

  /** At QoS 0 it is dropped at once, otherwise its answer comes behind those before it. */
  #full(node: CsNode, session: LiveSession, line: HookedLine, publish: Publish): void {
    this.#options.onWaitingFull();
    this.#options.calls.count('onPublish', 'full');
    if (publish.message.qos > 0 && line.waits)
      this.#wait(node, session, line, publish, ReasonCode.quotaExceeded);
    else this.#refuse(node, session, publish, ReasonCode.quotaExceeded);
  }

  #follow(node: CsNode, session: LiveSession, entry: HookedPublish, said: Said): void {
    if (!isPromise(said)) {
      this.#answer(node, session, entry, said);
      return;
    }
    this.#options.calls.follow('onPublish', said, (verdict) =>
      this.#answer(node, session, entry, this.#judged(entry.publish, verdict)),
    );
  }

  #answer(node: CsNode, session: LiveSession, entry: HookedPublish, said: Answered): void {
    entry.said = said;
    if (session.hooked?.first !== entry) return;
    this.#answered.set(session, node);
    this.#drain.soon();
  }

  #callNext(): void {
    while (this.#uncalled.length > 0 && !this.#options.calls.isFull) {
      const { node, session, entry } = this.#uncalled.shift()!;
      this.#follow(node, session, entry, this.#call(session, entry.publish));
    }
  }

  /** All that has its answer and nothing before it, a batch for each node where nothing is refused. */
  #drainAll(): void {
    const batches = new Map<CsNode, Publish[]>();
    const sessions = [...this.#answered];
    this.#answered.clear();
    for (const [session, node] of sessions) {
      for (const { publish, said, bytes } of session.hooked?.take() ?? []) {
        this.#waitingBytes -= bytes;
        if (node.over) continue;
        let batch = batches.get(node);
        if (batch === undefined) batches.set(node, (batch = []));
        if (typeof said !== 'number') {
          batch.push(said ?? publish);
          continue;
        }
        this.#pass(node, batch);
        batches.delete(node);
        this.#refuse(node, session, publish, said);
      }
    }
    for (const [node, batch] of batches) this.#pass(node, batch);
    for (const [session] of sessions) session.hooked?.drained();
  }

  #pass(node: CsNode, batch: Publish[]): void {
    if (batch.length > 0) this.#to.publish(node, batch);
  }

  #refuse(node: CsNode, session: LiveSession, publish: Publish, reasonCode: number): void {
    publish.reasonCode = reasonCode;
    this.#to.refuse(node, session, publish);
  }

  #judged(publish: Publish, said: PublishVerdict | NoAnswer): Answered {
    const verdict = this.#verdict(publish.message, said);
    if (typeof verdict === 'number') return verdict;
    if (verdict === publish.message) return publish;
    // With all that its cs knows it by.
    const changed: ChangedPublish = { ...publish, message: verdict, isChanged: true };
    return changed;
  }

  #verdict(message: Message, said: PublishVerdict | NoAnswer): Message | number {
    const { calls, passesFailures } = this.#options;
    if (said === undefined || said === true) {
      calls.count('onPublish', 'done');
      return message;
    }
    if (said === false || (typeof said === 'number' && codes.has(said))) {
      calls.count('onPublish', 'refused');
      return said === false ? ReasonCode.notAuthorized : said;
    }
    if (said !== noAnswer) {
      try {
        if (typeof said !== 'object' || said === null)
          throw new Error('an answer of no known form');
        const changed = changedMessage(message, said, this.#options);
        calls.count('onPublish', 'changed');
        return changed;
      } catch (error) {
        calls.fails('onPublish', error);
      }
    }
    return passesFailures ? message : ReasonCode.implementationSpecificError;
  }
}

function ignored(): void {}
