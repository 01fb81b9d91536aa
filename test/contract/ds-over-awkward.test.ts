import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { clientId, nodeId, type SessionHandle, sessionHandle } from '@lmqtt/common/ids';
import { silentLogs } from '@lmqtt/common/log';
import { type Message, messageOf } from '@lmqtt/common/message';
import { Metrics } from '@lmqtt/common/metrics';
import { readSettings } from '@lmqtt/common/settings/read';
import { type DsService, startDs } from '@lmqtt/ds/service';
import type { Assignment } from '@lmqtt/proto/assignment';
import type { Downstream, Link, Publish } from '@lmqtt/proto/link';
import { AwkwardQueueStore } from './awkward-queue-store.ts';

/** A cs that notes what comes and takes whatever a group gives. */
class NotingCs implements Downstream {
  readonly node = nodeId('cs');
  readonly answered: Publish[] = [];
  readonly pushed: Message[] = [];
  readonly assigned: Assignment[] = [];
  onAssign: (assignment: Assignment) => void = () => undefined;

  published(batch: Publish[]): void {
    this.answered.push(...batch);
  }

  push(batch: Message[]): void {
    this.pushed.push(...batch);
  }

  assign(batch: Assignment[]): void {
    for (const assignment of batch) {
      this.assigned.push(assignment);
      this.onAssign(assignment);
    }
  }

  refused(): void {}

  fence(): void {}

  behind(): void {}

  rights(): void {}

  kick(): void {
    return undefined;
  }
}

interface Bench {
  readonly store: AwkwardQueueStore;
  readonly ds: DsService;
  readonly cs: NotingCs;
  readonly link: Link;
}

async function withAwkward(seed: number, work: (bench: Bench) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'lmqtt-awkward-'));
  const store = new AwkwardQueueStore(seed);
  const ds = await startDs({
    settings: readSettings({ args: ['--data-dir', directory], environment: {} }),
    logs: silentLogs(),
    metrics: new Metrics(),
    version: 'test',
    queueStore: store,
  });
  const cs = new NotingCs();
  try {
    await work({ store, ds, cs, link: ds.link.attach(cs) });
  } finally {
    await ds.stop();
    store.close();
    await rm(directory, { recursive: true, force: true });
  }
}

let lastHandle = 0;

async function connect(link: Link, id: string, sessionExpiryS = 3600): Promise<SessionHandle> {
  lastHandle += 1;
  const session = sessionHandle(lastHandle);
  const answer = await link.connect({
    session,
    protocolVersion: 5,
    clientId: clientId(id),
    randomClientId: false,
    cleanStart: false,
    sessionExpiryS,
    keepAliveS: 0,
    userName: undefined,
    password: undefined,
    authenticationMethod: undefined,
    authenticationData: undefined,
    will: undefined,
    peer: { address: '127.0.0.1', port: 1, tls: false },
  });
  assert.equal(answer.kind, 'accepted');
  return session;
}

async function subscribe(link: Link, session: SessionHandle, filter: string) {
  const options = {
    qos: 2,
    noLocal: false,
    retainAsPublished: false,
    retainHandling: 0,
    subscriptionIdentifier: undefined,
  } as const;
  const [answer] = await link.subscribe(session, [{ filter, options }]);
  if (answer?.kind !== 'granted') throw new Error(JSON.stringify(answer));
  return answer.subscription;
}

function publishOf(session: SessionHandle, topic: string, text: string, n: number): Publish {
  const message = messageOf({
    topic,
    qos: n % 2 === 0 ? 1 : 2,
    retain: false,
    payload: Buffer.from(text),
  });
  return { session, packetId: n + 1, message, reasonCode: 0 };
}

async function until(condition: () => boolean, what: string): Promise<void> {
  const endMs = performance.now() + 20_000;
  while (!condition()) {
    if (performance.now() > endMs) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => {
      setTimeout(resolve, 5);
    });
  }
}

