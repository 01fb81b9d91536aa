import type { Clock } from '@lmqtt/common/clock';

import type { RemotingEvents } from './events.ts';

export interface Credentials {
  readonly accessKey: string;
  readonly secretKey: string;
}

/** RocketMQ speaks TLS on the port that it speaks without. PEM, as Node takes it. */
export interface RemotingTls {
  readonly ca?: string | Buffer | (string | Buffer)[];
  readonly cert?: string | Buffer;
  readonly key?: string | Buffer;
  /** Default: true. */
  readonly rejectUnauthorized?: boolean;
  /** The name that the certificate must carry. Default: the host of the address. */
  readonly serverName?: string;
}

export interface ConnectionOptions {
  readonly credentials?: Credentials | undefined;
  readonly tls?: RemotingTls | undefined;
  readonly clock: Clock;
  readonly events: RemotingEvents;
  readonly requestTimeoutMs: number;
  /** Default: 3,000. */
  readonly connectTimeoutMs?: number;
  /** Requests without an answer, those that wait for the connection included. Default: 20,000. */
  readonly outstandingMax?: number;
  /** Maximum bytes of an answer. Default: 32 MiB. */
  readonly frameBytesMax?: number;
  /** Asked before each socket write: false, and the connection is reset instead. */
  readonly mayWrite?: (() => boolean) | undefined;
}
