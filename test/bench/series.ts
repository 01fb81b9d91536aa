// All runs of one workload: every broker in turn, round after round (A B C, A B C, …).
//
// The brokers that run on Node stay up for the series, so that their code is compiled; the native
// ones start anew for each run, so that no run inherits the memory of an earlier one.
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { isAvailable, start } from './brokers.ts';
import { certificate } from './certificate.ts';
import { generate } from './generator.ts';
import type { Options } from './options.ts';
import { profileText } from './profile.ts';
import { runLine, write } from './report.ts';
import { Results } from './results.ts';
import {
  type BrokerName,
  isShape,
  type Profiling,
  type RunningBroker,
  type Shape,
} from './running-broker.ts';
import { sleep } from './wire/clock.ts';
import type { Workload } from './workloads.ts';

/** Programs that compile as they run are slow at first, and several of them longer. */
const warmMs = 3000;
/** For what comes before and after the measured time. */
const runLimitMs = 60_000;
const untimedLimitMs = 240_000;
const settleMs = 200;
const failureLines = 5;
const isNative: ReadonlySet<BrokerName> = new Set(['mosquitto', 'rumqttd']);

export class Series {
  readonly results: Results = new Results();
  readonly #workload: Workload;
  readonly #options: Options;
  readonly #up = new Map<BrokerName, RunningBroker>();
  #profileDir: string | undefined;
  /** How long the profiled broker took to start. */
  #startMs = 0;

  constructor(workload: Workload, options: Options) {
    this.#workload = workload;
    this.#options = options;
  }

  /** Shapes of ours that run here. */
  get shapes(): readonly Shape[] {
    const { shape } = this.#options;
    if (shape !== undefined) return [shape];
    return Object.keys(this.#workload.goals).filter(isShape);
  }

  #brokers(): readonly BrokerName[] {
    const peers = this.#options.peers ?? this.#workload.peers;
    const names = [...new Set<BrokerName>([...this.shapes, ...peers])];
    this.results.skipped.push(...names.filter((name) => !isAvailable(name)));
    return names.filter((name) => isAvailable(name));
  }

  async run(): Promise<Results> {
    const { tls = false, once = false } = this.#workload;
    if (tls && certificate() === undefined) {
      this.#fail('openssl is not installed: no certificate');
      return this.results;
    }
    const brokers = this.#brokers();
    const rounds = once ? 1 : this.#options.rounds;
    try {
      for (let round = 0; round < rounds; round += 1) {
        for (const variant of Object.keys(this.#workload.variants)) {
          for (const name of brokers) await this.#attempt(name, variant, round);
        }
      }
    } finally {
      for (const name of brokers) await this.#stop(name);
    }
    if (this.#profileDir !== undefined) write(profileText(this.#profileDir, this.#startMs));
    return this.results;
  }

  async #attempt(name: BrokerName, variant: string, round: number): Promise<void> {
    try {
      await this.#one(name, variant, round);
    } catch (error) {
      this.#fail(`${name}: ${String(error)}`);
      await this.#stop(name);
    }
  }

  #fail(failure: string): void {
    this.results.failures.push(failure);
    write(`  FAILED ${failure.trim().split('\n').slice(0, failureLines).join('\n    ')}`);
  }

  async #one(name: BrokerName, variant: string, round: number): Promise<void> {
    const { variants, once = false } = this.#workload;
    const measureMs = this.#options.seconds * 1000;
    const work = variants[variant]?.({ warmMs, measureMs });
    if (work === undefined) return;
    const broker = await this.#start(name);
    const limitMs = 'measureMs' in work ? runLimitMs + work.measureMs : untimedLimitMs;
    const outcome = await generate({ work, target: broker.target }, limitMs);
    const run = { broker: name, variant, round, outcome };
    this.results.runs.push(run);
    write(runLine(this.#workload, run));
    if (once || isNative.has(name)) await this.#stop(name);
    await sleep(settleMs);
  }

  #profiling(name: BrokerName): Profiling | undefined {
    const { profile } = this.#options;
    if (profile === undefined) return undefined;
    if (name !== (profile === 'broker' ? 'standalone' : 'split')) return undefined;
    this.#profileDir ??= mkdtempSync(join(tmpdir(), 'lmqtt-profile-'));
    return { of: profile, dir: this.#profileDir };
  }

  async #start(name: BrokerName): Promise<RunningBroker> {
    const up = this.#up.get(name);
    if (up !== undefined) return up;
    const { tls = false, settings, cs = 1 } = this.#workload;
    const profiling = this.#profiling(name);
    const cert = tls ? certificate() : undefined;
    const begin = performance.now();
    const broker = await start(name, {
      ...(cert === undefined ? {} : { certificate: cert }),
      ...(settings === undefined ? {} : { settings }),
      ...(profiling === undefined ? {} : { profiling }),
      cs,
    });
    if (profiling !== undefined) this.#startMs = performance.now() - begin;
    this.#up.set(name, broker);
    return broker;
  }

  async #stop(name: BrokerName): Promise<void> {
    const broker = this.#up.get(name);
    this.#up.delete(name);
    await broker?.stop();
  }
}
