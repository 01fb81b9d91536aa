import http2, { type Http2Server, type ServerOptions } from 'node:http2';

/**
 * Window of a stream and of its connection, bytes: frames never wait for a window in the midst of
 * one.
 */
const windowBytes = 8 * 1024 * 1024;

/**
 * Runs what makes an HTTP/2 server, and gives that a flow control window in which whole frames fit.
 * grpc-js has an option for this in its client only; its servers have 64 KiB, so that a cs which
 * sends more waits until ds has come round to reading it, again and again.
 */
export function withWindow<T>(make: () => T): T {
  const { createServer } = http2;
  const wide = (options: ServerOptions = {}): Http2Server => {
    const settings = { ...options.settings, initialWindowSize: windowBytes };
    const server = createServer({ ...options, settings });
    server.on('session', (session) => session.setLocalWindowSize(windowBytes));
    return server;
  };
  Object.assign(http2, { createServer: wide });
  try {
    return make();
  } finally {
    Object.assign(http2, { createServer });
  }
}
