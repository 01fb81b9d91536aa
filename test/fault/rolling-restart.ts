// A rolling restart: each node of a cluster is stopped as planned and started again, one after the
// other, under clients that publish at QoS 1 and 2 and come back wherever they are let in.
import assert from 'node:assert/strict';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import type { ClusterNode } from '../harness/cluster-node.ts';
import { RollingClient, type RollingFigures } from './rolling-client.ts';

export interface RollingSize {
  readonly clients: number;
  /** Messages that all of them publish each second. */
  readonly ratePerS: number;
  readonly settleMs: number;
  /** How long wills are awaited at the end; those of clients that were sent away wait for them. */
  readonly willsWaitMs: number;
}

/** Half of the time for which wills wait for their clients: these see less of it than ds does. */
const awayMsMax = 5000;
const tickMs = 50;
/** A client with so many unanswered publishes has no further one: a slow machine gets less load. */
const unansweredMax = 4;
const atOnce = 50;

const topicOf = (prefix: string, index: number): string => `${prefix}/${index}`;

export class RollingRestart {
  readonly figures: RollingFigures = { refused: 0, referred: 0 };
  readonly #size: RollingSize;
  readonly #ports: readonly number[];
  readonly #clients: readonly RollingClient[];
  readonly #watcher: RollingClient;
  readonly #prefix = `roll-${process.pid}-${Date.now()}`;
  #publishing: NodeJS.Timeout | undefined = undefined;
  #next = 0;
  #leftOut = 0;
  /** Acknowledged messages that have not come, and how many of each client were seen so far. */
  #missing: { readonly to: RollingClient; readonly text: string }[] = [];
  readonly #seen: number[] = [];
  readonly #loop = monitorEventLoopDelay();

  constructor(size: RollingSize, ports: readonly number[]) {
    this.#size = size;
    this.#ports = ports;
    const will = `${this.#prefix}/wills`;
    this.#clients = Array.from({ length: size.clients }, (_, index) => {
      const qos = index % 2 === 0 ? 1 : 2;
      return new RollingClient(`${this.#prefix}-${index}`, qos, ports, this.figures, will);
    });
    this.#watcher = new RollingClient(`${this.#prefix}-w`, 2, ports, this.figures, `${will}/none`);
  }

  async start(): Promise<void> {
    await this.#watcher.come(this.#ports[0]!, [`${this.#prefix}/wills`]);
    for (let at = 0; at < this.#clients.length; at += atOnce)
      await Promise.all(
        this.#clients.slice(at, at + atOnce).map((client, index) => {
          const port = this.#ports[(at + index) % this.#ports.length]!;
          return client.come(port, [topicOf(this.#prefix, at + index)]);
        }),
      );
    this.#loop.enable();
    let startedMs = performance.now();
    this.#publishing = setInterval(() => {
      const nowMs = performance.now();
      const due = Math.floor(((nowMs - startedMs) * this.#size.ratePerS) / 1000);
      if (due === 0) return;
      startedMs = nowMs;
      // A machine that stood still is not asked for all of it at once.
      for (let left = Math.min(due, this.#size.ratePerS); left > 0; left -= 1) this.#publish();
    }, tickMs);
  }

  /** Each in its turn; all clients are connected again before the next one. */
  async restart(nodes: readonly ClusterNode[], say: (line: string) => void): Promise<void> {
    for (const node of nodes) {
      const before = { ...this.figures };
      const began = performance.now();
      assert.equal(await node.end('SIGTERM'), 0, `${node.name} stopped: ${node.process.lastWords}`);
      const stoppedMs = performance.now() - began;
      await node.start();
      await node.untilReady(this.#size.settleMs);
      await this.#eventually('all clients are connected', () => this.#away().length === 0);
      const referred = this.figures.referred - before.referred;
      const refused = this.figures.refused - before.refused;
      say(
        `${node.name}: stopped in ${Math.round(stoppedMs)} ms; ${referred} referred, ${refused} refused`,
      );
    }
  }

  /** Nothing acknowledged is lost, nothing at QoS 2 doubled, no will of who came back in time was sent. */
  async settle(say: (line: string) => void): Promise<void> {
    clearInterval(this.#publishing);
    await this.#eventually('all publishes are answered', () =>
      this.#clients.every(({ unanswered }) => unanswered === 0),
    );
    await this.#eventually('all that was acknowledged has come', () => this.#lost().length === 0);
    this.#loop.disable();
    await delay(this.#size.willsWaitMs);
    const acknowledged = this.#clients.reduce((sum, one) => sum + one.acknowledged.length, 0);
    const doubled = (qos: 1 | 2): string[] =>
      this.#clients
        .filter((client) => client.qos === qos)
        .flatMap(({ came }) => [...came].filter(([, times]) => times > 1).map(([text]) => text));
    say(
      `${acknowledged} messages; ${doubled(1).length} came again at QoS 1; ${this.#leftOut} left out`,
    );
    const late = this.#clients.filter((client) => client.awayMsMax > awayMsMax);
    const longestMs = (of: (client: RollingClient) => number): number =>
      Math.round(Math.max(...this.#clients.map(of)));
    say(
      `away for ${longestMs((client) => client.awayMsMax)} ms at most, ` +
        `CONNACK after ${longestMs((client) => client.answerMsMax)} ms at most; ` +
        `${late.length} came too late for their wills`,
    );
    say(`the loop of the clients stood still for ${Math.round(this.#loop.max / 1e6)} ms at most`);
    assert.deepEqual(this.#lost(), []);
    assert.deepEqual(doubled(2), []);
    const mayBeMissed = new Set(late.map(({ id }) => id));
    const wills = [...this.#watcher.came.keys()].filter((id) => !mayBeMissed.has(id));
    assert.deepEqual(wills, [], 'wills');
    const often = this.#clients.filter(({ refusedInARow }) => refusedInARow > 1);
    assert.deepEqual(
      often.map(({ id, refusedInARow }) => `${id}: ${refusedInARow} times`),
      [],
      'refused more than once in a row',
    );
  }

  async stop(): Promise<void> {
    clearInterval(this.#publishing);
    await Promise.all([...this.#clients, this.#watcher].map((client) => client.end()));
  }

  #publish(): void {
    const { length } = this.#clients;
    const from = this.#clients[this.#next % length]!;
    const to = (this.#next + 1) % length;
    this.#next += 1;
    if (from.unanswered >= unansweredMax) {
      this.#leftOut += 1;
      return;
    }
    from.publish(topicOf(this.#prefix, to), this.#clients[to]!.qos);
  }

  #away(): RollingClient[] {
    return [this.#watcher, ...this.#clients].filter(({ isOpen }) => !isOpen);
  }

  #lost(): string[] {
    const { length } = this.#clients;
    for (const [index, { acknowledged }] of this.#clients.entries()) {
      const to = this.#clients[(index + 1) % length]!;
      const fresh = acknowledged.slice(this.#seen[index] ?? 0);
      this.#missing.push(...fresh.map((text) => ({ to, text })));
      this.#seen[index] = acknowledged.length;
    }
    this.#missing = this.#missing.filter(({ to, text }) => !to.came.has(text));
    return this.#missing.map(({ text }) => text);
  }

  async #eventually(what: string, holds: () => boolean): Promise<void> {
    const endMs = performance.now() + this.#size.settleMs;
    while (!holds()) {
      if (performance.now() >= endMs) {
        const away = this.#away().length;
        assert.fail(`${what}: ${away} clients away, ${this.#lost().length} messages missing`);
      }
      await delay(tickMs * 4);
    }
  }
}
