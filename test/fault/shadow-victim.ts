import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Settings } from '@lmqtt/common/settings/row';
import type { Victim } from './kill-run.ts';
import type { ShadowOrder, ShadowReport } from './shadow-broker.ts';

const program = join(import.meta.dirname, 'shadow-broker.js');
const startMs = 20_000;

/**
 * A broker whose power can be cut: after `kill` it starts on the files as of their last syncs,
 * not on what the page cache still had. Its syncs can be held.
 */
export class ShadowVictim implements Victim {
  mqttPort = 0;
  /** How long its syncs take at most, and whether they are told before they ended. */
  slowMs = 0;
  lies = false;
  readonly #scratch: string = mkdtempSync(join(tmpdir(), 'lmqtt-shadow-'));
  readonly #settings: Partial<Settings>;
  #child: ChildProcess | undefined;
  #directory: string;
  #copies = 0;

  constructor(settings: Partial<Settings> = {}) {
    this.#settings = settings;
    this.#directory = join(this.#scratch, '0');
  }

  async start(): Promise<void> {
    const child = fork(program, [this.#directory, JSON.stringify(this.#settings)]);
    this.#child = child;
    const signal = AbortSignal.timeout(startMs);
    const ended = once(child, 'exit', { signal }).then(([code]: unknown[]) => {
      throw new Error(`the broker ended with code ${String(code)}`);
    });
    const ready = once(child, 'message', { signal });
    ended.catch(() => {});
    const [report] = (await Promise.race([ready, ended])) as [ShadowReport];
    this.mqttPort = report.mqttPort;
    if (this.slowMs > 0) await this.order({ kind: 'slow', ms: this.slowMs });
    if (this.lies) await this.order({ kind: 'lie' });
  }

  /** Resolves when it is obeyed. */
  async order(order: ShadowOrder): Promise<void> {
    const child = this.#child;
    assert.ok(child, 'the broker runs');
    const obeyed = once(child, 'message');
    child.send(order);
    await obeyed;
  }

  /** After the tests: nothing is left of it. */
  async end(): Promise<void> {
    const child = this.#child;
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    rmSync(this.#scratch, { recursive: true, force: true });
  }

  async kill(): Promise<void> {
    const child = this.#child;
    assert.ok(child, 'the broker runs');
    this.#copies += 1;
    const into = join(this.#scratch, String(this.#copies));
    const exited = once(child, 'exit');
    child.send({ kind: 'crash', into } satisfies ShadowOrder);
    await exited;
    rmSync(this.#directory, { recursive: true, force: true });
    this.#directory = into;
  }
}
