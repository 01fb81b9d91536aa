import type { ClientId } from '@lmqtt/common/ids';
import { ReasonCode } from '@lmqtt/common/reason-code';
import type { DsEvents } from '../events.ts';
import type { Answer } from '../sessions/answer.ts';
import type { PublishAnswers } from './publish-answers.ts';

/** Whether a client has a session anywhere. */
export type HasSession = (client: ClientId) => Promise<boolean>;

/**
 * Publishes to one client that is connected nowhere: whether it has a session at all, since its queue
 * is there for some time after that. Before 5.0 publishers are not told.
 */
export class AbsentClients {
  readonly #hasSession: HasSession;
  readonly #answers: PublishAnswers;
  readonly #events: DsEvents;

  constructor(hasSession: HasSession, answers: PublishAnswers, events: DsEvents) {
    this.#hasSession = hasSession;
    this.#answers = answers;
    this.#events = events;
  }

  /** The answer waits for it. */
  ask(client: ClientId, answer: Answer): void {
    if (answer.session.protocolVersion !== 5) return;
    answer.waiting += 1;
    this.#hasSession(client)
      // Where that cannot be asked, a queue stands for a session.
      .catch(() => true)
      .then((has) => {
        const { publish } = answer;
        if (!has && publish.reasonCode === 0) publish.reasonCode = ReasonCode.noMatchingSubscribers;
        this.#answers.came(answer);
        this.#answers.sendAll();
      })
      .catch((error: unknown) => this.#events.unexpected('answer of a publish', error));
  }
}
