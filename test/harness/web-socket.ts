// A raw client over a WebSocket: the same packets in binary frames.
import { once } from 'node:events';
import { createWebSocketStream, WebSocket } from 'ws';
import type { RawOptions } from './wire.ts';
import { deadlineMs, RawClient } from './wire.ts';

export interface WebSocketOptions extends RawOptions {
  readonly path?: string;
  readonly protocols?: readonly string[];
}

/** An open WebSocket, for tests that send frames themselves. */
export async function openWebSocket(
  port: number,
  options: WebSocketOptions = {},
): Promise<WebSocket> {
  const url = `ws://${options.host ?? '127.0.0.1'}:${port}${options.path ?? '/mqtt'}`;
  const socket = new WebSocket(url, [...(options.protocols ?? ['mqtt'])], {
    handshakeTimeout: deadlineMs,
  });
  await once(socket, 'open');
  return socket;
}

export async function connectWebSocket(
  port: number,
  options: WebSocketOptions = {},
): Promise<RawClient> {
  const socket = await openWebSocket(port, options);
  return new RawClient(createWebSocketStream(socket), options.version);
}
