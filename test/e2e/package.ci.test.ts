// The npm package, as a stranger gets it: packed, installed into an empty folder, run, embedded, and
// checked by the compiler of a program that uses it.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { isCluster, isSplit } from '../harness/shape.ts';
import { connected } from '../harness/wire.ts';

const root = join(import.meta.dirname, '../../..');
const program = `
import { type EmbeddedBroker, type HookPublish, type Hooks, startBroker } from 'lmqtt';

const hooks: Hooks = {
  onConnect: ({ clientid, session_present }) => console.log(clientid, session_present),
  onSubscribe: ({ filter }) => (filter === 'no' ? 0x87 : 1),
  onPublish: async ({ topic, payload, properties }: HookPublish) => {
    if (properties.contentType === 'x') return false;
    return { topic: 'to/' + topic, payload: payload.subarray(1), properties: null };
  },
};
const broker: EmbeddedBroker = await startBroker({
  settings: { maxPacketSize: '64k' },
  hooks,
  auth: { authenticate: ({ username }) => (username === 'ann' ? 'allow' : 'deny') },
});
const port: number | undefined = broker.ports.mqtt;
await broker.publish({ topic: 'a', payload: 'x', qos: 1, retain: true });
console.log(typeof port);
await broker.close();
`;

void describe(
  'the npm package',
  { skip: isSplit || isCluster ? 'of one process only' : false },
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'lmqtt-package-'));
    const run = (command: string, ...args: string[]): string =>
      execFileSync(command, args, { cwd: folder, encoding: 'utf8' });
    before(() => {
      const packed = join(folder, 'packed');
      const tarball = run(process.execPath, join(root, 'scripts/pack.mjs'), packed).trim();
      writeFileSync(join(folder, 'package.json'), '{"private": true, "type": "module"}');
      run('npm', 'install', '--no-audit', '--no-fund', '--prefer-offline', tarball);
    });
    after(() => rmSync(folder, { recursive: true, force: true }));

    void test('its command says its version and serves clients', async () => {
      assert.match(run('npx', 'lmqtt', '--version'), /^\d+\.\d+\.\d+\n$/);
      const flags = ['--mqtt-port', '0', '--ws-port', 'off', '--ops-port', 'off'];
      const bin = join(folder, 'node_modules/.bin/lmqtt');
      const broker = spawn(bin, [...flags, '--data-dir', 'data'], {
        cwd: folder,
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      try {
        for await (const line of createInterface({ input: broker.stdout })) {
          const port = /127\.0\.0\.1:(\d+)/.exec(line)?.[1];
          if (port === undefined) continue;
          const client = await connected(Number(port), { version: 5 });
          await client.subscribe('a', 1);
          client.sendPublish({ topic: 'a', qos: 1, packetId: 1, payload: Buffer.from('x') });
          await client.find('publish', { topic: 'a' });
          client.destroy();
          break;
        }
      } finally {
        broker.kill('SIGKILL');
      }
    });

    void test('a strict program that embeds it compiles and runs', () => {
      mkdirSync(join(folder, 'src'));
      writeFileSync(join(folder, 'src/main.ts'), program);
      const types = ['--typeRoots', join(root, 'test/node_modules/@types'), '--types', 'node'];
      const flags = ['--strict', '--module', 'nodenext', '--target', 'es2023', '--outDir', 'out'];
      const tsc = join(root, 'node_modules/.bin/tsc');
      run(tsc, ...flags, ...types, 'src/main.ts');
      assert.equal(run(process.execPath, 'out/main.js'), 'number\n');
    });
  },
);
