// The clients that everybody has at hand: mosquitto_pub, mosquitto_sub and mosquitto_rr.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { requirePrograms } from '../harness/require.ts';
import { Suite } from '../harness/suite.ts';
import { connected, unique } from '../harness/wire.ts';

const endMs = 60_000;

interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<{ readonly code: number | null; readonly stdout: string }>;
}

function run(program: string, args: readonly string[], input = ''): Running {
  const child = spawn(program, args, { timeout: endMs, stdio: ['pipe', 'pipe', 'pipe'] });
  let stdout = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stdin.end(input);
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, stdout }));
  return { child, ended };
}

void describe('mosquitto clients', requirePrograms('mosquitto_pub', 'mosquitto_rr'), () => {
  const suite = new Suite();

  const at = (version: string): string[] => {
    const { host, mqttPort } = suite.broker;
    return ['-h', host, '-p', String(mqttPort), '-V', version];
  };

  /** A mosquitto_sub whose subscription stands. */
  const subscribed = async (
    version: string,
    count: number,
    ...args: string[]
  ): Promise<Running> => {
    const id = unique('sub');
    const running = run('mosquitto_sub', [...at(version), '-i', id, '-C', String(count), ...args]);
    const url = `http://127.0.0.1:${suite.broker.opsPort}/api/v1/clients/${id}`;
    for (;;) {
      const answer = await fetch(url);
      if (answer.ok && ((await answer.json()) as { subscriptions: number }).subscriptions > 0) {
        return running;
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };

  for (const version of ['mqttv31', 'mqttv311', 'mqttv5']) {
    for (const qos of ['0', '1', '2']) {
      void test(`${version}, QoS ${qos}`, async () => {
        const topic = unique('t');
        const { ended } = await subscribed(version, 3, '-t', topic, '-q', qos, '-v');
        const lines = ['one', 'two', 'three'];
        const publish = [...at(version), '-t', topic, '-q', qos, '-l'];
        assert.equal((await run('mosquitto_pub', publish, `${lines.join('\n')}\n`).ended).code, 0);
        const { code, stdout } = await ended;
        assert.equal(stdout, lines.map((line) => `${topic} ${line}\n`).join(''));
        assert.equal(code, 0);
      });
    }
  }

  void test('retained, and removed', async () => {
    const topic = unique('t');
    const publish = [...at('mqttv311'), '-t', topic, '-q', '1', '-r'];
    assert.equal((await run('mosquitto_pub', [...publish, '-m', 'kept']).ended).code, 0);
    const read = [...at('mqttv5'), '-t', topic, '-C', '1', '-F', '%r %p'];
    assert.equal((await run('mosquitto_sub', read).ended).stdout, '1 kept\n');
    assert.equal((await run('mosquitto_pub', [...publish, '-n']).ended).code, 0);
    const client = await connected(suite.port);
    await client.subscribe(topic);
    await client.expectNothing();
  });

  void test('a session that goes on, and a will', async () => {
    const topic = unique('t');
    const id = unique('sub');
    const session = [...at('mqttv5'), '-i', id, '-c', '-x', '600', '-q', '1', '-t', topic];
    assert.equal((await run('mosquitto_sub', [...session, '-E']).ended).code, 0);
    const leaver = await subscribed(
      'mqttv311',
      9,
      '-t',
      unique('t'),
      '--will-topic',
      topic,
      '--will-payload',
      'gone',
      '--will-qos',
      '1',
    );
    leaver.child.kill('SIGKILL');
    await leaver.ended;
    await connected(suite.port).then((client) => client.publish(topic, 'live', { qos: 1 }));
    const { stdout } = await run('mosquitto_sub', [...session, '-C', '2']).ended;
    assert.deepEqual(stdout.trim().split('\n').sort(), ['gone', 'live']);
  });

  void test('request and response', async () => {
    const topic = unique('t');
    const server = await connected(suite.port, { version: 5 });
    await server.subscribe(topic, 1);
    const { ended } = run('mosquitto_rr', [
      ...at('mqttv5'),
      ...['-t', topic, '-e', unique('response'), '-m', 'hello', '-q', '1'],
    ]);
    const { properties } = await server.receive({ payload: 'hello' });
    const { responseTopic = '' } = properties;
    await server.publish(responseTopic, 'world', { qos: 1 });
    assert.equal((await ended).stdout, 'world\n');
  });

  void test('a shared subscription', async () => {
    const topic = unique('t');
    const group = `$share/group/${topic}`;
    const members = [
      await subscribed('mqttv5', 10, '-t', group, '-q', '1'),
      await subscribed('mqttv311', 10, '-t', group, '-q', '1'),
    ];
    const publisher = await connected(suite.port);
    for (let number = 0; number < 20; number += 1) {
      await publisher.publish(topic, String(number), { qos: 1 });
    }
    const lines: string[] = [];
    for (const { ended } of members) lines.push(...(await ended).stdout.trim().split('\n'));
    assert.equal(new Set(lines).size, 20);
  });
});
