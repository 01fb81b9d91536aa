// onSubscribe, before filters are subscribed to: it refuses some, and lowers the QoS of others.
import { ReasonCode } from '@lmqtt/common/reason-code';
import { lowerQos } from '@lmqtt/common/qos';
import { withoutReplay } from '@lmqtt/common/replay-filter';
import { isValidTopicFilter, parseSharedFilter } from '@lmqtt/common/topic';
import type { SubscribeAnswer, SubscribeEntry } from '@lmqtt/proto/link';
import { type HookCalls, isPromise, type NoAnswer, noAnswer } from '../hooks/hook-calls.ts';
import { hookClient } from '../hooks/hooked-message.ts';
import type { Hooks, SubscribeVerdict } from '../hooks/hooks.ts';
import { HookedLine } from '../sessions/hooked-line.ts';
import type { LiveSession } from '../sessions/live-session.ts';
import type { SessionRights } from './session-rights.ts';

const codes: ReadonlySet<number> = new Set([
  ...[0x80, 0x83, 0x87, 0x8f, 0x91, 0x97, 0x9e, 0xa1, 0xa2],
]);

export class SubscribeHook {
  readonly #calls: HookCalls;
  readonly #onSubscribe: NonNullable<Hooks['onSubscribe']>;
  readonly #rights: Pick<SessionRights, 'admits'>;

  constructor(
    calls: HookCalls,
    onSubscribe: NonNullable<Hooks['onSubscribe']>,
    rights: Pick<SessionRights, 'admits'>,
  ) {
    this.#calls = calls;
    this.#onSubscribe = onSubscribe;
    this.#rights = rights;
  }

  /** `go` subscribes to what is left. Requests of one session are worked on one after another. */
  subscribe(
    session: LiveSession,
    entries: SubscribeEntry[],
    go: (entries: SubscribeEntry[]) => Promise<SubscribeAnswer[]>,
  ): Promise<SubscribeAnswer[]> {
    return this.inOrder(session, () => this.#subscribe(session, entries, go));
  }

  inOrder<T>(session: LiveSession, work: () => Promise<T>): Promise<T> {
    const line = (session.hooked ??= new HookedLine());
    const done = line.requests.then(work);
    line.requests = done.catch(() => undefined);
    return done;
  }

  async #subscribe(
    session: LiveSession,
    entries: SubscribeEntry[],
    go: (entries: SubscribeEntry[]) => Promise<SubscribeAnswer[]>,
  ): Promise<SubscribeAnswer[]> {
    const judged = await Promise.all(entries.map((entry) => this.#judge(session, entry)));
    const admitted = judged.filter((one) => typeof one !== 'number');
    const isGone = session.closing;
    const answers = admitted.length === 0 || isGone ? [] : await go(admitted);
    let index = 0;
    return judged.map((one) => {
      if (typeof one === 'number') return refused(one);
      if (isGone) return refused(ReasonCode.unspecifiedError);
      return answers[index++]!;
    });
  }

  async #judge(session: LiveSession, entry: SubscribeEntry): Promise<SubscribeEntry | number> {
    const calls = this.#calls;
    const filter = withoutReplay(entry.filter);
    const shared = parseSharedFilter(filter);
    // The hook is not asked about a filter that is refused anyway.
    if (!isValidTopicFilter(filter) || shared === 'malformed') return entry;
    if (!this.#rights.admits(session, shared?.filter ?? filter)) return entry;
    if (calls.isFull) {
      calls.full('onSubscribe');
      return ReasonCode.quotaExceeded;
    }
    const asked = { ...hookClient(session), filter, qos: entry.options.qos };
    const said = calls.ask('onSubscribe', () => this.#onSubscribe(asked));
    return this.#verdict(entry, isPromise(said) ? await said : said);
  }

  #verdict(entry: SubscribeEntry, said: SubscribeVerdict | NoAnswer): SubscribeEntry | number {
    const calls = this.#calls;
    if (said === undefined || said === true) {
      calls.count('onSubscribe', 'done');
      return entry;
    }
    if (said === 0 || said === 1 || said === 2) {
      const qos = lowerQos(said, entry.options.qos);
      calls.count('onSubscribe', qos === entry.options.qos ? 'done' : 'changed');
      return { ...entry, options: { ...entry.options, qos } };
    }
    if (said === false || (typeof said === 'number' && codes.has(said))) {
      calls.count('onSubscribe', 'refused');
      return said === false ? ReasonCode.notAuthorized : said;
    }
    if (said !== noAnswer)
      calls.fails('onSubscribe', 'an answer that is none of those that it may give');
    return ReasonCode.implementationSpecificError;
  }
}

function refused(reasonCode: number): SubscribeAnswer {
  return { kind: 'refused', reasonCode };
}
