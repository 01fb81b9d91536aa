// Retained messages that a module of META_MODULE keeps. The node's own store (the journal, or
// Redis) still answers every reader, orders what comes for a topic, bounds it, and has the versions
// that are under way; the module has what that store has, and is where it comes from at the start.
//
// A topic that has changed is written as it is when its turn comes, one write of a topic at a time:
// so the module ends with the last version whatever the order of answers. A topic that another node
// has changed meanwhile is written again. One that could not be written is tried again each second.
import type { Message, OrderKey } from '@lmqtt/common/message';
import { ReasonCode } from '@lmqtt/common/reason-code';
import { isValidTopicName } from '@lmqtt/common/topic';
import type { RetainedPage, RetainedStore } from '../retained-store/retained-store.ts';
import type { MetaModule } from './meta-module.ts';
import { emptyOf, isSameMessage, messageIn, recordOf } from './retained-record.ts';

type Done = (reasonCode: number) => void;

interface WrittenRetainedOptions {
  /** Publishers do not wait for the module. */
  readonly passesFailures: boolean;
  /** So many topics may wait for a module that is away. */
  readonly unwrittenMax: number;
}

interface ChangedTopic {
  /** How often it has changed. */
  changes: number;
  isWriting: boolean;
  waiting: Done[];
}

const writesAtOnce = 16;
const againMs = 1000;
const pageMessages = 1000;
/** Order key before those of all publishes: what a client has changed meanwhile stays. */
const oldest: OrderKey = { placement: 0, offset: 0 };
const pageBytes = 1024 * 1024;

export class WrittenRetained implements RetainedStore {
  readonly #inner: RetainedStore;
  readonly #module: MetaModule;
  readonly #passesFailures: boolean;
  readonly #unwrittenMax: number;
  readonly #changed = new Map<string, ChangedTopic>();
  /** Topics that wait for a write, in their order. */
  readonly #ready = new Set<string>();
  readonly #failed = new Set<string>();
  #flushed: (() => void)[] = [];
  #again: NodeJS.Timeout | undefined = undefined;
  #writing = 0;

  constructor(inner: RetainedStore, module: MetaModule, options: WrittenRetainedOptions) {
    this.#inner = inner;
    this.#module = module;
    this.#passesFailures = options.passesFailures;
    this.#unwrittenMax = options.unwrittenMax;
  }

  get count(): number {
    return this.#inner.count;
  }

  get bytes(): number {
    return this.#inner.bytes;
  }

  /** Topics that the module does not have as they are. */
  get unwritten(): number {
    return this.#changed.size;
  }

