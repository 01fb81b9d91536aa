// Faults on real stores as tests: a cluster for each kind, which it happens to again and again, and
// a line of figures for the kind.
import assert from 'node:assert/strict';
import { after, before, test, type TestContext } from 'node:test';
import { requireRedis, requireRocketmq } from '../harness/require.ts';
import { Random, seedOfRun } from './random.ts';
import type { StoresFault } from './stores-faults.ts';
import type { Deltas, Recovery } from './stores-run.ts';
import { Scene, startServers, stopServers, type StoreServers } from './stores-scene.ts';

const minute = 60_000;
const runMsMax = 4 * minute;
const leaseMs = 3000;

/**
 * FAULT_RUNS: of each kind. FAULT_STOP_MS: how long what is stopped or cut stays so.
 * FAULT_TIMES=told: that traffic goes on later than it should is no failure, so that a long run
 * goes on, too.
 */
const { FAULT_RUNS, FAULT_STOP_MS, FAULT_RATE, FAULT_SHARED, FAULT_ONLY, FAULT_TIMES } =
  process.env;
const runsUsual = 2;
const stopMsUsual = 8000;
const rateUsual = 120;
const smallZones = 3;

const columns = [
  'acknowledged',
  'arrivals',
  'lost',
  'doubled',
  'disordered',
  'repeated',
  'wills',
  'willsWrong',
] as const;

/** `kind | runs | …`, with the median and the worst of the times until all went on. */
export function tableLine(
  name: string,
  deltas: readonly Deltas[],
  recoveries: readonly Recovery[],
): string {
  const times = recoveries.map(({ allMs }) => Math.round(allMs)).sort((one, other) => one - other);
  const median = times[Math.floor((times.length - 1) / 2)] ?? 0;
  const sums = columns.map((column) => deltas.reduce((sum, each) => sum + each[column], 0));
  return [name, deltas.length, ...sums, `${median} / ${times.at(-1) ?? 0} ms`].join(' | ');
}

export const tableHead: string = ['fault', 'runs', ...columns, 'again after p50 / max'].join(' | ');

async function tryOut(
  t: TestContext,
  servers: StoreServers,
  faults: readonly StoresFault[],
  runs: number,
  small: boolean,
): Promise<void> {
  const seed = seedOfRun();
  const stopMs = Number(FAULT_STOP_MS ?? stopMsUsual);
  const options = {
    leaseMs,
    rate: Number(FAULT_RATE ?? rateUsual),
    shared: FAULT_SHARED !== '0',
    ...(small ? { zones: smallZones } : {}),
  };
  const scene = await Scene.open(servers, options, new Random(seed));
  const deltas: Deltas[] = [];
  const recoveries: Recovery[] = [];
  const { run, cluster } = scene;
  const check = (figures: Deltas, what: string): void => {
    deltas.push(figures);
    assert.deepEqual(figures.problems, [], `${what}, seed ${seed}\n${told(cluster.logs())}`);
    assert.equal(figures.lost + figures.doubled + figures.disordered + figures.willsWrong, 0);
    assert.ok(figures.acknowledged > 0 && figures.arrivals > 0);
    assert.equal(cluster.died, false, cluster.lastWords);
  };
  try {
    await run.load(1000, 1500);
    check(await run.settle(), 'before any fault');
    for (let count = 1; count <= runs; count += 1) {
      for (const fault of faults) {
        run.go();
        const recovery = await fault.happen(scene, stopMs);
        recoveries.push(recovery);
        if (!small && FAULT_TIMES !== 'told') judge(run, fault, recovery);
        run.go();
        await run.load(500, 1000);
        check(await run.settle(), `${fault.name}, run ${count}`);
      }
    }
  } finally {
    t.diagnostic(tableHead);
    const names = faults.map(({ name }) => name).join('; ');
    t.diagnostic(tableLine(names, deltas, recoveries));
    const code = await scene.close();
    assert.equal(code, 0);
  }
}

function judge(run: Scene['run'], fault: StoresFault, { qos1Ms, allMs }: Recovery): void {
  const { withinMs, allWithinMs = withinMs } = fault;
  if (qos1Ms > withinMs) run.note(`again after ${Math.round(qos1Ms)} ms at QoS 1, not ${withinMs}`);
  if (allMs > allWithinMs) run.note(`all again after ${Math.round(allMs)} ms, not ${allWithinMs}`);
}

const linesMax = 300;

function told(logs: string): string {
  const lines = logs.split('\n').filter((line) => !line.includes('"connection refused"'));
  return lines.slice(-linesMax).join('\n');
}

export interface TrialOptions {
  /** Default: FAULT_RUNS, or 2. */
  readonly runs?: number;
  /** All of them in turn on one cluster, as one test. */
  readonly together?: boolean;
  /** Fewer clients; and times are told, not judged: other tests run beside it. */
  readonly small?: boolean;
}

/** A test for each, on one Redis and one RocketMQ. */
export function tryEach(faults: readonly StoresFault[], options: TrialOptions = {}): void {
  const { runs = Number(FAULT_RUNS ?? runsUsual), together = false, small = false } = options;
  const { skip: noRedis } = requireRedis();
  const { skip: noRocketmq } = requireRocketmq();
  const skip = noRedis === false ? noRocketmq : noRedis;
  let servers: StoreServers | undefined;
  before(async () => {
    if (skip === false) servers = await startServers(faults.some(({ ways }) => ways === true));
  });
  after(async () => {
    if (servers !== undefined) await stopServers(servers);
  });
  const wanted = faults.filter(({ name }) => FAULT_ONLY === undefined || name.includes(FAULT_ONLY));
  for (const group of together ? [wanted] : wanted.map((fault) => [fault])) {
    const name = group.map((fault) => fault.name).join('; ');
    const timeout = runMsMax * (1 + runs * group.length);
    void test(name, { skip, timeout }, async (t) => {
      assert.ok(servers !== undefined);
      await tryOut(t, servers, group, runs, small);
    });
  }
}
