// How many connections the HTTP server has and how long each may say nothing: whoever opens many
// and asks nothing keeps out nobody who asks.
import type { IncomingMessage, Server, ServerOptions, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

export interface ConnectionLimits {
  /** Time for a whole request from the opening of its connection, and between two requests. */
  readonly timeoutMs: number;
  readonly connectionsMax: number;
}

const checkMsMax = 1000;
/**
 * An answer that its client does not take is given up after so many times the time for a request.
 */
const answerTimes = 3;

/** Options of a server that keeps these limits. */
export function timeoutOptions({ timeoutMs }: ConnectionLimits): ServerOptions {
  return {
    headersTimeout: timeoutMs,
    requestTimeout: timeoutMs,
    keepAliveTimeout: timeoutMs,
    connectionsCheckingInterval: Math.min(checkMsMax, timeoutMs),
  };
}

/** `onLimit` is called for each connection that is closed because there are too many. */
export function limitConnections(
  server: Server,
  { timeoutMs, connectionsMax }: ConnectionLimits,
  onLimit: () => void,
): void {
  /** The oldest first. */
  const open = new Set<Socket>();
  const answering = new Set<Socket>();
  server.setTimeout(timeoutMs * answerTimes);
  server.on('connection', (socket: Socket) => {
    open.add(socket);
    socket.once('close', () => {
      open.delete(socket);
      answering.delete(socket);
    });
    if (open.size <= connectionsMax) return;
    onLimit();
    let leaving = socket;
    for (const each of open) {
      if (answering.has(each)) continue;
      leaving = each;
      break;
    }
    open.delete(leaving);
    leaving.destroy();
  });
  server.on('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
    answering.add(socket);
    response.once('close', () => answering.delete(socket));
  });
}
