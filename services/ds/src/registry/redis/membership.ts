import type { Clock } from '@lmqtt/common/clock';
import { type NodeId, nodeId } from '@lmqtt/common/ids';
import { ReasonCode } from '@lmqtt/common/reason-code';
import { StoreFailure } from '@lmqtt/common/store-failure';
import type { Argument, RedisConnection, Reply } from '../../redis/connection.ts';
import type { Script } from '../../redis/script.ts';
import { listOf, textOf } from './registry-reply.ts';
import type { RegistryEvents } from './registry-events.ts';

/** The registry does not count this ds among its members, or has lost what it knew. */
export class NotMember extends StoreFailure {
  readonly why: 'lost' | 'ended';

  constructor(why: 'lost' | 'ended') {
    const text =
      why === 'lost' ? 'the registry has lost changes' : 'the lease of this ds has ended';
    super(text, ReasonCode.implementationSpecificError);
    this.why = why;
  }
}

/** Work of an adapter before this ds counts as a member (again). */
export type RegistryRedis = Pick<RedisConnection, 'call' | 'callDurable' | 'command'>;

export interface Restorer {
  /** The registry has lost changes, or this ds was judged: what it holds is to be told again. */
  restore(why: 'lost' | 'ended'): Promise<void>;
  /** The log is applied up to that number. */
  caughtUp(number: number): Promise<void>;
}

/**
 * Membership of this ds in the registry, which its adapters share. Scripts are called through it;
 * an answer that this ds is no member is told to whoever repairs that.
 */
export class Membership {
  readonly redis: RegistryRedis;
  readonly base: string;
  readonly clock: Clock;
  readonly leaseMs: number;
  readonly events: RegistryEvents;
  id: NodeId = nodeId('');
  instance = '';
  /** Another one after each loss of changes. */
  life = '';
  /** Identifier of this ds's present join; '' before. */
  join = '';
  /** Number up to which the log is applied. */
  applied = 0;
  /** The highest identifier of a queue that was seen. */
  queueMax = 0;
  #repair: (why: 'lost' | 'ended') => void = () => {};

  constructor(
    redis: RegistryRedis,
    base: string,
    clock: Clock,
    leaseMs: number,
    events: RegistryEvents,
  ) {
    this.redis = redis;
    this.base = base;
    this.clock = clock;
    this.leaseMs = leaseMs;
    this.events = events;
  }

  onRefusal(repair: (why: 'lost' | 'ended') => void): void {
    this.#repair = repair;
  }

  refused(why: 'lost' | 'ended'): void {
    this.#repair(why);
  }

  /** A script of members; its answer with the word that it begins with. */
  call(script: Script, ...args: Argument[]): Promise<Reply[]> {
    return this.#memberCall((all) => this.redis.callDurable(script, [this.base], all), args);
  }

  /** The same of a script whose writes need not outlive a server. */
  read(script: Script, ...args: Argument[]): Promise<Reply[]> {
    return this.#memberCall((all) => this.redis.call(script, [this.base], all), args);
  }

  async #memberCall(
    send: (args: Argument[]) => Promise<Reply>,
    args: readonly Argument[],
  ): Promise<Reply[]> {
    const { life, join } = this;
    let reply: Reply[];
    try {
      reply = listOf(await send([life, this.id, join, ...args]));
    } catch (error) {
      throw failureOf(error);
    }
    const word = textOf(reply[0]);
    if (word !== 'lost' && word !== 'ended') return reply;
    // A member that has joined anew meanwhile knows already.
    if (life === this.life && join === this.join) this.#repair(word);
    throw new NotMember(word);
  }

  /** A script that anybody may call. Rejects with StoreFailure. */
  async plain(script: Script, ...args: Argument[]): Promise<Reply> {
    try {
      return await this.redis.callDurable(script, [this.base], args);
    } catch (error) {
      throw failureOf(error);
    }
  }
}

export function failureOf(error: unknown): StoreFailure {
  if (error instanceof StoreFailure) return error;
  const text = error instanceof Error ? error.message : String(error);
  return new StoreFailure(`registry: ${text}`, ReasonCode.implementationSpecificError, error);
}
