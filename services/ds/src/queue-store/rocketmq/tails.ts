// Which ds reads which ordinary queue: rendezvous hashing over the ds nodes that are alive says who
// should, and the ownership in the registry who does. A queue goes over gracefully, its position
// saved first, when a ds joins; without that when its owner has died. What is between the position
// that was saved and what was told is told again.
import { pickPlace } from '../../rocketmq/mapping/place.ts';
import type { BrokerReader } from './broker-reader.ts';
import type { Copies } from './copies.ts';
import type { Dispatches } from './dispatches.ts';
import { messageOfError } from './error-text.ts';
import type { RocketmqStoreOptions } from './options.ts';
import type { OrdinaryQueue } from './ordinary-queue.ts';
import { Tail, type TailPorts } from './tail.ts';
import type { UsedTopics } from './used-topics.ts';

/** Somebody else has it still. */
const soonMs = 200;
const everyMs = 1000;

interface TailsPorts extends Pick<TailPorts, 'arrived' | 'gatherMs'> {
  readonly reader: BrokerReader;
  readonly copies: Copies;
  readonly dispatches: Dispatches;
}

export class Tails {
  readonly #options: RocketmqStoreOptions;
  readonly #topics: UsedTopics;
  readonly #ports: TailsPorts;
  readonly #tails = new Map<string, Tail<OrdinaryQueue>>();
  /**
   * Things that the registry may still give to us, though their tails were stopped with our lease.
   */
  readonly #perhapsOurs = new Set<string>();
  /** As it was last saved. */
  readonly #saved = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  #saver: NodeJS.Timeout | undefined;
  #isSharing = false;
  #shareAgain = false;
  #isHeld = true;
  #isStopped = false;

  constructor(options: RocketmqStoreOptions, topics: UsedTopics, ports: TailsPorts) {
    this.#options = options;
    this.#topics = topics;
    this.#ports = ports;
  }

  start(): void {
    const { nodes, settings } = this.#options;
    nodes.onChange(() => this.share());
    nodes.onLease((held) => {
      this.#isHeld = held;
      if (!held) this.#loseAll();
      this.share();
    });
    this.#saver = setInterval(() => void this.#save(this.#moved()), settings.positionSaveMs);
    this.share();
  }

