import type { Publish } from '@lmqtt/proto/link';
import type { Outlet } from '../routing/outlet.ts';
import type { Answer, AnsweredSession } from '../sessions/answer.ts';

/**
 * Answers to publishes, in the order of each session's publishes [MQTT-4.6.0-2], whatever the order
 * in which stores answer; no session waits for another. Each cs gets those of a turn with one call.
 */
export class PublishAnswers {
  /** Answers of this turn. */
  readonly #outgoing = new Map<Outlet, Publish[]>();
  #sending = false;

  /** The answer comes behind those that the session waits for. */
  expect(node: Outlet, session: AnsweredSession, publish: Publish): Answer {
    const answer = { node, session, publish, waiting: 1 };
    session.unanswered.push(answer);
    return answer;
  }

  /** Nothing has to be stored for it. */
  now(node: Outlet, session: AnsweredSession, publish: Publish): void {
    if (session.unanswered.length === 0) this.send(node, publish);
    else this.expect(node, session, publish).waiting = 0;
  }

  /** One of the stores that the answer waits for has answered. */
  came(answer: Answer): void {
    answer.waiting -= 1;
    this.release(answer.session);
  }

  /** Sends the answers of a session that wait for nothing, up to the first that does. */
  release({ unanswered }: AnsweredSession): void {
    let count = 0;
    for (let first = unanswered[0]; first?.waiting === 0; first = unanswered[count]) {
      this.send(first.node, first.publish);
      count += 1;
    }
    if (count === 1) unanswered.shift();
    else if (count > 0) unanswered.splice(0, count);
  }

  send(node: Outlet, publish: Publish): void {
    const outgoing = this.#outgoing.get(node);
    if (outgoing === undefined) this.#outgoing.set(node, [publish]);
    else outgoing.push(publish);
  }

  /** A refusal may end its connection, whose last publishes come during the call. */
  sendAll(): void {
    if (this.#sending || this.#outgoing.size === 0) return;
    this.#sending = true;
    try {
      for (const [node, publishes] of this.#outgoing) {
        this.#outgoing.delete(node);
        node.downstream.published(publishes);
      }
    } finally {
      this.#sending = false;
    }
  }

  forget(node: Outlet): void {
    this.#outgoing.delete(node);
  }
}
