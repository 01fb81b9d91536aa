// d. What can happen to the link between one cs and ds. Within the lease nobody notices; past it
// the node's clients may have been given to others, and it has to see that.
import { setTimeout as delay } from 'node:timers/promises';
import type { FrameProxy } from '../harness/frame-proxy.ts';
import { pingreq } from '../harness/packets.ts';
import type { Direction, TcpProxy, Way } from '../harness/tcp-proxy.ts';
import { anyNode, type Fault, halfMoves } from './cluster-faults.ts';
import type { ClusterRun } from './cluster-run.ts';

const ways: readonly Way[] = ['up', 'down', 'both'];
/** A link that is whole again carries acknowledgements within this. */
const repairMs = 3000;
/** Packets that had left the node before its lease ended. */
const echoMs = 250;

/** A fault during which clients stay where they are, and that none of them notices. */
function unnoticed<P extends TcpProxy | FrameProxy>(
  happens: (run: ClusterRun<P>, proxy: P) => Promise<string>,
): Fault<P> {
  return async (run) => {
    await run.load(200, 600);
    await run.calm();
    const undisturbed = run.undisturbed();
    const said = await happens(run, run.random.pick(run.cluster.proxies));
    await run.progress(repairMs);
    undisturbed('by a link that is bad for a moment');
    run.stir();
    await run.load(100, 300);
    return said;
  };
}

export const stallShort: Fault<TcpProxy> = unnoticed(async (run, proxy) => {
  const way = run.random.pick(ways);
  const ms = run.leaseMs * (0.1 + 0.3 * run.random.next());
  proxy.stall(way);
  await delay(ms);
  proxy.flow(way);
  return `stalled ${way} for ${Math.round(ms)} ms`;
});

export const cuts: Fault<TcpProxy> = unnoticed(async (run, proxy) => {
  const count = 8 + run.random.below(8);
  for (let cut = 0; cut < count; cut += 1) {
    proxy.cut();
    await run.load(20, 300);
  }
  return `cut ${count} times`;
});

const frameKinds = ['sequenced', 'all', 'unsequenced'] as const;

function frames(fate: 'lose' | 'repeat'): Fault<FrameProxy> {
  return unnoticed(async (run, proxy) => {
    const strike = async (direction: Direction, kind: (typeof frameKinds)[number]) => {
      let happened = false;
      void proxy[fate](direction, { frames: kind }).then(() => {
        happened = true;
      });
      await run.until(
        () => `a frame ${direction}, ${kind}`,
        repairMs,
        () => happened,
      );
      await run.progress(repairMs);
    };
    const count = 10;
    for (let time = 0; time < count; time += 1) {
      await strike(time % 2 === 0 ? 'up' : 'down', run.random.pick(frameKinds));
    }
    // The first one of a stream, without which the other end does not begin.
    proxy.cut();
    await strike('down', 'unsequenced');
    const { again: up } = proxy.counts('up');
    const { again: down } = proxy.counts('down');
    return `${count + 1} frames, sent again ${up} up, ${down} down`;
  });
}

export const loseFrames: Fault<FrameProxy> = frames('lose');
export const repeatFrames: Fault<FrameProxy> = frames('repeat');

/**
 * The node is alone for so long that its lease ends. Half of its clients come elsewhere meanwhile;
 * it says nothing to the others until it has heard of ds again.
 */
function alone(
  how: (proxy: TcpProxy, way: Way) => () => void,
  ms: (run: ClusterRun<TcpProxy>) => number,
): Fault<TcpProxy> {
  return async (run) => {
    const { cluster, random } = run;
    await run.load(200, 600);
    await run.calm();
    const node = anyNode(run);
    const number = cluster.cs.indexOf(node) + 1;
    const way = random.pick(ways);
    const end = how(cluster.proxy(number), way);
    const startMs = performance.now();
    const stay = halfMoves(run, node);
    const drops = run.drops(stay);
    const connections = stay.flatMap(({ party }) => party.seat.connection ?? []);
    await delay(run.leaseMs + echoMs);
    const heard = (): number => connections.reduce((sum, each) => sum + each.packetCount, 0);
    const before = heard();
    for (const connection of connections) connection.send(pingreq());
    await delay(Math.max(0, startMs + ms(run) - performance.now()));
    if (heard() !== before) run.note(`${heard() - before} packets from a node without its lease`);
    end();
    run.shunned.delete(node);
    await run.progress(repairMs + run.leaseMs);
    await run.connected();
    const dropped = run.drops(stay) - drops;
    run.stir();
    await run.load(100, 300);
    const lasted = Math.round(performance.now() - startMs);
    return `alone for ${lasted} ms, ${dropped} of ${stay.length} clients dropped`;
  };
}

export const stallLong: Fault<TcpProxy> = alone(
  (proxy, way) => {
    proxy.stall(way);
    return () => proxy.flow(way);
  },
  (run) => run.leaseMs * (1.6 + run.random.next()),
);

export const partition = (ms: number): Fault<TcpProxy> =>
  alone(
    (proxy) => {
      proxy.partition();
      return () => proxy.heal();
    },
    () => ms,
  );
