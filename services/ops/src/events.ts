// Business events of ops: each is one function, so that its counter and its log line cannot drift
// apart.
import type { ClientId } from '@lmqtt/common/ids';
import type { Logger } from '@lmqtt/common/log';
import type { Metrics } from '@lmqtt/common/metrics';

/** A line of the audit. */
interface Action {
  /** Name of the token. */
  readonly who: string;
  readonly role: string;
  readonly address: string;
  readonly action: string;
  readonly on: object;
  /** HTTP status of the answer. */
  readonly status: number;
}

export interface OpsEvents {
  listening(address: string, port: number): void;
  restRefused(address: string): void;
  acted(action: Action): void;
  tokensRead(path: string, tokens: number): void;
  tokensRefused(path: string, reason: string): void;
  disconnectAsked(clientId: ClientId, found: boolean): void;
  deadLettersChanged(what: 'replay' | 'purge', letters: number): void;
  delayedCancelAsked(id: number, found: boolean): void;
  /** A request cannot be answered, because something that it needs cannot be reached. */
  notReady(route: string, missing: string): void;
  requestFailed(route: string, error: Error): void;
}

export function opsEvents(log: Logger, metrics: Metrics): OpsEvents {
  const requests = metrics.counters(
    'lmqtt_ops_events_total',
    'Events of the ops port, by event',
    'event',
    [
      'acted',
      'dead_letters_changed',
      'delayed_cancel_asked',
      'disconnect_asked',
      'not_ready',
      'request_failed',
      'rest_refused',
    ],
  );
  return {
    listening(address, port) {
      log.info({ address, port }, 'ops listens');
    },
    restRefused(address) {
      requests.rest_refused += 1;
      log.warn({ address }, 'REST request refused: it has no valid token');
    },
    acted(action) {
      requests.acted += 1;
      log.info(action, 'audit');
    },
    tokensRead(path, tokens) {
      log.info({ path, tokens }, 'tokens of the REST interface read');
    },
    tokensRefused(path, reason) {
      log.error({ path, reason }, 'tokens not read; those read before stay in force');
    },
    disconnectAsked(clientId, found) {
      requests.disconnect_asked += 1;
      log.info({ clientId, found }, 'an operator disconnects a client');
    },
    deadLettersChanged(what, letters) {
      requests.dead_letters_changed += 1;
      log.info({ what, letters }, 'operator changes dead letters');
    },
    delayedCancelAsked(id, found) {
      requests.delayed_cancel_asked += 1;
      log.info({ id, found }, 'operator cancels a delayed message');
    },
    notReady(route, reason) {
      requests.not_ready += 1;
      log.warn({ route, reason }, 'request cannot be answered');
    },
    requestFailed(route, error) {
      requests.request_failed += 1;
      log.error({ route, err: error }, 'request failed');
    },
  };
}
