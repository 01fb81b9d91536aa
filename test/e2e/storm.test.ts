// Many clients who come at once, and again while their connections before are up: all of them get
// in.
import assert from 'node:assert/strict';
import net from 'node:net';
import { describe, test } from 'node:test';
import * as packets from '../harness/packets.ts';
import { Suite } from '../harness/suite.ts';
import { unique } from '../harness/wire.ts';

const clients = 1500;
/** A busy machine takes ten times as long as it needs. */
const servedMs = 120_000;

interface Answered {
  readonly socket: net.Socket;
  /** The code of CONNACK; undefined: it was closed without one. */
  readonly code: number | undefined;
}

/** Each from one of some addresses of this machine. */
function come(port: number, index: number, clientId: string): Promise<Answered> {
  const localAddress = `127.0.1.${1 + (index % 8)}`;
  const socket = net.connect({ port, host: '127.0.0.1', localAddress });
  socket.write(packets.connect({ clientId, clean: index % 2 === 0 }));
  return new Promise((resolve) => {
    socket.once('data', (bytes) => resolve({ socket, code: bytes[3] }));
    socket.on('error', () => {});
    socket.once('close', () => resolve({ socket, code: undefined }));
  });
}

void describe('a storm of CONNECTs', () => {
  const suite = new Suite({ settings: { CONNECT_TIMEOUT_MS: '60s' } });

  void test(
    `${clients} clients who come at once, and once more, all get in; others are answered meanwhile`,
    { timeout: 2 * servedMs },
    async () => {
      const other = await suite.client({ clientId: unique('other') });
      await other.subscribe('t', 1);
      const stem = unique('storm');
      const open: net.Socket[] = [];
      for (const again of [false, true]) {
        const { port } = suite;
        const storm = Promise.all(
          Array.from({ length: clients }, (_, index) => come(port, index, `${stem}-${index}`)),
        );
        let over = false;
        void storm.then(() => (over = true));
        // Acknowledgements and deliveries come in between.
        while (!over) {
          await other.publish('t', 'x', { qos: 1 });
          await other.receive({ topic: 't' });
        }
        const codes = new Map<number | undefined, number>();
        for (const { socket, code } of await storm) {
          open.push(socket);
          codes.set(code, (codes.get(code) ?? 0) + 1);
        }
        assert.deepEqual([...codes], [[0, clients]], again ? 'who comes again' : 'who comes first');
      }
      for (const socket of open) socket.destroy();
      const metrics = await suite.broker.metrics();
      assert.equal(metrics.get('lmqtt_limit_total{limit="connect_wait_ms"}'), 0);
    },
  );
});
