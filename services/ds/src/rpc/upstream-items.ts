import type { NodeId, SessionHandle } from '@lmqtt/common/ids';
import { calls } from '@lmqtt/proto/calls';
import type { Link, ReadRequest, SessionWrite } from '@lmqtt/proto/link';
import type { NumberedPublish, UpstreamHandler } from '@lmqtt/proto/wire/upstream';
import { WireError } from '@lmqtt/proto/wire/wire-error';
import type { Admission } from './admission.ts';
import type { DownstreamItems } from './downstream-items.ts';
import type { RpcEvents } from './rpc-events.ts';
import { upstreamCalls } from './upstream-calls.ts';

interface UpstreamPorts {
  readonly link: Link;
  readonly node: NodeId;
  readonly admission: Pick<Admission, 'clientOf'>;
  readonly down: DownstreamItems;
  readonly events: RpcEvents;
  /** The node leaves: what it asked for by this call is answered by its attachment. */
  readonly leave: (id: number, goesOn: boolean) => void;
}

/** Items of an admitted cs: each is a call of its link, made in the order of the items. */
export class UpstreamItems implements UpstreamHandler {
  readonly #ports: UpstreamPorts;

  constructor(ports: UpstreamPorts) {
    this.#ports = ports;
  }

  clientOf(session: SessionHandle): string | undefined {
    return this.#ports.admission.clientOf(this.#ports.node, session);
  }

  publishes(batch: NumberedPublish[]): void {
    this.#ports.link.publish(batch);
  }

  writes(number: number, batch: SessionWrite[]): void {
    const { link, down } = this.#ports;
    if (number === 0) link.write(batch);
    else if (!link.write(batch, () => down.durable(number))) down.fenced(number);
  }

  credit(session: SessionHandle, messagesTotal: number): void {
    this.#ports.link.credit(session, messagesTotal);
  }

  call(id: number, method: number, body: Buffer): void {
    if (method === calls.leave.method) {
      this.#ports.leave(id, goesOnOf(body));
      return;
    }
    const run = upstreamCalls.get(method);
    if (run === undefined) throw new WireError(`a call that ds does not know: ${method}`);
    const { link, down } = this.#ports;
    const holdsMessages = method === calls.readRetained.method;
    run(link, body).then(
      (answer) => {
        if (holdsMessages) down.answerWithMessages(id, answer);
        else down.answer(id, answer);
      },
      (error: unknown) => this.#failed(id, error),
    );
  }

  read(id: number, request: ReadRequest): void {
    this.#ports.link.read(request).then(
      (answer) => this.#ports.down.readAnswer(id, answer),
      (error: unknown) => this.#failed(id, error),
    );
  }

  presents(): void {
    throw new WireError('sessions are presented twice');
  }

  #failed(id: number, error: unknown): void {
    this.#ports.events.callFailed(this.#ports.node, error);
    this.#ports.down.failed(id, error instanceof Error ? error.message : String(error));
  }
}

function goesOnOf(body: Buffer): boolean {
  try {
    return calls.leave.request.decode(body).goesOn;
  } catch (error) {
    throw new WireError('the body of a call cannot be read', { cause: error });
  }
}
