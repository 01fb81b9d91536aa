import { type CallType, calls } from '@lmqtt/proto/calls';
import type { Link } from '@lmqtt/proto/link';
import { WireError } from '@lmqtt/proto/wire/wire-error';

/** A call of cs from its body to the body of its answer. The link is called at once. */
type RunCall = (link: Link, body: Buffer) => Promise<Buffer>;

function runOf<Request, Answer>(
  type: CallType<Request, Answer>,
  run: (link: Link, request: Request) => Promise<Answer>,
): [number, RunCall] {
  const runCall: RunCall = (link, body) => {
    let request: Request;
    try {
      request = type.request.decode(body);
    } catch (error) {
      return Promise.reject(new WireError('the body of a call cannot be read', { cause: error }));
    }
    return run(link, request).then((answer) => type.answer.encode(answer));
  };
  return [type.method, runCall];
}

/** By their numbers; Leave is the attachment's own. */
export const upstreamCalls: ReadonlyMap<number, RunCall> = new Map([
  runOf(calls.connect, (link, request) => link.connect(request)),
  runOf(calls.continueConnect, (link, { session, authenticationData }) =>
    link.continueConnect(session, authenticationData),
  ),
  runOf(calls.subscriptionsOf, (link, { session, from }) => link.subscriptionsOf(session, from)),
  runOf(calls.reauthenticate, (link, { session, authenticationData, start }) =>
    link.reauthenticate(session, authenticationData, start),
  ),
  runOf(calls.disconnect, (link, { session, end }) => link.disconnect(session, end)),
  runOf(calls.subscribe, (link, { session, subscriptions }) =>
    link.subscribe(session, subscriptions),
  ),
  runOf(calls.unsubscribe, (link, { session, filters }) => link.unsubscribe(session, filters)),
  runOf(calls.settle, (link, session) => link.settle(session)),
  runOf(calls.undelivered, (link, { session, messages }) => link.undelivered(session, messages)),
  runOf(calls.readRetained, (link, request) => link.readRetained(request)),
]);
