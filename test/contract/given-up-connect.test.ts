// A cs gives up a CONNECT at a ds that is slow, and asks another one: the first ds, which comes to
// its claim later, displaces nobody.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { clientId, laneNode, nodeId, type SessionHandle, sessionHandle } from '@lmqtt/common/ids';
import type { ConnectionEnd, ConnectRequest, Downstream, Link, Reach } from '@lmqtt/proto/link';
import { requireRedis } from '../harness/require.ts';
import { eventually } from './group-scene.ts';
import { MemoryCluster } from './memory-cluster.ts';

const cs = nodeId('cs');
const about = { version: 'test', address: '', startedAtMs: 0 };
const givenUp: ConnectionEnd = { publishWill: false, sessionExpiryS: undefined, reason: 'test' };

/** One lane of the cs, whose kicks are noted. */
class NotingLane implements Downstream {
  readonly node;
  readonly kicked: SessionHandle[] = [];
  state: Reach = 'open';
  /** How often ds has looked whether the cs is heard. */
  looks = 0;

  constructor(name: string) {
    this.node = laneNode(cs, name);
  }

  get reach(): Reach {
    this.looks += 1;
    return this.state;
  }

  published(): void {}

  push(): void {}

  assign(): void {}

  refused(): void {}

  fence(): void {}

  behind(): void {}

  rights(): void {}

  kick(session: SessionHandle): void {
    this.kicked.push(session);
  }
}

void describe('a CONNECT that its cs has given up', requireRedis(), () => {
  let cluster: MemoryCluster;
  let renewing: NodeJS.Timeout | undefined;
  const lanes: NotingLane[] = [];
  const links: Link[] = [];
  let handles = 0;

  before(async () => {
    cluster = await MemoryCluster.start(11, ['ds-1', 'ds-2'], []);
    const renewals: (() => unknown)[] = [];
    for (const { id, service } of cluster.ds) {
      const lane = new NotingLane(id);
      const { admission } = service;
      const { link } = await admission.admit(lane, 'instance', [], about);
      lanes.push(lane);
      links.push(link);
      renewals.push(() => admission.renew(lane.node, 0));
    }
    renewing = setInterval(() => {
      for (const renew of renewals) void Promise.resolve(renew()).catch(() => undefined);
    }, 500);
  });
  after(async () => {
    clearInterval(renewing);
    await cluster.stop();
  });

  function requestOf(client: string): ConnectRequest {
    handles += 1;
    return {
      session: sessionHandle(handles),
      protocolVersion: 5,
      clientId: clientId(client),
      randomClientId: false,
      cleanStart: false,
      sessionExpiryS: 3600,
      keepAliveS: 0,
      userName: undefined,
      password: undefined,
      authenticationMethod: undefined,
      authenticationData: undefined,
      will: undefined,
      peer: { address: '127.0.0.1', port: 1, tls: false },
    };
  }

  /** The first CONNECT is claimed after the second is accepted, and may be given up before. */
  async function claimedLate(client: string, meanwhile: (first: SessionHandle) => void) {
    const { way } = cluster.ds[0]!;
    const first = requestOf(client);
    way.stall();
    const late = links[0]!.connect(first);
    const second = requestOf(client);
    const answer = await links[1]!.connect(second);
    assert.equal(answer.kind, 'accepted');
    meanwhile(first.session);
    way.flow();
    return { late, second: second.session };
  }

  function kicked(): SessionHandle[] {
    return lanes.flatMap((lane) => lane.kicked);
  }

  void test('does not displace the next CONNECT of its connection at another ds', async () => {
    const { late } = await claimedLate(
      'told',
      (first) => void links[0]!.disconnect(first, givenUp),
    );
    assert.equal((await late).kind, 'refused');
    assert.deepEqual(kicked(), []);
  });

  void test('displaces nobody while the stream over which it would be told is broken', async () => {
    const lane = lanes[0]!;
    const { late } = await claimedLate('untold', () => {
      lane.state = 'broken';
      lane.looks = 0;
    });
    await eventually(() => assert.ok(lane.looks > 0));
    assert.deepEqual(kicked(), []);
    lane.state = 'closed';
    assert.equal((await late).kind, 'refused');
    assert.deepEqual(kicked(), []);
    lane.state = 'open';
  });

  void test('takes the session over where it was not, however late it is claimed', async () => {
    const { late, second } = await claimedLate('wanted', () => {});
    await eventually(() => assert.ok(kicked().includes(second)));
    await links[1]!.disconnect(second, givenUp);
    assert.equal((await late).kind, 'accepted');
  });
});
