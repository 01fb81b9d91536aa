import { answerCodes } from './codes.ts';
import { type Answer, RemotingConnection } from './connection.ts';
import type { ConnectionOptions } from './connection-options.ts';
import { RemotingError } from './errors.ts';
import type { RemotingRequest } from './request.ts';

/** The name servers of a RocketMQ. They know the same brokers and share nothing else. */
export class NameServers {
  readonly #connections: readonly RemotingConnection[];
  /** The one that answered last. */
  #first = 0;
  /** By address: whether it answered when it was last asked. */
  readonly #answers = new Map<string, boolean>();

  constructor(addresses: readonly string[], options: ConnectionOptions) {
    if (addresses.length === 0) throw new Error('no name server is named');
    this.#connections = addresses.map(
      (address) => new RemotingConnection(address, options, { waits: false }),
    );
  }

  /**
   * The answer of the first that knows. Undefined: none of those that answer does, which they say
   * with code `unknown`. Throws where none answers.
   */
  async ask(request: RemotingRequest, unknown?: number): Promise<Answer | undefined> {
    const failures: string[] = [];
    let answered = false;
    const count = this.#connections.length;
    for (let tried = 0; tried < count; tried += 1) {
      const index = (this.#first + tried) % count;
      const connection = this.#connections[index];
      if (connection === undefined) continue;
      try {
        const answer = await this.#ask(connection, request);
        const { code } = answer.header;
        if (code === answerCodes.success) {
          if (!answered) this.#first = index;
          return answer;
        }
        answered ||= code === unknown;
        if (code !== unknown) failures.push(refusal(connection, request, answer).message);
      } catch (error) {
        failures.push(error instanceof Error ? error.message : String(error));
      }
    }
    if (answered) return undefined;
    throw new Error(`no name server answers: ${failures.join('; ')}`);
  }

  /** Throws when one of them did not take it, after all were asked. */
  async tellAll(request: RemotingRequest): Promise<void> {
    const outcomes = await Promise.allSettled(
      this.#connections.map(async (connection) => {
        const answer = await this.#ask(connection, request);
        if (answer.header.code !== answerCodes.success) throw refusal(connection, request, answer);
      }),
    );
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  }

  /** Asks each of them, whatever it answers; never rejects. */
  async probe(request: RemotingRequest): Promise<void> {
    await Promise.allSettled(this.#connections.map((each) => this.#ask(each, request)));
  }

  /** By address, of those that were asked. */
  get answers(): ReadonlyMap<string, boolean> {
    return this.#answers;
  }

  async #ask(connection: RemotingConnection, request: RemotingRequest): Promise<Answer> {
    try {
      const answer = await connection.ask(request);
      this.#answers.set(connection.address, true);
      return answer;
    } catch (error) {
      this.#answers.set(connection.address, false);
      throw error;
    }
  }

  close(): void {
    for (const connection of this.#connections) connection.close();
  }
}

function refusal(
  { address }: RemotingConnection,
  { name }: RemotingRequest,
  { header }: Answer,
): Error {
  return new RemotingError(address, name, header.code, header.remark);
}
