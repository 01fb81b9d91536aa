// aedes in a process of its own, with its memory persistence and its default settings, on
// a plain server as its documentation has it. Given a
// certificate and its key as arguments it speaks TLS.
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';

import { Aedes } from 'aedes';

const broker = await Aedes.createBroker();
const [cert, key] = process.argv.slice(2);

function server(): Server {
  if (cert === undefined || key === undefined) {
    return createServer((socket) => {
      broker.handle(socket);
    });
  }
  const files = { cert: readFileSync(cert), key: readFileSync(key) };
  return createTlsServer(files, (socket) => {
    broker.handle(socket);
  });
}

const listener = server();
listener.listen(0, '127.0.0.1', 4096, () => {
  const address = listener.address();
  if (address === null || typeof address === 'string') return;
  process.stdout.write(`ready mqtt=127.0.0.1:${address.port}\n`);
});
