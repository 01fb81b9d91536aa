// Faults of processes of a cluster, each with the effects that its clients may see. Other effects
// go into the ledger as problems.
import { setTimeout as delay } from 'node:timers/promises';
import type { LinkProxy } from '../harness/cluster.ts';
import type { ClusterNode } from '../harness/cluster-node.ts';
import { pingreq, type Version } from '../harness/packets.ts';
import type { ClusterRun } from './cluster-run.ts';
import { ConnectRefused, openLedgerConnection } from './ledger-connection.ts';

/** One thing that happens, under load; it says in a few words what it saw. */
export type Fault<P extends LinkProxy = LinkProxy> = (run: ClusterRun<P>) => Promise<string>;

/** From the `ready` line of ds to the first acknowledgement of something new. */
const goOnMs = 2000;
/** Items that ds sent before it was killed may be on their way. */
const echoMs = 250;
/** Clients notice that their node is gone, a node that runs again what it missed. */
const noticeMs = 3000;

/** Clients that come and go find their way. */
const comeMs = 3000;
/** Time within which a client that came without a ds has its CONNACK. */
const welcomeMs = 60_000;

const round = (ms: number): string => `${Math.round(ms)} ms`;

/** One that has clients. */
export function anyNode<P extends LinkProxy>({
  cluster,
  random,
  travellers,
}: ClusterRun<P>): ClusterNode {
  const { port } = random.pick(travellers).party.seat;
  return cluster.cs.find((node) => node.port('mqtt') === port) ?? cluster.node(1);
}

/** Half of them forget their connections and come elsewhere; the other half is returned. */
export function halfMoves<P extends LinkProxy>(
  run: ClusterRun<P>,
  node: ClusterNode,
): ReturnType<ClusterRun<P>['at']> {
  run.shunned.add(node);
  const all = run.at(node);
  for (const [index, traveller] of all.entries()) if (index % 2 === 0) traveller.move();
  return all.filter((_, index) => index % 2 === 1);
}

/** a. Its clients go on at the other node. */
export const killCs: Fault = async (run) => {
  const node = anyNode(run);
  await run.load(300, 900);
  const clients = run.at(node);
  const connections = clients.flatMap(({ party }) => party.seat.connection ?? []);
  await node.kill();
  const killedMs = performance.now();
  await run.until(
    () => 'clients notice',
    noticeMs,
    () => connections.every(({ closed }) => closed),
  );
  await run.connected(clients);
  const backMs = performance.now() - killedMs;
  await run.load(0, 400);
  await node.start();
  await run.load(200, 500);
  return `${clients.length} clients back after ${round(backMs)}`;
};

/**
 * b. Its lease is judged meanwhile. What came to the node while it was stopped goes no further;
 * what it was about to write in the moment when it was stopped may, so that only one that was
 * `idle` then must be silent.
 */
export function freezeCsLong(idle: boolean): Fault {
  return async (run) => {
    const node = anyNode(run);
    await run.load(300, 900);
    await run.calm();
    if (idle) await run.quiet();
    node.freeze();
    run.loud();
    const stay = halfMoves(run, node);
    const connections = stay.flatMap(({ party }) => party.seat.connection ?? []);
    await delay(run.leaseMs * 2 + run.random.below(run.leaseMs));
    for (const connection of connections) connection.send(pingreq());
    const before = connections.map(({ packetCount }) => packetCount);
    node.thaw();
    await run.until(
      () => 'clients of the node that was stopped are dropped',
      noticeMs,
      () => connections.every(({ closed }) => closed),
    );
    for (const [index, { packetCount }] of connections.entries()) {
      if (!idle || packetCount === before[index]) continue;
      run.note(`${stay[index]?.name}: ${packetCount - (before[index] ?? 0)} packets after SIGCONT`);
    }
    run.shunned.delete(node);
    run.stir();
    await run.connected();
    await run.load(200, 500);
    return `${stay.length} clients dropped`;
  };
}

/** b. The lease goes on: nobody notices. */
export const freezeCsShort: Fault = async (run) => {
  const node = anyNode(run);
  await run.load(200, 600);
  await run.calm();
  const undisturbed = run.undisturbed();
  node.freeze();
  const stoppedMs = run.leaseMs * (0.1 + 0.3 * run.random.next());
  await delay(stoppedMs);
  node.thaw();
  await run.progress(noticeMs);
  undisturbed('by a short stop');
  run.stir();
  await run.load(100, 300);
  return `stopped for ${round(stoppedMs)}`;
};

