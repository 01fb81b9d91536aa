// Counting on the hot path costs one addition to a number: counters are plain objects whose values
// Prometheus' client takes over when somebody asks for them. One `Metrics` for each broker.
import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client';

import { BucketHistogram } from './bucket-histogram.ts';
import { unreadFiles } from './watched-files.ts';
import { type LimitName, limitMetricName, limits } from './settings/row.ts';

/** `counter.value += 1` */
export interface PlainCounter {
  value: number;
}

/** `counters.connect += 1`; no name can be added later. */
export type PlainCounters<Name extends string> = Record<Name, number>;

export class Metrics {
  readonly registry: Registry = new Registry();
  /** How often each limit was reached: `metrics.limits.MAX_CONNECTIONS += 1`. */
  readonly limits: PlainCounters<LimitName>;

  constructor() {
    const counts = Object.fromEntries(limits.map((limit) => [limit.name, 0]));
    // The names come from the same rows as the type.
    this.limits = counts as PlainCounters<LimitName>;
    this.countersOf(
      limitMetricName,
      'Times that a limit was reached, by the name of its setting',
      'limit',
      () => Object.entries(this.limits).map(([name, count]) => [name.toLowerCase(), count]),
    );
    this.gauge(
      'lmqtt_files_not_in_force',
      'Files of rules, passwords or certificates that have changed and are not in force, because they cannot be read or used',
      unreadFiles,
    );
  }

  /** CPU, memory, garbage collection and event-loop delay of this process. */
  watchProcess(): void {
    collectDefaultMetrics({ register: this.registry, eventLoopMonitoringPrecision: 100 });
  }

  counter(name: string, help: string): PlainCounter {
    const plain: PlainCounter = { value: 0 };
    const counter = new Counter({
      name,
      help,
      registers: [this.registry],
      collect() {
        counter.reset();
        counter.inc(plain.value);
      },
    });
    return plain;
  }

  /** A count that somebody keeps already; `read` is called at each scrape. */
  counterOf(name: string, help: string, read: () => number): void {
    const counter = new Counter({
      name,
      help,
      registers: [this.registry],
      collect() {
        counter.reset();
        counter.inc(read());
      },
    });
  }

  /** One number for each value of one label. */
  counters<const Name extends string>(
    name: string,
    help: string,
    label: string,
    names: readonly Name[],
  ): PlainCounters<Name> {
    const plain = Object.fromEntries(names.map((each) => [each, 0])) as PlainCounters<Name>;
    this.countersOf(name, help, label, () => Object.entries<number>(plain));
    return plain;
  }

  /** Numbers that somebody keeps already, by the values of two labels. */
  countersBy(
    name: string,
    help: string,
    label: string,
    further: string,
    read: () => Iterable<{
      readonly labels: Readonly<Record<string, string>>;
      readonly value: number;
    }>,
  ): void {
    const counter = new Counter({
      name,
      help,
      labelNames: [label, further],
      registers: [this.registry],
      collect() {
        counter.reset();
        for (const { labels, value } of read()) counter.inc(labels, value);
      },
    });
  }

  /** `read` is called at each scrape. */
  gauge(name: string, help: string, read: () => number): void {
    const gauge = new Gauge({
      name,
      help,
      registers: [this.registry],
      collect() {
        gauge.set(read());
      },
    });
  }

  /** `read` is called at each scrape and gives the values of one label with their numbers. */
  gauges(
    name: string,
    help: string,
    label: string,
    read: () => Iterable<readonly [string, number]>,
  ): void {
    const gauge = new Gauge({
      name,
      help,
      labelNames: [label],
      registers: [this.registry],
      collect() {
        gauge.reset();
        for (const [value, number] of read()) gauge.set({ [label]: value }, number);
      },
    });
  }

  /** `bounds` in rising order, in seconds unless the name says otherwise. */
  histogram(name: string, help: string, bounds: readonly number[]): BucketHistogram {
    const histogram = new BucketHistogram(name, help, bounds);
    this.registry.registerMetric(histogram);
    return histogram;
  }

  /** Counts that somebody keeps already, by the values of one label. */
  countersOf(
    name: string,
    help: string,
    label: string,
    read: () => Iterable<readonly [string, number]>,
  ): void {
    const counter = new Counter({
      name,
      help,
      labelNames: [label],
      registers: [this.registry],
      collect() {
        counter.reset();
        for (const [value, number] of read()) counter.inc({ [label]: value }, number);
      },
    });
  }
}

/** From 50 µs, a fast disk's sync, to 10 s, a disk in trouble. */
export const latencyBoundsS: readonly number[] = [
  0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1,
  2.5, 5, 10,
];
