import type { Message } from '@lmqtt/common/message';
import type { ConnectionEnd, ConnectRequest, Downstream } from '@lmqtt/proto/link';
import type { EnhancedAuthExchange } from '../auth/enhanced-auth.ts';

/** A connection between its CONNECT and the answer. */
export class Connecting {
  readonly request: ConnectRequest;
  exchange: EnhancedAuthExchange | undefined = undefined;
  /** Its will, where a hook has changed it. */
  willMessage: Message | undefined = undefined;
  /** The connection ended meanwhile. */
  gone: ConnectionEnd | undefined = undefined;

  readonly #cs: Pick<Downstream, 'reach'>;

  constructor(request: ConnectRequest, cs: Pick<Downstream, 'reach'>) {
    this.request = request;
    this.#cs = cs;
  }

  /** False: its client has left, or its cs has given it up. */
  get wanted(): boolean {
    return this.gone === undefined && this.#cs.reach !== 'closed';
  }

  /** There is a stream to its cs, so that this ds is told where the CONNECT is given up. */
  get heard(): boolean {
    return this.#cs.reach !== 'broken';
  }
}
