// Faults of a cluster on real stores, each with the time in which all must go on. Effects that
// clients may not see go into the ledger as problems.
import { setTimeout as delay } from 'node:timers/promises';
import type { ClusterNode } from '../harness/cluster-node.ts';
import type { TcpProxy } from '../harness/tcp-proxy.ts';
import { ConnectRefused, openLedgerConnection } from './ledger-connection.ts';
import type { Recovery, StoresRun } from './stores-run.ts';
import { portOpens, type Scene } from './stores-scene.ts';

export interface StoresFault {
  readonly name: string;
  /** It needs ways that can be cut. */
  readonly ways?: boolean;
  /** All of it under load; how long it took until messages arrived again, from when that counts. */
  readonly happen: (scene: Scene, stopMs: number) => Promise<Recovery>;
  /** Within which messages of QoS 1 must arrive again, and all. */
  readonly withinMs: number;
  readonly allWithinMs?: number;
}

/** Time for the death of a ds: a publish at QoS 2 may wait for the outcome of an intent. */
const dsMs = 8000;
const leaseMs = 3000;
const sendQueueMs = 5000;
const dsAllMs = leaseMs + sendQueueMs + 5000;
const brokerMs = 15_000;
const redisMs = 10_000;
/** Nothing stops; one round of publishes at a low rate, and a moment. */
const nothingMs = 4000;
/** A cs that cannot reach a ds that others reach: its lane moves after 5 s. */
const linkMs = 12_000;
/** Clients come to another node, and claims wait until the lease of the one that died is judged. */
const csMs = 2 * leaseMs + 6000;
/** A JVM on a busy machine. */
const bootMs = 120_000;
/** Shorter than APPEND_WAIT_MS, past which a publisher before 5.0 is closed. */
const waitMs = 18_000;
/** Shorter than DS_LOST_MS. */
const lostMs = 28_000;

async function calmAt(run: StoresRun): Promise<void> {
  await run.load(300, 900);
  await run.calm();
}

/** Half of the time within its lease, otherwise past it. */
async function downtime({ random, leaseMs: lease }: StoresRun): Promise<void> {
  await delay(random.chance(0.5) ? random.below(lease / 2) : lease * (1 + 2 * random.next()));
}

async function startAgain(node: ClusterNode): Promise<void> {
  await node.start();
  await node.untilReady(bootMs);
}

export const killCs: StoresFault = {
  name: 'kill -9 of a cs',
  withinMs: csMs,
  async happen({ run, cluster }) {
    await calmAt(run);
    const node = run.random.pick(cluster.cs);
    const lost = run.at(node);
    const undisturbed = run.undisturbed(run.travellers.filter((each) => !lost.includes(each)));
    const recovered = run.watch();
    run.shunned.add(node);
    await node.kill();
    const back = downtime(run).then(() => startAgain(node));
    const [recovery] = await Promise.all([recovered(), back]);
    run.shunned.clear();
    undisturbed('at the cs that goes on');
    return recovery;
  },
};

export const killDs: StoresFault = {
  name: 'kill -9 of a ds',
  withinMs: dsMs,
  allWithinMs: dsAllMs,
  async happen({ run, cluster }) {
    await calmAt(run);
    const node = run.random.pick(cluster.ds);
    const undisturbed = run.undisturbed();
    const recovered = run.watch();
    await node.kill();
    const back = downtime(run).then(() => startAgain(node));
    const [recovery] = await Promise.all([recovered(), back]);
    undisturbed('when a ds dies');
    return recovery;
  },
};

/** All is done while clients come and go: no more can be said of it than what the ledger says. */
export const killAny: StoresFault = {
  name: 'kill -9 of a cs or ds while clients come and go',
  withinMs: Infinity,
  async happen({ run, cluster }) {
    await run.load(300, 900);
    const node = run.random.pick(cluster.nodes);
    if (cluster.cs.includes(node)) run.shunned.add(node);
    await node.kill();
    await downtime(run);
    await startAgain(node);
    run.shunned.clear();
    await run.load(500, 2000);
    return run.watch()();
  },
};

export const killBroker: StoresFault = {
  name: 'kill -9 of the broker',
  withinMs: brokerMs,
  async happen({ run, servers }) {
    await calmAt(run);
    const broker = servers.rocketmq.broker();
    const undisturbed = run.undisturbed();
    const killedMs = performance.now();
    await broker.kill9();
    await delay(run.random.below(3000));
    const opened = portOpens(broker.port, bootMs).then(() => run.watch()());
    const [recovery] = await Promise.all([opened, broker.start()]);
    if (performance.now() - killedMs < waitMs) undisturbed('by a broker that is away');
    return recovery;
  },
};

export const killNamesrv: StoresFault = {
  name: 'kill -9 of the name server',
  withinMs: nothingMs,
  async happen({ run, servers }) {
    await calmAt(run);
    const { namesrv } = servers.rocketmq;
    const undisturbed = run.undisturbed();
    await namesrv.kill9();
    const recovery = await run.watch()();
    await delay(run.random.below(3000));
    await namesrv.start();
    await servers.rocketmq.untilRegistered();
    undisturbed('by a name server that is away');
    return recovery;
  },
};

