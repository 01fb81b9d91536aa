import type { Socket } from 'node:net';

/** The first bytes of an HTTP/2 client, RFC 9113, 3.4. */
const preface: Buffer = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

type PrefaceOutcome = 'http2' | 'other' | 'closed';

/**
 * Waits for the first bytes of a connection. `http2`: the socket is paused, and what was read is
 * back in it; otherwise the socket is for the caller to destroy. `done` is called once.
 */
export function awaitPreface(socket: Socket, done: (outcome: PrefaceOutcome) => void): void {
  let read: Buffer = Buffer.alloc(0);
  const end = (outcome: PrefaceOutcome): void => {
    socket.off('data', take);
    socket.off('close', closed);
    socket.off('end', closed);
    socket.pause();
    if (outcome === 'http2') socket.unshift(read);
    done(outcome);
  };
  const take = (chunk: Buffer): void => {
    read = read.length === 0 ? chunk : Buffer.concat([read, chunk]);
    const length = Math.min(read.length, preface.length);
    if (read.compare(preface, 0, length, 0, length) !== 0) end('other');
    else if (length === preface.length) end('http2');
  };
  const closed = (): void => end(read.length === 0 ? 'closed' : 'other');
  socket.on('data', take);
  socket.once('close', closed);
  socket.once('end', closed);
}
