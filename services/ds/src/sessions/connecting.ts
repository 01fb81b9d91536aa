import type { ConnectionEnd, ConnectRequest } from '@lmqtt/proto/link';
import type { EnhancedAuthExchange } from '../auth/enhanced-auth.ts';

/** A connection between its CONNECT and the answer. */
export class Connecting {
  readonly request: ConnectRequest;
  exchange: EnhancedAuthExchange | undefined = undefined;
  /** The connection ended meanwhile. */
  gone: ConnectionEnd | undefined = undefined;

  constructor(request: ConnectRequest) {
    this.request = request;
  }
}
