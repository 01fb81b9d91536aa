// Not a broker: hands the bytes of publisher N to subscriber N and acknowledges QoS 1, with no
// routing and no state. What the generator reaches against it is the generator's own ceiling.
import { createServer, type Socket } from 'node:net';

const publisherById = new Map<string, Socket>();
const subscriberById = new Map<string, Socket>();

function acknowledge(socket: Socket, bytes: Buffer): void {
  const acks: number[] = [];
  let at = 0;
  while (at + 4 < bytes.length) {
    let body = at + 1;
    let length = 0;
    let shift = 0;
    let byte = 0x80;
    for (; byte > 0x7f; shift += 7) {
      byte = bytes.readUInt8(body++);
      length |= (byte & 0x7f) << shift;
    }
    const idAt = body + 2 + bytes.readUInt16BE(body);
    if (idAt + 2 > bytes.length) break;
    acks.push(0x40, 2, bytes.readUInt8(idAt), bytes.readUInt8(idAt + 1));
    at = body + length;
  }
  socket.write(Buffer.from(acks));
}

function serve(socket: Socket): void {
  socket.setNoDelay(true);
  socket.on('error', () => socket.destroy());
  let number = '';
  let isPublisher = false;
  socket.on('data', (chunk: Buffer) => {
    const type = chunk.readUInt8(0) >> 4;
    if (type === 1) {
      const clientId = chunk.subarray(14).toString('latin1');
      number = clientId.slice(clientId.indexOf('-') + 1);
      isPublisher = clientId.startsWith('publisher');
      (isPublisher ? publisherById : subscriberById).set(number, socket);
      socket.write(Buffer.from([0x20, 2, 0, 0]));
    } else if (type === 8) {
      socket.write(Buffer.from([0x90, 3, chunk.readUInt8(2), chunk.readUInt8(3), 0]));
    } else if (isPublisher) {
      subscriberById.get(number)?.write(chunk);
      if (chunk.readUInt8(0) === 0x32) acknowledge(socket, chunk);
    }
  });
}

const server = createServer(serve).listen(0, '127.0.0.1', 4096, () => {
  const address = server.address();
  if (address === null || typeof address === 'string') return;
  process.stdout.write(`ready mqtt=127.0.0.1:${address.port}\n`);
});
