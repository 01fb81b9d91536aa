import type { ClientId } from '@lmqtt/common/ids';
import type { Logs } from '@lmqtt/common/log';
import type { Metrics, PlainCounters } from '@lmqtt/common/metrics';
import { type Ban, type BanKind, banKinds } from './ban-store/ban.ts';
import type { ClientHistory } from './client-history.ts';

const names = { client: 'client identifier', user: 'user', address: 'address' } as const;

/** Events of bans, each with its counter and its log line. */
export class BanEvents {
  readonly #logs: Logs;
  readonly #history: ClientHistory;
  readonly #counts: PlainCounters<BanKind>;

  constructor(logs: Logs, metrics: Metrics, history: ClientHistory) {
    this.#logs = logs;
    this.#history = history;
    this.#counts = metrics.counters(
      'lmqtt_ds_banned_total',
      'CONNECTs refused and connections ended because of a ban, by the kind of the ban',
      'kind',
      banKinds,
    );
  }

  put({ kind, who, reason, by, endsAtMs }: Ban): void {
    this.#logs.auth.info({ kind, who, reason, by, endsAtMs }, 'banned');
  }

  removed(kind: BanKind, who: string): void {
    this.#logs.auth.info({ kind, who }, 'ban removed');
  }

  /** The refusal of the CONNECT has a line of its own. Gives the reason for it. */
  refused(kind: BanKind): string {
    this.#counts[kind] += 1;
    return `its ${names[kind]} is banned`;
  }

  sentAway(clientId: ClientId, kind: BanKind): void {
    this.#counts[kind] += 1;
    const reason = `its ${names[kind]} is banned`;
    this.#logs.session.info({ clientId, reason }, 'a banned client is sent away');
    this.#history.note(clientId, 'banned', reason);
  }

  flapNotBanned(clientId: ClientId, error: unknown): void {
    this.#logs.auth.warn({ clientId, err: error }, 'a client that flaps could not be banned');
  }
}
