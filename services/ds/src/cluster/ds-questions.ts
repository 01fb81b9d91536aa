// Questions of operators to every ds of the cluster, by way of the registry. Each subject has a
// function that answers at each ds.
import type { NodeId } from '@lmqtt/common/ids';
import type { DsEvents } from '../events.ts';
import type { Inbox } from '../registry/inbox.ts';
import type { Nodes } from '../registry/nodes.ts';

interface DsQuestionsPorts {
  readonly inbox: Inbox;
  readonly registeredNodes: Pick<Nodes, 'list'>;
  readonly self: NodeId;
  readonly events: Pick<DsEvents, 'unexpected'>;
}

type Body =
  | { readonly number: number; readonly subject: string; readonly question: unknown }
  | { readonly number: number; readonly answer: unknown };

interface Asked {
  readonly left: Set<NodeId>;
  readonly answers: unknown[];
  readonly done: () => void;
}

const use = 'operators';
/** A ds that has not answered by then is passed over. */
const answerMs = 5000;

export class PeerQuestions {
  readonly #ports: DsQuestionsPorts;
  readonly #subjects = new Map<string, (question: unknown) => Promise<unknown>>();
  readonly #asked = new Map<number, Asked>();
  #lastNumber = 0;

  constructor(ports: DsQuestionsPorts) {
    this.#ports = ports;
    ports.inbox.onMessage((from, message) => {
      if (message.kind !== 'to' || message.use !== use) return;
      const body = message.body as Body;
      if ('subject' in body) void this.#reply(from, body.number, body.subject, body.question);
      else this.#answered(from, body.number, body.answer);
    });
  }

  /**
   * Question and answer are JSON. What is returned asks every ds, this one included; its answers
   * are those that came in time.
   */
  about<Question, Answer>(
    subject: string,
    answer: (question: Question) => Promise<Answer>,
  ): (question: Question) => Promise<Answer[]> {
    // Both ends of a subject are made here, so that it has one type of question and of answer.
    this.#subjects.set(subject, (question) => answer(question as Question));
    return async (question) => {
      const others = this.#others(subject, question);
      const own = await answer(question);
      return [own, ...((await others) as Answer[])];
    };
  }

  async #others(subject: string, question: unknown): Promise<unknown[]> {
    const { registeredNodes, self, inbox } = this.#ports;
    const nodes = await registeredNodes.list();
    const others = nodes.filter(
      ({ role, id, state }) => role === 'ds' && id !== self && state !== 'gone',
    );
    if (others.length === 0) return [];
    this.#lastNumber += 1;
    const number = this.#lastNumber;
    return new Promise((resolve) => {
      const answers: unknown[] = [];
      const done = (): void => {
        clearTimeout(timer);
        this.#asked.delete(number);
        resolve(answers);
      };
      const timer = setTimeout(done, answerMs);
      this.#asked.set(number, { left: new Set(others.map(({ id }) => id)), answers, done });
      const body: Body = { number, subject, question };
      for (const { id } of others) inbox.send(id, { kind: 'to', use, body });
    });
  }

  #answered(from: NodeId, number: number, answer: unknown): void {
    const asked = this.#asked.get(number);
    if (asked === undefined || !asked.left.delete(from)) return;
    asked.answers.push(answer);
    if (asked.left.size === 0) asked.done();
  }

  async #reply(to: NodeId, number: number, subject: string, question: unknown): Promise<void> {
    try {
      const answer = await this.#subjects.get(subject)?.(question);
      if (answer === undefined) return;
      const body: Body = { number, answer };
      this.#ports.inbox.send(to, { kind: 'to', use, body });
    } catch (error) {
      this.#ports.events.unexpected('question of an operator', error);
    }
  }
}