const versions = [
  [4, 3],
  [5, 0x88],
] as const;
const refusalMs = 12_000;

/** New clients are turned away with a reason, within a bounded time. */
async function expectRefusals({ run, cluster }: Scene): Promise<void> {
  const ask = async (node: ClusterNode, [version, wanted]: (typeof versions)[number]) => {
    const fields = { clientId: `refused-${version}`, version };
    const reason = await openLedgerConnection(node.port('mqtt'), fields, () => {}, refusalMs).then(
      ({ connection }) => {
        connection.destroy();
        return 'welcome';
      },
      (error: unknown) => (error instanceof ConnectRefused ? error.reason : String(error)),
    );
    if (reason !== wanted) run.note(`${node.name}: CONNACK ${reason} at ${version} without Redis`);
  };
  await Promise.all(cluster.cs.flatMap((node) => versions.map((version) => ask(node, version))));
}

export const killRedis: StoresFault = {
  name: 'kill -9 of Redis',
  withinMs: redisMs,
  async happen(scene) {
    const { run, servers } = scene;
    await calmAt(run);
    const undisturbed = run.undisturbed();
    await servers.redis.kill9();
    await Promise.all([delay(500 + run.random.below(5000)), expectRefusals(scene)]);
    undisturbed('without Redis');
    await servers.redis.start();
    const recovery = await run.watch()();
    undisturbed('when Redis is back');
    return recovery;
  },
};

export const freezeRedis: StoresFault = {
  name: 'SIGSTOP of Redis',
  withinMs: redisMs,
  async happen(scene, stopMs) {
    const { run, servers } = scene;
    await calmAt(run);
    const undisturbed = run.undisturbed();
    const stoppedMs = performance.now();
    servers.redis.pause();
    await Promise.all([delay(stopMs), expectRefusals(scene)]);
    servers.redis.resume();
    const recovery = await run.watch()();
    if (performance.now() - stoppedMs < lostMs) undisturbed('by a Redis that stood still');
    return recovery;
  },
};

/** Half of its clients come elsewhere; the others learn what happened when it goes on. */
export const freezeCs: StoresFault = {
  name: 'SIGSTOP of a cs',
  withinMs: csMs,
  async happen({ run, cluster }, stopMs) {
    await calmAt(run);
    const node = run.random.pick(cluster.cs);
    const here = run.at(node);
    const undisturbed = run.undisturbed(run.travellers.filter((each) => !here.includes(each)));
    node.freeze();
    run.shunned.add(node);
    for (const [index, traveller] of here.entries()) if (index % 2 === 0) traveller.move();
    await delay(stopMs);
    node.thaw();
    const recovery = await run.watch()();
    undisturbed('at the cs that goes on');
    run.shunned.clear();
    return recovery;
  },
};

export const freezeDs: StoresFault = {
  name: 'SIGSTOP of a ds',
  withinMs: dsMs,
  allWithinMs: dsAllMs,
  async happen({ run, cluster }, stopMs) {
    await calmAt(run);
    const node = run.random.pick(cluster.ds);
    const undisturbed = run.undisturbed();
    const recovered = run.watch();
    node.freeze();
    const thawed = delay(stopMs).then(() => node.thaw());
    const recovery = await recovered();
    await thawed;
    await node.untilReady(bootMs);
    await run.acknowledged(dsAllMs);
    undisturbed('when a ds stands still');
    return recovery;
  },
};

/** One way is cut for a while. `counts`: from when on all must go on within the time. */
function partition(
  name: string,
  counts: 'from the cut' | 'when it is healed',
  times: Pick<StoresFault, 'withinMs' | 'allWithinMs'>,
  wayOf: (scene: Scene) => TcpProxy,
): StoresFault {
  return {
    name,
    ...times,
    ways: true,
    async happen(scene, stopMs) {
      const { run } = scene;
      await calmAt(run);
      const undisturbed = run.undisturbed();
      const way = wayOf(scene);
      way.partition();
      const healed = delay(stopMs).then(() => way.heal());
      if (counts === 'when it is healed') await healed;
      const recovery = await run.watch()();
      await healed;
      await run.acknowledged(dsAllMs);
      if (stopMs < waitMs) undisturbed('by a partition');
      return recovery;
    },
  };
}

const anyDs = ({ run, cluster }: Scene): string => run.random.pick(cluster.ds).name;
const anyCs = ({ run, cluster }: Scene): string => run.random.pick(cluster.cs).name;

export const partitionRedis: StoresFault = partition(
  'a partition between a ds and Redis',
  'from the cut',
  { withinMs: dsMs, allWithinMs: dsAllMs },
  (scene) => scene.redisWay(anyDs(scene)),
);

export const partitionBroker: StoresFault = partition(
  'a partition between a ds and the broker',
  'when it is healed',
  { withinMs: brokerMs },
  (scene) => scene.brokerWay(anyDs(scene)),
);

export const partitionLink: StoresFault = partition(
  'a partition between a cs and a ds',
  'from the cut',
  { withinMs: linkMs },
  (scene) => scene.linkWay(anyCs(scene), anyDs(scene)),
);
