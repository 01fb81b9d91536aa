import { isIPv4, isIPv6 } from 'node:net';
import { Client, Metadata, status } from '@grpc/grpc-js';
import type { ClientDuplexStream, StatusObject } from '@grpc/grpc-js';
import type { ExchangeMethod } from '@lmqtt/proto/dispatch';
import { addressText } from './directory.ts';
import type { DsAddress } from './directory.ts';
import { credentialsOf, type StreamTls } from './stream-credentials.ts';

interface DsStreamOptions {
  readonly method: ExchangeMethod;
  readonly address: DsAddress;
  readonly tls: StreamTls;
  readonly metadata: Readonly<Record<string, string>>;
  /** From opening to the first frame. */
  readonly connectTimeoutMs: number;
}

/** `secret`, `protocol` and `node in use`: ds said no, and why. */
type RefusalKind = 'secret' | 'protocol' | 'node in use';

export interface StreamEnd {
  /** undefined: it broke, or never came about. */
  readonly refusal: RefusalKind | undefined;
  /** For the log. */
  readonly reason: string;
}

export interface StreamTaker {
  frame(frame: Buffer): void;
  /** Once, and not after `close`. */
  ended(end: StreamEnd): void;
}

const refusals = new Map<status, RefusalKind>([
  [status.UNAUTHENTICATED, 'secret'],
  [status.FAILED_PRECONDITION, 'protocol'],
  [status.ALREADY_EXISTS, 'node in use'],
]);

const options = {
  'grpc.use_local_subchannel_pool': 1,
  'grpc.service_config_disable_resolution': 1,
  'grpc.enable_retries': 0,
  'grpc.enable_http_proxy': 0,
  'grpc.enable_channelz': 0,
  // How large an item may be is settled where it is asked for (a read's bytesMax, MAX_PACKET_SIZE
  // of any cs): a frame that is refused here would be sent again for ever.
  'grpc.max_receive_message_length': -1,
  'grpc.max_send_message_length': -1,
  'grpc-node.flow_control_window': 8 * 1024 * 1024,
  // Connections whose other end is gone are let go, also after their stream was closed.
  'grpc.keepalive_time_ms': 10_000,
  // A link that has just become slow needs less than this for the bytes ahead of a ping.
  'grpc.keepalive_timeout_ms': 60_000,
  'grpc.keepalive_permit_without_calls': 1,
};

/**
 * One gRPC stream to one ds. Hides grpc-js: its channels connect again by themselves and share
 * connections, so each stream has a channel of its own; and what a status means.
 */
export class DsStream {
  readonly #client: Client;
  readonly #call: ClientDuplexStream<Buffer, Buffer>;
  readonly #taker: StreamTaker;
  #connectTimer: NodeJS.Timeout | undefined;
  #over = false;

  /** Throws where a TLS file cannot be read or used. */
  constructor(stream: DsStreamOptions, taker: StreamTaker) {
    const { method, address, tls, metadata, connectTimeoutMs } = stream;
    this.#taker = taker;
    this.#client = new Client(targetOf(address), credentialsOf(tls), options);
    const sent = new Metadata();
    for (const [name, value] of Object.entries(metadata)) sent.set(name, value);
    const { path, requestSerialize, responseDeserialize } = method;
    this.#call = this.#client.makeBidiStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      sent,
    );
    this.#call.on('data', (frame: Buffer) => this.#arrived(frame));
    this.#call.on('status', (end) => this.#ended(endOf(end)));
    // Followed by the status, which says the same.
    this.#call.on('error', () => {});
    this.#connectTimer = setTimeout(() => {
      const reason = `no answer from ${addressText(address)} within ${connectTimeoutMs} ms`;
      this.#ended({ refusal: undefined, reason });
    }, connectTimeoutMs);
  }

  send(frame: Buffer): void {
    if (!this.#over) this.#call.write(frame);
  }

  close(): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#connectTimer);
    this.#call.cancel();
    this.#client.close();
  }

  #arrived(frame: Buffer): void {
    if (this.#over) return;
    if (this.#connectTimer !== undefined) {
      clearTimeout(this.#connectTimer);
      this.#connectTimer = undefined;
    }
    this.#taker.frame(frame);
  }

  #ended(end: StreamEnd): void {
    if (this.#over) return;
    this.close();
    this.#taker.ended(end);
  }
}

export function targetOf(address: DsAddress): string {
  const { host } = address;
  const scheme = isIPv4(host) ? 'ipv4' : isIPv6(host) ? 'ipv6' : 'dns';
  return `${scheme}:${addressText(address)}`;
}

function endOf({ code, details }: StatusObject): StreamEnd {
  const refusal = refusals.get(code);
  if (refusal !== undefined) return { refusal, reason: details };
  return { refusal, reason: details === '' ? `status ${status[code]}` : details };
}
