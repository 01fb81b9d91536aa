// All runs of one row under one condition: RocketMQ and Redis with fresh stores, and in turns what
// runs without our nodes and what runs with them (bare, ours, bare, ours, bare), so that what else
// the machine does falls on both. Our nodes are there only during their own runs.
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { ask, generate } from '../generator.ts';
import type { Outcome } from '../job.ts';
import { profileText } from '../profile.ts';
import { write } from '../report.ts';
import { faultText } from '../results.ts';
import type { BareFigures, BareJob, BareWork } from './bare-job.ts';
import type { Condition } from './condition.ts';
import { type Nodes, startNodes } from './nodes.ts';
import type { ClusterOptions } from './options.ts';
import { RedisMonitor, type RedisCounts } from './redis-monitor.ts';
import { bareLine, runLine } from './report.ts';
import type { Row } from './rows.ts';
import type { ClusterRun } from './run.ts';
import { startStores, type Stores } from './stores.ts';

/** Programs that compile as they run are slow at first, and several of them longer. */
const warmMs = 3000;
const brokerWarmS = 10;
const brokerWarmWork: BareWork = { kind: 'loop', senders: { lanes: 64 } };
/** For what comes before and after the measured time. */
const runLimitMs = 60_000;
const bareLimitMs = 300_000;
const failureLines = 40;

export class ClusterSeries {
  readonly runs: ClusterRun[] = [];
  readonly failures: string[] = [];
  readonly #row: Row;
  readonly #condition: Condition;
  readonly #options: ClusterOptions;

  constructor(row: Row, condition: Condition, options: ClusterOptions) {
    this.#row = row;
    this.#condition = condition;
    this.#options = options;
  }

  async run(): Promise<void> {
    let stores: Stores | undefined;
    try {
      if (this.#condition.shape === 'cluster') {
        stores = await startStores(this.#condition, this.#brokerOpenFiles());
        await this.#bare(stores, brokerWarmWork, brokerWarmS);
      }
      await this.#rounds(stores);
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      this.failures.push(text);
      write(`  FAILED ${text.trim().split('\n').slice(0, failureLines).join('\n    ')}`);
    } finally {
      await stores?.stop();
    }
  }

  #brokerOpenFiles(): number | undefined {
    return this.#condition.store === 'file' ? this.#row.brokerOpenFiles : undefined;
  }

  async #rounds(stores: Stores | undefined): Promise<void> {
    let before = await this.#beside(stores);
    for (let round = 0; round < this.#options.rounds; round += 1) {
      const { outcome, redis } = await this.#ours(stores);
      const after = await this.#beside(stores);
      const run = {
        ...{ row: this.#row.name, condition: this.#condition, round, outcome },
        bare: [...before, ...after],
        ...(redis === undefined ? {} : { redis }),
      };
      this.runs.push(run);
      write(runLine(this.#row, run));
      before = after;
    }
  }

  /** The runs beside which the row is read, made once. */
  async #beside(stores: Stores | undefined): Promise<readonly BareFigures[]> {
    const work = this.#row.bare?.(this.#condition);
    if (work === undefined || stores === undefined) return [];
    const figures = await this.#bare(stores, work, this.#options.seconds);
    write(bareLine(this.#row, figures));
    return [figures];
  }

  #bare(stores: Stores, work: BareWork, seconds: number): Promise<BareFigures> {
    const job: BareJob = { broker: stores.brokerAddress, work, seconds };
    return ask('cluster/bare-load.js', job, bareLimitMs + seconds * 1000);
  }

  async #ours(
    stores: Stores | undefined,
  ): Promise<{ readonly outcome: Outcome; readonly redis: RedisCounts | undefined }> {
    const { cs = 1, limitMs = runLimitMs, countsRedis = false } = this.#row;
    const { profile, seconds } = this.#options;
    const settings = { ...this.#row.settings, ...this.#options.settings };
    const dir = mkdtempSync(join(tmpdir(), 'lmqtt-profile-'));
    const beginMs = performance.now();
    const nodes = await startNodes({
      ...{ stores, cs, settings },
      profile: profile === undefined ? undefined : { of: profile, dir },
    });
    const startMs = performance.now() - beginMs;
    const monitor =
      countsRedis && stores !== undefined ? await RedisMonitor.start(stores.redis.port) : undefined;
    try {
      const measureMs = seconds * 1000;
      const work = this.#row.work({ warmMs, measureMs });
      const job = { work, target: nodes.target };
      const outcome = await this.#withLogs(nodes, generate(job, limitMs + measureMs));
      if (faultText(outcome) !== undefined) write(nodes.logs());
      const { startedMs } = outcome;
      const redis = monitor?.between(startedMs, startedMs + outcome.seconds * 1000);
      return { outcome, redis };
    } finally {
      monitor?.stop();
      await nodes.stop();
      if (profile !== undefined) write(profileText(dir, startMs));
    }
  }

  /** Says what the nodes have logged where the run fails. */
  async #withLogs(nodes: Nodes, run: Promise<Outcome>): Promise<Outcome> {
    try {
      return await run;
    } catch (error) {
      throw new Error(`${String(error)}\n${nodes.logs()}`, { cause: error });
    }
  }
}