for (const seed of [1, 2, 3]) {
  void test(`awkward ${seed}: a shared group gives out each message once, in order`, () =>
    withAwkward(seed, async ({ cs, link }) => {
      const members: SessionHandle[] = [];
      for (const id of ['a', 'b', 'c']) {
        const member = await connect(link, id);
        await subscribe(link, member, '$share/g/t/+');
        link.credit(member, 3);
        members.push(member);
      }
      const doneBy = new Map<SessionHandle, number>();
      cs.onAssign = ({ session, group, partition, offset }) => {
        setTimeout(() => {
          link.write([{ kind: 'assigned-done', session, group, partition, offset }]);
          const done = (doneBy.get(session) ?? 0) + 1;
          doneBy.set(session, done);
          link.credit(session, done + 3);
        }, 2);
      };
      const publisher = await connect(link, 'p');
      for (let n = 0; n < 200; n += 1)
        link.publish([publishOf(publisher, `t/${n % 5}`, `${n}`, n)]);
      await until(() => cs.assigned.length >= 200, 'all messages');
      const found = cs.assigned.map((one) => Number(one.message.payload.toString()));
      assert.equal(found.length, 200);
      assert.equal(new Set(found).size, 200);
      for (let topic = 0; topic < 5; topic += 1) {
        const ofTopic = found.filter((n) => n % 5 === topic);
        assert.deepEqual(
          ofTopic,
          ofTopic.toSorted((x, y) => x - y),
        );
      }
    }));

  void test(`awkward ${seed}: answers keep the order of a session's publishes`, () =>
    withAwkward(seed, async ({ cs, link, store }) => {
      const session = await connect(link, 'a');
      await subscribe(link, session, 't/+');
      const sent: Publish[] = [];
      for (let n = 0; n < 100; n += 1) {
        if (n === 50) store.failNext('never');
        const one = publishOf(session, `t/${n % 7}`, `${n}`, n);
        sent.push(one);
        link.publish([one]);
      }
      await until(() => cs.answered.length === 100, 'the answers');
      assert.deepEqual(cs.answered, sent);
      assert.equal(cs.answered.filter((one) => one.reasonCode !== 0).length, 1);
    }));

  void test(`awkward ${seed}: a subscription starts in every partition and is pushed all`, () =>
    withAwkward(seed, async ({ cs, link }) => {
      const session = await connect(link, 'a');
      const subscription = await subscribe(link, session, 't/+');
      assert.deepEqual(
        subscription.positions.map((one) => [one.partition, one.start]),
        [
          [0, 0],
          [1, 1000],
        ],
      );
      for (let n = 0; n < 50; n += 1) link.publish([publishOf(session, `t/${n}`, `${n}`, n)]);
      const texts = (): Set<string> =>
        new Set(cs.pushed.map((one) => `${one.topic} ${one.payload.toString()}`));
      await until(
        () => Array.from({ length: 50 }, (_, n) => `t/${n} ${n}`).every((one) => texts().has(one)),
        'the pushes',
      );
    }));

  void test(`awkward ${seed}: an open inbound identifier is stored once`, () =>
    withAwkward(seed, async ({ cs, link }) => {
      const session = await connect(link, 'a');
      const { queue, positions } = await subscribe(link, session, 't');
      // Sent again before it is answered, and after.
      link.publish([publishOf(session, 't', 'once', 1)]);
      link.publish([publishOf(session, 't', 'once', 1)]);
      await until(() => cs.answered.length === 2, 'the answers');
      link.publish([publishOf(session, 't', 'once', 1)]);
      await until(() => cs.answered.length === 3, 'the last answer');
      assert.deepEqual(
        cs.answered.map((one) => one.reasonCode),
        [0, 0, 0],
      );
      let count = 0;
      for (const { partition } of positions) {
        const request = { queue, partition, from: 0, messagesMax: 100, bytesMax: 10_000 };
        const { messages } = await link.read(request);
        count += messages.filter((one) => one.payload.toString() === 'once').length;
      }
      assert.equal(count, 1);
    }));
}
