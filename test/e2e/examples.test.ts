// The examples of identities, bridges and embedding, each run as its own comment says. One broker
// serves all that are outside of it; examples for AUTH_MODULE are in auth-module.test.ts.
import assert from 'node:assert/strict';
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { freePort } from '../harness/free-port.ts';
import { moduleFileOf } from '../harness/module-file.ts';
import { requirePrograms } from '../harness/require.ts';
import { isCluster, isSplit, startBroker } from '../harness/shape.ts';
import { Suite } from '../harness/suite.ts';
import { connected, type RawClient, unique } from '../harness/wire.ts';

const root = join(import.meta.dirname, '../../..');
const examples = join(root, 'examples');
const embed = join(root, 'services/standalone/dist/src/embed.js');
const folder = mkdtempSync(join(tmpdir(), 'lmqtt-examples-'));
const children = new Set<ChildProcess>();
after(() => {
  for (const child of children) child.kill();
  rmSync(folder, { recursive: true, force: true });
});
const startMs = 60_000;

function node(...args: string[]): string {
  return execFileSync(process.execPath, args, { cwd: folder, encoding: 'utf8' }).trim();
}

/** Address that the HTTP service prints. */
async function startService(users: object, token: string): Promise<string> {
  const file = join(folder, 'users.json');
  writeFileSync(file, JSON.stringify(users));
  const env = { ...process.env, HTTP_AUTH_TOKEN: token, HTTP_AUTH_PORT: '0' };
  const service = spawn(process.execPath, [join(examples, 'http-auth.mjs'), file], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.add(service);
  for await (const line of createInterface({ input: service.stdout })) {
    const [url] = /http:\S+/.exec(line) ?? [];
    if (url !== undefined) return url;
  }
  throw new Error('the HTTP service has ended');
}

const againMs = 50;

/** Tries until it succeeds: programs come up in their own time. */
async function eventually<T>(work: () => Promise<T>): Promise<T> {
  const endMs = performance.now() + startMs;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (performance.now() > endMs) throw error;
      await new Promise((resolve) => setTimeout(resolve, againMs));
    }
  }
}

// The shape of the broker is that of the embedding program.
const ofOneProcess = { skip: isSplit || isCluster ? 'of one process only' : false };