  /** Takes and gives what has to be, as soon as possible. */
  share(): void {
    if (this.#isStopped) return;
    if (this.#isSharing) {
      this.#shareAgain = true;
      return;
    }
    clearTimeout(this.#timer);
    this.#isSharing = true;
    void this.#share()
      .catch((error: unknown) => {
        this.#options.events.registryFailed('tails', messageOfError(error));
        return false;
      })
      .then((isComplete) => {
        this.#isSharing = false;
        if (this.#isStopped) return;
        const waitMs = this.#shareAgain ? 0 : isComplete ? everyMs : soonMs;
        this.#shareAgain = false;
        this.#timer = setTimeout(() => this.share(), waitMs);
      });
  }

  get all(): Iterable<Tail<OrdinaryQueue>> {
    return this.#tails.values();
  }

  *lags(): Iterable<readonly [string, number]> {
    for (const [name, tail] of this.#tails) yield [name, tail.lag];
  }

  get count(): number {
    return this.#tails.size;
  }

  /** Positions are saved and the queues free when this resolves, as far as the registry answers. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    clearInterval(this.#saver);
    await this.#give([...this.#tails.values()]).catch((error: unknown) => {
      this.#options.events.registryFailed('tails', messageOfError(error));
    });
  }

  /** True: all that should be read here is. */
  async #share(): Promise<boolean> {
    if (!this.#isHeld) return true;
    const { nodes, self, ownership } = this.#options;
    const places = nodes.ds.map(({ id }) => ({ broker: id, queueId: 0 }));
    const wanted: OrdinaryQueue[] = [];
    const others: Tail<OrdinaryQueue>[] = [];
    const left: string[] = [];
    const gone = new Set(this.#tails.keys());
    for (const topic of this.#topics.all) {
      for (const queue of topic.queues.values()) {
        gone.delete(queue.name);
        const picked = pickPlace(thingOf(queue), places);
        const isOurs = picked === undefined || picked.broker === self;
        const tail = this.#tails.get(queue.name);
        // The broker was forgotten and is back: it is another one.
        if (tail !== undefined && tail.queue !== queue) {
          others.push(tail);
          continue;
        }
        if (isOurs && tail === undefined) wanted.push(queue);
        else if (!isOurs && tail !== undefined) others.push(tail);
        else if (!isOurs && this.#perhapsOurs.has(thingOf(queue))) left.push(thingOf(queue));
      }
    }
    // The topic has them no longer.
    for (const name of gone) others.push(this.#tails.get(name)!);
    if (others.length > 0) await this.#give(others);
    if (left.length > 0) await this.#release(left);
    if (wanted.length === 0) return true;
    const things = wanted.map(thingOf);
    for (const thing of things) this.#perhapsOurs.add(thing);
    const owned = await ownership.acquire(things);
    const taken = wanted.filter((_, index) => owned[index]?.owner === self);
    const epochs = owned.filter(({ owner }) => owner === self);
    const texts = taken.length === 0 ? [] : await ownership.load(taken.map(thingOf));
    for (const [index, queue] of taken.entries())
      this.#begin(queue, epochs[index]!.epoch, texts[index]);
    return taken.length === wanted.length;
  }

  #begin(queue: OrdinaryQueue, epoch: number, text: string | undefined): void {
    if (this.#isStopped || !this.#isHeld || this.#tails.has(queue.name)) return;
    const start = this.#topics.named(queue.topic)?.starts[queue.name] ?? 0;
    const saved = text === undefined ? Number.NaN : Number(text);
    const position = Number.isSafeInteger(saved) ? saved : start;
    this.#options.events.tail('taken', queue.name, position);
    this.#tails.set(queue.name, new Tail(queue, epoch, position, this.#portsOf(queue)));
    this.#saved.set(queue.name, saved);
  }

  #portsOf(queue: OrdinaryQueue): TailPorts {
    const { reader, copies, dispatches, arrived, gatherMs } = this.#ports;
    const { broker } = queue;
    const { onStored } = this.#options;
    return {
      options: this.#options,
      dispatch: dispatches.of(queue),
      read: (body) => reader.read(body, broker, true),
      isSuspect: (messages) => copies.isSuspect(messages),
      without: (messages) => copies.without(messages, broker),
      arrived:
        onStored === undefined
          ? arrived
          : (messages) => {
              onStored(messages, broker.name);
              arrived(messages);
            },
      gatherMs,
    };
  }

  async #give(tails: readonly Tail<OrdinaryQueue>[]): Promise<void> {
    if (tails.length === 0) return;
    for (const tail of tails) tail.stop();
    for (const { queue, position } of tails) {
      this.#tails.delete(queue.name);
      this.#options.events.tail('released', queue.name, position);
    }
    await this.#save(tails);
    await this.#release(tails.map(({ queue }) => thingOf(queue)));
  }

  async #release(things: readonly string[]): Promise<void> {
    await this.#options.ownership.release(things);
    for (const thing of things) this.#perhapsOurs.delete(thing);
  }

  #moved(): Tail<OrdinaryQueue>[] {
    const moved: Tail<OrdinaryQueue>[] = [];
    for (const tail of this.#tails.values())
      if (this.#saved.get(tail.queue.name) !== tail.position) moved.push(tail);
    return moved;
  }

  async #save(tails: readonly Tail<OrdinaryQueue>[]): Promise<void> {
    const { ownership, events } = this.#options;
    await Promise.all(
      tails.map(async (tail) => {
        const { queue, epoch, position } = tail;
        try {
          const isOurs = await ownership.save(thingOf(queue), epoch, `${position}`);
          if (isOurs) this.#saved.set(queue.name, position);
          else this.#lose(tail);
        } catch (error) {
          events.registryFailed('positions', messageOfError(error));
        }
      }),
    );
  }

  #lose(tail: Tail<OrdinaryQueue>): void {
    tail.stop();
    if (this.#tails.get(tail.queue.name) !== tail) return;
    this.#tails.delete(tail.queue.name);
    this.#options.events.tail('lost', tail.queue.name, tail.position);
  }

  #loseAll(): void {
    for (const tail of [...this.#tails.values()]) this.#lose(tail);
  }
}

function thingOf({ topic, broker, queueId }: OrdinaryQueue): string {
  return `tail ${topic} ${broker.name} ${queueId}`;
}
