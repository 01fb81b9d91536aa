// A request of the REST interface that a cs has let in and passes on to a ds: a unary call over a
// connection of its own, since it is rare and may take long.
import { methodOf } from '../load.ts';

export interface Question {
  readonly caller: {
    readonly name: string;
    readonly role: string;
    /** `null`: access rules do not count. */
    readonly user: string | null;
    readonly address: string;
  };
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  /** JSON; '': none. */
  readonly body: string;
}

export interface Reply {
  /** Status of HTTP. */
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

export interface AskMethod {
  readonly path: string;
  readonly requestSerialize: (question: Question) => Buffer;
  readonly requestDeserialize: (bytes: Buffer) => Question;
  readonly responseSerialize: (reply: Reply) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => Reply;
}

interface PlainQuestion extends Omit<Question, 'caller'> {
  readonly caller: (Omit<Question['caller'], 'user'> & { readonly user?: string }) | null;
}

const { definition } = methodOf('Dispatch', 'Ask');

export const askMethod: AskMethod = {
  path: definition.path,
  requestSerialize: ({ caller: { user, ...caller }, ...question }) =>
    definition.requestSerialize({
      ...question,
      caller: user === null ? caller : { ...caller, user },
    }),
  requestDeserialize: (bytes) => {
    // The loader knows the fields of the message, but not their types: here they get them.
    const { caller, ...question } = definition.requestDeserialize(bytes) as PlainQuestion;
    if (caller === null) throw new RangeError('caller is missing');
    const { user, ...rest } = caller;
    return { ...question, caller: { ...rest, user: user ?? null } };
  },
  responseSerialize: (reply) => definition.responseSerialize(reply),
  responseDeserialize: (bytes) => definition.responseDeserialize(bytes) as Reply,
};