  admits(message: Message): boolean {
    const { size } = this.#changed;
    if (size >= this.#unwrittenMax && !this.#changed.has(message.topic)) return false;
    return this.#inner.admits(message);
  }

  put(message: Message, orderKey: OrderKey | undefined, done?: Done): void {
    const { topic } = message;
    if (orderKey === undefined && done === undefined) {
      this.#inner.put(message, undefined);
      this.#change(topic, undefined);
      return;
    }
    this.#inner.put(message, orderKey, (reasonCode) => {
      const waits = reasonCode === 0 && !this.#passesFailures;
      if (reasonCode === 0) this.#change(topic, waits ? done : undefined);
      if (!waits) done?.(reasonCode);
    });
  }

  match(
    filter: string,
    after: string,
    messagesMax: number,
    bytesMax: number,
  ): Promise<RetainedPage> {
    return this.#inner.match(filter, after, messagesMax, bytesMax);
  }

  version(topic: string, orderKey: OrderKey): Promise<Message | undefined> {
    return this.#inner.version(topic, orderKey);
  }

  pin(topic: string, orderKey: OrderKey): void {
    this.#inner.pin(topic, orderKey);
  }

  unpin(topic: string, orderKey: OrderKey): void {
    this.#inner.unpin(topic, orderKey);
  }

  /**
   * At the start. `whole`: what the module has not is taken out of the store, for nobody else
   * writes; otherwise a store that has something already stays as it is, and so does what other
   * nodes put meanwhile. Rejects where the module fails: without its messages clients would be told that there are none.
   */
  async load(whole: boolean): Promise<void> {
    if (!whole && this.#inner.count > 0) return;
    const seen = new Set<string>();
    const puts = new Puts(this.#inner);
    for await (const record of this.#module.list()) {
      const message = this.#messageIn(record);
      if (message === undefined) continue;
      if (!whole) {
        await puts.put(message, oldest);
        continue;
      }
      seen.add(message.topic);
      const current = await this.#current(message.topic);
      if (current === undefined || !isSameMessage(current, message)) await puts.put(message);
    }
    if (whole) await this.#removeOthers(seen, puts);
    await puts.done();
  }

  /** Resolves when everything is written, or when the time is over. */
  async flush(waitMs: number): Promise<void> {
    if (this.#changed.size === 0) return;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      timer = setTimeout(resolve, waitMs);
      this.#flushed.push(resolve);
    });
    clearTimeout(timer);
  }

  close(): void {
    clearTimeout(this.#again);
    this.#ready.clear();
  }

  #messageIn(record: unknown): Message | undefined {
    try {
      const message = messageIn(record);
      if (!isValidTopicName(message.topic)) throw new Error('a topic of it is not valid');
      const hasEnded = message.expiresAtMs !== 0 && message.expiresAtMs <= Date.now();
      return hasEnded ? undefined : message;
    } catch (error) {
      this.#module.fails('listRetained', error);
      throw error;
    }
  }

  async #removeOthers(seen: ReadonlySet<string>, puts: Puts): Promise<void> {
    for (let after: string | undefined = ''; after !== undefined;) {
      const page: RetainedPage = await this.#inner.match('#', after, pageMessages, pageBytes);
      for (const { topic } of page.messages) if (!seen.has(topic)) await puts.put(emptyOf(topic));
      after = page.next;
    }
  }

  async #current(topic: string): Promise<Message | undefined> {
    const { messages } = await this.#inner.match(topic, '', 1, pageBytes);
    return messages[0];
  }

  #change(topic: string, done: Done | undefined): void {
    let entry = this.#changed.get(topic);
    if (entry === undefined) {
      entry = { changes: 0, isWriting: false, waiting: [] };
      this.#changed.set(topic, entry);
    }
    entry.changes += 1;
    if (done !== undefined) entry.waiting.push(done);
    this.#failed.delete(topic);
    if (!entry.isWriting) this.#ready.add(topic);
    this.#next();
  }

  #next(): void {
    for (const topic of this.#ready) {
      if (this.#writing >= writesAtOnce) return;
      this.#ready.delete(topic);
      const entry = this.#changed.get(topic);
      if (entry !== undefined) void this.#write(topic, entry);
    }
  }

  async #write(topic: string, entry: ChangedTopic): Promise<void> {
    entry.isWriting = true;
    this.#writing += 1;
    const { changes } = entry;
    const waiting = entry.waiting.splice(0);
    const reasonCode = await this.#writeOnce(topic, entry);
    entry.isWriting = false;
    this.#writing -= 1;
    if (entry.changes !== changes) this.#ready.add(topic);
    else if (reasonCode !== 0) this.#tryAgain(topic);
    else this.#changed.delete(topic);
    for (const done of waiting) done(reasonCode);
    this.#next();
    if (this.#changed.size === 0) for (const resolve of this.#flushed.splice(0)) resolve();
  }

  async #writeOnce(topic: string, entry: ChangedTopic): Promise<number> {
    try {
      const message = await this.#current(topic);
      if (message === undefined) await this.#module.delete(topic);
      else await this.#module.put(recordOf(message));
      const now = await this.#current(topic);
      if (!isSameVersion(message, now)) entry.changes += 1;
      return 0;
    } catch {
      // Counted and told by the module, or by the connection of the store.
      return ReasonCode.implementationSpecificError;
    }
  }

  #tryAgain(topic: string): void {
    this.#failed.add(topic);
    this.#again ??= setTimeout(() => {
      this.#again = undefined;
      for (const failed of this.#failed) this.#ready.add(failed);
      this.#failed.clear();
      this.#next();
    }, againMs).unref();
  }
}

/** Puts at the start, some of which share a write to the disk or to Redis. */
class Puts {
  readonly #store: RetainedStore;
  #open: Promise<number>[] = [];

  constructor(store: RetainedStore) {
    this.#store = store;
  }

  async put(message: Message, orderKey?: OrderKey): Promise<void> {
    if (!this.#store.admits(message)) throw tooMany();
    this.#open.push(
      new Promise((resolve) => {
        this.#store.put(message, orderKey, resolve);
      }),
    );
    if (this.#open.length >= pageMessages) await this.done();
  }

  async done(): Promise<void> {
    const open = this.#open;
    this.#open = [];
    for (const reasonCode of await Promise.all(open)) {
      if (reasonCode === ReasonCode.quotaExceeded) throw tooMany();
      if (reasonCode !== 0) throw new Error(`a retained message is not stored (${reasonCode})`);
    }
  }
}

function tooMany(): Error {
  return new Error(
    'META_MODULE has more than MAX_RETAINED_MESSAGES or MAX_RETAINED_BYTES have room for',
  );
}

function isSameVersion(one: Message | undefined, other: Message | undefined): boolean {
  const [first, second] = [one?.orderKey, other?.orderKey];
  return first?.placement === second?.placement && first?.offset === second?.offset;
}