// At once: each has a broker of its own to wait for.
void describe('examples', { concurrency: 3 }, () => {
  void describe('examples of identities and bridges', { concurrency: 1 }, async () => {
    const jwt = join(examples, 'jwt.mjs');
    const [privateKey, publicKey] = [join(folder, 'private.pem'), join(folder, 'public.pem')];
    node(jwt, 'keys', privateKey, publicKey);
    const url = await startService(
      {
        edge: { password: 'secret', all: ['site/%u/#'] },
        root: { password: 'of root', superuser: true },
      },
      'shared',
    );
    const suite = new Suite({
      // Clients of the other tests stay as they are.
      together: true,
      settings: {
        ...{ JWT_KEY_FILE: publicKey, JWT_CLAIMS: 'exp' },
        ...{ AUTH_HTTP_URL: url, AUTH_HTTP_TOKEN: 'shared', ALLOW_ANONYMOUS: 'false' },
      },
    });

    async function refused(username: string, password: string): Promise<void> {
      const client = await suite.open();
      await client.connect({ version: 5, clientId: unique(), username, password, reason: 0x86 });
      await client.expectClose();
    }

    async function published(client: RawClient, topic: string): Promise<number> {
      const packetId = client.nextPacketId();
      client.sendPublish({ topic, qos: 1, packetId });
      return (await client.find('puback', { packetId })).reason;
    }

    void test('jwt.mjs: a token of a local key is a password, with its rules and its end', async () => {
      const user = unique();
      const token = node(jwt, 'token', privateKey, user, '600');
      for (const version of [3, 4, 5] as const) {
        const fields = { version, clientId: unique().slice(-20), username: user, password: token };
        const client = await suite.client(fields);
        await client.subscribe(`devices/${user}/#`, 1);
        if (version === 5) assert.equal(await published(client, 'devices/other/a'), 0x87);
        client.sendPublish({ topic: `devices/${user}/a`, qos: 1, packetId: 9, payload: 'x' });
        await client.find('publish', { topic: `devices/${user}/a` });
      }
      await refused(user, node(jwt, 'token', privateKey, user, '-600'));
      const [head = '', body = ''] = token.split('.');
      await refused(user, `${head}.${body}.${'A'.repeat(86)}`);
    });

    void test('http-auth.mjs: users of its file, and nobody without the token of the broker', async () => {
      const client = await suite.client({ version: 5, username: 'edge', password: 'secret' });
      assert.equal(await published(client, 'site/edge/a'), 0x10);
      assert.equal(await published(client, 'site/other/a'), 0x87);
      const operator = await suite.client({ version: 5, username: 'root', password: 'of root' });
      assert.equal(await published(operator, 'site/other/a'), 0x10);
      await refused('edge', 'wrong');
      await refused('nobody', 'secret');
      const answer = await fetch(url, { method: 'POST', body: '{"username":"edge"}' });
      assert.equal(answer.status, 404);
    });

    void test(
      'mosquitto-bridge.conf: what devices measure at the edge, and commands to them',
      requirePrograms('mosquitto'),
      async () => {
        const port = await freePort();
        const conf = readFileSync(join(examples, 'mosquitto-bridge.conf'), 'utf8')
          .replace('listener 1884 ', `listener ${port} `)
          .replace('address 127.0.0.1:1883', `address ${suite.broker.host}:${suite.port}`);
        const file = join(folder, 'bridge.conf');
        writeFileSync(file, conf);
        children.add(spawn('mosquitto', ['-c', file], { stdio: 'ignore' }));
        const centre = await suite.client({ version: 5, username: 'root', password: 'of root' });
        await centre.subscribe('site/edge/measured/#', 1);
        const device = await eventually(() => connected(port));
        await device.subscribe('commands/#', 1);
        await eventually(async () => {
          await device.publish('measured/heat', '21', { qos: 1 });
          await centre.find('publish', { topic: 'site/edge/measured/heat' }, againMs * 4);
        });
        await eventually(async () => {
          await centre.publish('site/edge/commands/valve', 'open', { qos: 1 });
          await device.find('publish', { topic: 'commands/valve' }, againMs * 4);
        });
      },
    );
  });

  void test('meta-module.mjs: another broker has the retained messages of the one before', async () => {
    const meta = join(folder, 'meta');
    // The module reads its folder when it is loaded, which is after this line.
    const module = moduleFileOf(`
      process.env.META_FOLDER = ${JSON.stringify(meta)};
      export default (await import(${JSON.stringify(join(examples, 'meta-module.mjs'))})).default;
    `);
    const settings = { META_MODULE: module };
    const topic = unique();
    const first = await startBroker({ settings });
    try {
      const client = await connected(first.mqttPort, { version: 5 });
      for (const name of ['kept', 'deleted'])
        await client.publish(`${topic}/${name}`, name, { qos: 1, retain: true });
      await client.publish(`${topic}/deleted`, '', { qos: 1, retain: true });
      client.destroy();
    } finally {
      await first.stop();
    }
    const second = await startBroker({ settings });
    try {
      const client = await connected(second.mqttPort, { version: 5 });
      await client.subscribe(`${topic}/#`, 1);
      await client.receive({ topic: `${topic}/kept`, payload: 'kept', retain: true });
      await client.expectNothing();
      client.destroy();
    } finally {
      await second.stop();
    }
  });

  void test(
    'embedded.test.mjs: a test of a program with a broker in its process',
    ofOneProcess,
    async () => {
      const home = join(folder, 'thermostat');
      const modules = join(home, 'node_modules');
      mkdirSync(join(modules, 'lmqtt'), { recursive: true });
      const described = { name: 'lmqtt', type: 'module', exports: './index.js' };
      writeFileSync(join(modules, 'lmqtt/package.json'), JSON.stringify(described));
      writeFileSync(join(modules, 'lmqtt/index.js'), `export * from ${JSON.stringify(embed)};\n`);
      const mqtt = createRequire(import.meta.url).resolve('mqtt/package.json');
      symlinkSync(join(mqtt, '..'), join(modules, 'mqtt'));
      cpSync(join(examples, 'embedded.test.mjs'), join(home, 'embedded.test.mjs'));
      // Under a runner, as this one, it would report to that and not print.
      const { NODE_TEST_CONTEXT: _context, ...env } = process.env;
      const run = promisify(execFile);
      const { stdout } = await run(
        process.execPath,
        ['--test', '--test-reporter=tap', 'embedded.test.mjs'],
        {
          cwd: home,
          env,
        },
      );
      assert.match(stdout, /^# pass 1$/m);
      assert.match(stdout, /^# fail 0$/m);
    },
  );
});
