import type { ClusterRouteChange } from '../route-log.ts';
import type { NodeId } from '@lmqtt/common/ids';
import { type Membership, NotMember } from './membership.ts';
import type { OwnInterest } from './own-interest.ts';
import { textOf } from './registry-reply.ts';
import { scripts } from './registry-scripts.ts';
import type { RouteBarrier } from './route-barrier.ts';
import { changesOf, type LogEntry } from './route-entry.ts';
import { RouteSnapshot } from './route-snapshot.ts';

const entriesAtOnce = 200;

/**
 * The log of routes as far as this ds has applied it. Entries come in any order, more than once or
 * not at all, each with the number of the one before: one that does not follow on what is applied
 * has the rest read from the log. Each is applied once, in the order of the numbers.
 */
export class AppliedRoutes {
  readonly #member: Membership;
  readonly #barrier: RouteBarrier;
  readonly #own: OwnInterest;
  readonly #others: () => readonly NodeId[];
  #listener: ((change: ClusterRouteChange) => void) | undefined;
  /** Entries are applied; otherwise all is being loaded. */
  #following = false;
  /** Routes that were told before are those of another life, or none were. */
  #isVoid = true;
  #catching: Promise<void> | undefined;
  #reported = 0;
  #reporting = false;

  /** `others`: the other ds nodes that were alive at last. */
  constructor(
    member: Membership,
    barrier: RouteBarrier,
    own: OwnInterest,
    others: () => readonly NodeId[],
  ) {
    this.#member = member;
    this.#barrier = barrier;
    this.#own = own;
    this.#others = others;
  }

  /** To be called once, before anything is loaded. */
  tellTo(listener: (change: ClusterRouteChange) => void): void {
    this.#listener = listener;
  }

  get isBegun(): boolean {
    return this.#listener !== undefined;
  }

  get isFollowing(): boolean {
    return this.#following;
  }

  /** A repair is under way. */
  get isCatchingUp(): boolean {
    return this.#catching !== undefined;
  }

  /** Makes all that was read void, until everything is loaded again. */
  stop(): void {
    this.#following = false;
    this.#isVoid = true;
  }

  receive(entry: LogEntry): void {
    if (!this.#following || entry.number <= this.#member.applied) return;
    if (entry.before === this.#member.applied) this.#apply(entry);
    else void this.catchUp().catch(() => undefined);
  }

  #apply({ number, text }: LogEntry): void {
    const changes = changesOf(text);
    if (changes === undefined) {
      this.stop();
      this.#member.refused('lost');
      return;
    }
    this.#member.applied = number;
    for (const change of changes) this.#tell(change);
    this.#barrier.check();
    this.reportSoon();
  }

  #tell(change: ClusterRouteChange): void {
    if (change.kind !== 'reset') {
      this.#member.queueMax = Math.max(this.#member.queueMax, change.queue);
    }
    if (change.kind === 'close') this.#own.close(change.queue);
    if (change.kind === 'no interest' && change.ds === this.#member.id) {
      this.#own.delete(change.queue, change.node);
    }
    this.#listener?.(change);
  }

  seen(last: number): void {
    if (last > this.#member.applied) void this.catchUp().catch(() => undefined);
  }

  catchUp(): Promise<void> {
    this.#catching ??= this.#follow().finally(() => {
      this.#catching = undefined;
    });
    return this.#catching;
  }

  async #follow(): Promise<void> {
    while (this.#following) {
      const [word, last, ...entries] = (
        await this.#member.read(scripts.follow, this.#member.applied, entriesAtOnce)
      ).map(textOf);
      if (word === 'trimmed') {
        await this.load();
        return;
      }
      for (const entry of entriesOf(entries)) this.receive(entry);
      if (this.#member.applied >= Number(last)) return;
    }
  }

  /** Reads all routes, and tells them in one turn; what was told before counts until then. */
  async load(): Promise<void> {
    const member = this.#member;
    const startedMs = member.clock.monotonicMs();
    this.#following = false;
    try {
      for (;;) {
        const [, last] = await member.read(scripts.alive);
        const snapshot = new RouteSnapshot();
        await snapshot.load(member);
        const number = await this.#replay(snapshot, Number(textOf(last)));
        if (number === undefined) continue;
        member.applied = number;
        this.#isVoid = false;
        this.#own.clear();
        this.#following = true;
        for (const change of snapshot.changes()) this.#tell(change);
        this.#barrier.check();
        const tookMs = member.clock.monotonicMs() - startedMs;
        member.events.routesLoaded(snapshot.queueCount, tookMs);
        return;
      }
    } catch (error) {
      this.#following = !this.#isVoid;
      throw error;
    }
  }

  /** Undefined: the log was trimmed meanwhile. */
  async #replay(snapshot: RouteSnapshot, from: number): Promise<number | undefined> {
    let number = from;
    for (;;) {
      const reply = await this.#member.read(scripts.follow, number, entriesAtOnce);
      const [word, last, ...entries] = reply.map(textOf);
      if (word === 'trimmed') return undefined;
      for (const entry of entriesOf(entries)) {
        const changes = changesOf(entry.text);
        if (changes === undefined) {
          this.stop();
          this.#member.refused('lost');
          throw new NotMember('lost');
        }
        for (const change of changes) snapshot.apply(change);
        number = entry.number;
      }
      if (number >= Number(last)) return number;
    }
  }

  /** From now on subscribes of others wait for this ds: it has all routes of this moment. */
  async register(): Promise<void> {
    for (;;) {
      const number = this.#member.applied;
      const [word] = await this.#member.read(scripts.report, number, '1');
      if (textOf(word) === 'ok') return;
      await this.catchUp();
    }
  }

  reportSoon(): void {
    if (this.#reporting || this.#reported >= this.#member.applied) return;
    if (!this.#barrier.hasOthers && this.#others().length === 0) return;
    this.#reporting = true;
    setImmediate(() => void this.#report());
  }

  async #report(): Promise<void> {
    const number = this.#member.applied;
    try {
      const [, last] = await this.#member.read(scripts.report, number, '0');
      this.#reported = number;
      this.#reporting = false;
      this.seen(Number(textOf(last)));
      this.reportSoon();
    } catch {
      // The next renewal says it.
      this.#reporting = false;
    }
  }
}

/** Before, number and text, by turns. */
function* entriesOf(texts: readonly string[]): Iterable<LogEntry> {
  for (let at = 0; at + 2 < texts.length; at += 3) {
    yield { before: Number(texts[at]), number: Number(texts[at + 1]), text: texts[at + 2]! };
  }
}