async function answerOf(port: number, stem: string, version: Version): Promise<number> {
  try {
    const { connection } = await openLedgerConnection(
      port,
      { clientId: `waits-${stem}`, version },
      () => {},
      welcomeMs,
    );
    connection.destroy();
    return 0;
  } catch (error) {
    return error instanceof ConnectRefused ? error.reason : -1;
  }
}

/** New clients of every cs, which wait while there is no ds; resolves when each has its answer. */
async function expectWelcomes<P extends LinkProxy>(run: ClusterRun<P>): Promise<void> {
  const ask = async (node: ClusterNode, version: Version): Promise<void> => {
    const reason = await answerOf(node.port('mqtt'), `${node.name}-${version}`, version);
    if (reason !== 0) run.note(`${node.name}: CONNACK ${reason} at ${version}`);
  };
  await Promise.all(run.cluster.cs.flatMap((node) => [ask(node, 4), ask(node, 5)]));
}

/** c. Connections stay, nothing is acknowledged meanwhile, and it goes on by itself. */
export function killDs(awayMs: (run: ClusterRun) => number): Fault {
  return async (run) => {
    const { ds } = run.cluster;
    await run.load(300, 900);
    await run.calm();
    const undisturbed = run.undisturbed();
    const connections = run.publishers.flatMap(({ seat }) => seat.connection ?? []);
    const heard = (): number => connections.reduce((sum, each) => sum + each.packetCount, 0);
    await ds.kill();
    const killedMs = performance.now();
    await delay(echoMs);
    const before = heard();
    const welcomed = expectWelcomes(run);
    await delay(Math.max(0, killedMs + awayMs(run) - performance.now()));
    if (heard() !== before) run.note(`${heard() - before} packets to publishers without a ds`);
    undisturbed('without a ds');
    const awayForMs = performance.now() - killedMs;
    await ds.start();
    const onMs = await run.progress(run.busy ? goOnMs + comeMs : goOnMs);
    undisturbed('by the next ds');
    await welcomed;
    run.stir();
    await run.load(200, 600);
    return `away for ${round(awayForMs)}, on after ${round(onMs)}`;
  };
}

/**
 * c. Each next ds finds what the one before had not yet finished; a cs may hear of none of them.
 */
export const killDsAgain: Fault = async (run) => {
  const { cluster, random, leaseMs } = run;
  const { ds } = cluster;
  await run.load(300, 900);
  const deaf = random.chance(0.5) ? anyNode(run) : undefined;
  if (deaf !== undefined) {
    deaf.freeze();
    run.shunned.add(deaf);
  }
  const count = 2 + random.below(3);
  await ds.kill();
  for (let life = 1; life < count; life += 1) {
    const started = ds.start().catch(() => undefined);
    await delay(random.below(2 * leaseMs));
    await ds.kill();
    await started;
  }
  const started = ds.start();
  await delay(random.below(leaseMs));
  deaf?.thaw();
  run.shunned.clear();
  await started;
  const onMs = await run.progress(goOnMs + 2 * leaseMs + comeMs);
  await run.connected();
  await run.load(200, 600);
  const hearing = deaf === undefined ? '' : `, ${deaf.name} deaf`;
  return `killed ${count} times${hearing}, on after ${round(onMs)}`;
};

/** e. The clients of the other node stay connected. */
export const killDsAndCs: Fault = async (run) => {
  const { ds } = run.cluster;
  const node = anyNode(run);
  await run.load(300, 900);
  await run.calm();
  const lost = run.at(node);
  const others = run.travellers.filter((each) => !lost.includes(each));
  const undisturbed = run.undisturbed(others);
  const connections = lost.flatMap(({ party }) => party.seat.connection ?? []);
  await Promise.all([ds.kill(), node.kill()]);
  await delay(run.random.below(2 * run.leaseMs));
  await ds.start();
  // The next life of the node may be there before or after its clients have gone elsewhere.
  const isEarly = run.random.chance(0.5);
  const started = isEarly ? node.start() : undefined;
  await run.until(
    () => 'clients notice',
    noticeMs,
    () => connections.every(({ closed }) => closed),
  );
  await run.connected();
  await started;
  const onMs = await run.progress(goOnMs + 2 * run.leaseMs);
  undisturbed('of the other node');
  if (!isEarly) await node.start();
  run.stir();
  await run.load(200, 600);
  return `${lost.length} clients back, on after ${round(onMs)}`;
};
