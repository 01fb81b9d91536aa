// The ledger of promises to publishers, of messages that subscribers got, and of their agreement.
// Each topic has one publisher, one QoS and numbered messages, so that loss, repetition and order
// can be told from the numbers alone.
import type { Qos } from '../harness/packets.ts';

export interface LedgerTopic {
  readonly name: string;
  readonly qos: Qos;
  /** The last number that was handed to the wire; 0: none. */
  sent: number;
  readonly acknowledged: Set<number>;
}

/** Messages that one subscriber, or all members of one group together, took. */
export class LedgerAccount {
  readonly name: string;
  /** Granted QoS for a topic; undefined: it does not match. */
  readonly granted: (topic: string) => Qos | undefined;
  /** Order is promised to one subscriber, not to the members of a group together. */
  readonly ordered: boolean;
  readonly #arrivals = new Map<string, Map<number, number>>();
  readonly #last = new Map<string, number>();
  readonly #highest = new Map<string, number>();
  /** By topic: all up to it is settled, and in the set is what had not arrived by then. */
  readonly #settled = new Map<string, { readonly upTo: number; readonly absent: Set<number> }>();
  readonly #grants = new Map<string, Qos>();
  /** Starts of a session that began later than the publishers; undefined: with them. */
  #starts: ReadonlyMap<string, number> | undefined;
  #ended = false;
  readonly problems: string[] = [];
  /** Came once more after they had been settled. */
  readonly again: [topic: string, number: number][] = [];
  count = 0;
  disordered = 0;

  constructor(name: string, granted: (topic: string) => Qos | undefined, ordered: boolean) {
    this.name = name;
    this.granted = granted;
    this.ordered = ordered;
  }

  /** Nothing is owed before `begin`. */
  later(): void {
    this.#starts = new Map();
  }

  /** Messages that are sent from now on are owed. */
  begin(topics: Iterable<LedgerTopic>): void {
    this.#starts = new Map([...topics].map(({ name, sent }) => [name, sent + 1]));
  }

  /** The session is gone: what came last of a topic was owed with all before it, nothing after. */
  end(): void {
    this.#ended = true;
  }

  /** Granted QoS, or 0 where it does not match. */
  #grant(topic: string): Qos {
    let grant = this.#grants.get(topic);
    if (grant === undefined) {
      grant = this.granted(topic) ?? 0;
      this.#grants.set(topic, grant);
    }
    return grant;
  }

  /** Some of its messages may be owed. */
  wants(topic: string): boolean {
    return this.#grant(topic) > 0;
  }

  owes(topic: string, number: number): boolean {
    if (!this.wants(topic)) return false;
    return this.#isPast(topic, number) && (!this.#ended || number < (this.#last.get(topic) ?? 0));
  }

  /** It was first sent when this was there. Before, it may be a publish that is repeated late. */
  #isPast(topic: string, number: number): boolean {
    return this.#starts === undefined || number >= (this.#starts.get(topic) ?? Infinity);
  }

  get ended(): boolean {
    return this.#ended;
  }

  arrived(topic: string, number: number): void {
    this.count += 1;
    if (number > this.highest(topic)) this.#highest.set(topic, number);
    const settled = this.#settled.get(topic);
    if (settled !== undefined && number <= settled.upTo && !settled.absent.delete(number)) {
      this.again.push([topic, number]);
      return;
    }
    let numbers = this.#arrivals.get(topic);
    if (numbers === undefined) {
      numbers = new Map();
      this.#arrivals.set(topic, numbers);
    }
    const before = numbers.get(number) ?? 0;
    numbers.set(number, before + 1);
    if (before > 0 || !this.ordered || !this.#isPast(topic, number)) return;
    const last = this.#last.get(topic) ?? 0;
    if (number < last) {
      this.disordered += 1;
      this.problems.push(`${this.name}: ${topic} ${number} after ${last}`);
    }
    this.#last.set(topic, number);
  }

  /** The highest number that came; 0: none. */
  highest(topic: string): number {
    return this.#highest.get(topic) ?? 0;
  }

  /** All that was sent so far need not be remembered any more. */
  settle(topics: Iterable<LedgerTopic>): void {
    for (const { name, sent } of topics) {
      if (this.granted(name) === undefined) continue;
      const before = this.#settled.get(name);
      const arrivals = this.#arrivals.get(name);
      const absent = new Set(before?.absent);
      for (let number = (before?.upTo ?? 0) + 1; number <= sent; number += 1) {
        if (arrivals?.has(number) !== true) absent.add(number);
      }
      this.#settled.set(name, { upTo: sent, absent });
      this.#arrivals.delete(name);
    }
  }

  times(topic: string, number: number): number {
    return this.#arrivals.get(topic)?.get(number) ?? 0;
  }

  *all(): Iterable<readonly [topic: string, number: number, times: number]> {
    for (const [topic, numbers] of this.#arrivals) {
      for (const [number, times] of numbers) yield [topic, number, times];
    }
  }
}

