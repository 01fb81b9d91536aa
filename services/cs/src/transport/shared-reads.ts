// Reads of plain TCP sockets, all into one buffer, from which each takes what it brought: Node's
// own way costs a 64 KiB allocation and a pass through Readable for every read, a fifth of the time
// where clients have one message in flight. Chunks are cut from slabs and are nobody else's, so
// that payloads need no further copy.
//
// node:net offers `onread` to sockets that it makes itself and not to those that a server accepts.
// So the accepted socket hands its handle over to one that is made here; where a future Node has no
// such handle, the accepted one is used as it is.

import { Socket, type OnReadOpts, type SocketConstructorOpts } from 'node:net';

const readBytes = 64 << 10;
const slabBytes = 64 << 10;
/** A larger chunk has memory of its own, so that it ends no slab early. */
const cutBytesMax = 8 << 10;

const shared: Buffer = Buffer.allocUnsafeSlow(readBytes);
let slab: Buffer = Buffer.allocUnsafeSlow(slabBytes);
let slabAt = 0;

function chunkOf(bytes: number): Buffer {
  if (bytes > cutBytesMax) {
    const own = Buffer.allocUnsafeSlow(bytes);
    shared.copy(own, 0, 0, bytes);
    return own;
  }
  if (slabAt + bytes > slabBytes) {
    slab = Buffer.allocUnsafeSlow(slabBytes);
    slabAt = 0;
  }
  const start = slabAt;
  slabAt += bytes;
  shared.copy(slab, start, 0, bytes);
  return slab.subarray(start, slabAt);
}

/**
 * The socket to go on with. The accepted one must be paused (`pauseOnConnect`) and have no
 * listeners.
 */
export function readShared(accepted: Socket, onBytes: (chunk: Buffer) => void): Socket {
  const handle: unknown = Reflect.get(accepted, '_handle');
  if (typeof handle !== 'object' || handle === null) {
    accepted.on('data', onBytes);
    return accepted;
  }
  const options: SocketConstructorOpts & { handle: object; onread: OnReadOpts } = {
    handle,
    onread: {
      buffer: shared,
      callback: (bytes) => {
        onBytes(chunkOf(bytes));
        return true;
      },
    },
  };
  return new Socket(options);
}