export interface LedgerFigures {
  readonly sent: number;
  readonly acknowledged: number;
  readonly arrivals: number;
  /** Acknowledged, and not arrived where they should have. */
  readonly lost: number;
  /** At QoS 2 or 0, arrived more than once. */
  readonly doubled: number;
  /** At QoS 1, on one of the ways, arrived more than once, which is allowed. */
  readonly repeated: number;
  /** Arrived first after one that was sent later. */
  readonly disordered: number;
  readonly problems: readonly string[];
}

const problemsMax = 20;

export class Ledger {
  readonly topics: Map<string, LedgerTopic> = new Map();
  accounts: LedgerAccount[] = [];
  /** Sessions that should have been there and other things that clients notice by themselves. */
  readonly problems: string[] = [];
  /** Totals of messages that were settled and forgotten. */
  readonly #settled = {
    acknowledged: 0,
    arrivals: 0,
    disordered: 0,
    lost: 0,
    doubled: 0,
    repeated: 0,
  };

  topic(name: string, qos: Qos): LedgerTopic {
    const topic: LedgerTopic = { name, qos, sent: 0, acknowledged: new Set() };
    this.topics.set(name, topic);
    return topic;
  }

  account(
    name: string,
    granted: (topic: string) => Qos | undefined,
    ordered = true,
  ): LedgerAccount {
    const account = new LedgerAccount(name, granted, ordered);
    this.accounts.push(account);
    return account;
  }

  /** How many acknowledged messages have not arrived yet where they are owed. */
  owed(report?: (line: string) => void, by: readonly LedgerAccount[] = this.accounts): number {
    let owed = 0;
    for (const account of by) {
      for (const topic of this.topics.values()) {
        if (!account.wants(topic.name)) continue;
        for (const number of topic.acknowledged) {
          if (!account.owes(topic.name, number)) continue;
          if (account.times(topic.name, number) > 0) continue;
          owed += 1;
          report?.(`${account.name}: ${topic.name} ${number} is lost`);
        }
      }
    }
    return owed;
  }

  /**
   * Nothing is on its way: the figures so far, whose numbers need not be remembered any more. What
   * comes again later still counts.
   */
  settle(): LedgerFigures {
    const figures = this.figures();
    this.#settled.acknowledged = figures.acknowledged;
    this.#settled.lost = figures.lost;
    this.#settled.doubled = figures.doubled;
    this.#settled.repeated = figures.repeated;
    this.problems.splice(0, Infinity, ...figures.problems);
    for (const { ended, count, disordered } of this.accounts) {
      if (!ended) continue;
      this.#settled.arrivals += count;
      this.#settled.disordered += disordered;
    }
    this.accounts = this.accounts.filter(({ ended }) => !ended);
    for (const account of this.accounts) {
      account.settle(this.topics.values());
      account.problems.length = 0;
      account.again.length = 0;
    }
    for (const topic of this.topics.values()) topic.acknowledged.clear();
    return figures;
  }

  figures(): LedgerFigures {
    const problems = [...this.problems];
    const note = (line: string): void => {
      if (problems.length < problemsMax) problems.push(line);
    };
    const lost = this.#settled.lost + this.owed(note);
    let { arrivals, disordered, doubled, repeated } = this.#settled;
    const mayRepeat = (account: LedgerAccount, topic: LedgerTopic): boolean =>
      topic.qos === 1 || (topic.qos === 2 && account.granted(topic.name) === 1);
    for (const account of this.accounts) {
      arrivals += account.count;
      disordered += account.disordered;
      for (const problem of account.problems) note(problem);
      for (const [name, number] of account.again) {
        const topic = this.topics.get(name);
        if (topic !== undefined && mayRepeat(account, topic)) {
          repeated += 1;
          continue;
        }
        doubled += 1;
        note(`${account.name}: ${name} ${number} came again, late`);
      }
      for (const [name, number, times] of account.all()) {
        const topic = this.topics.get(name);
        if (topic === undefined || number > topic.sent || number < 1) {
          note(`${account.name}: ${name} ${number} was never sent`);
          continue;
        }
        if (times < 2) continue;
        if (mayRepeat(account, topic)) {
          repeated += times - 1;
          continue;
        }
        doubled += times - 1;
        note(`${account.name}: ${name} ${number} came ${times} times`);
      }
    }
    let sent = 0;
    let { acknowledged } = this.#settled;
    for (const topic of this.topics.values()) {
      sent += topic.sent;
      acknowledged += topic.acknowledged.size;
    }
    return { sent, acknowledged, arrivals, lost, doubled, repeated, disordered, problems };
  }
}

export function describeFigures(figures: LedgerFigures): string {
  const { sent, acknowledged, arrivals, lost, doubled, repeated } = figures;
  return (
    `${sent} sent, ${acknowledged} acknowledged, ${arrivals} arrivals, ` +
    `${lost} lost, ${doubled} doubled at QoS 2, ${repeated} repeated at QoS 1`
  );
}
