// A Prometheus histogram without labels whose `record` is a short search and two additions.
// Hides: that the client library reads values through two methods, one of them not in its types.
import { Histogram, type MetricObjectWithValues, type MetricValueWithName } from 'prom-client';

type Snapshot = MetricObjectWithValues<MetricValueWithName<string>>;

export class BucketHistogram extends Histogram {
  readonly #name: string;
  /** Gives name, help and type as the client library wants them. */
  readonly #envelope: Histogram;
  readonly #bounds: readonly number[];
  /** The last one is for what is above all bounds. */
  readonly #counts: Float64Array;
  #sum = 0;

  constructor(name: string, help: string, bounds: readonly number[]) {
    super({ name, help, buckets: [...bounds], registers: [] });
    this.#name = name;
    this.#envelope = new Histogram({ name, help, registers: [] });
    this.#bounds = bounds;
    this.#counts = new Float64Array(bounds.length + 1);
  }

  /** In place of `observe`, which the client library puts on each object anew. */
  record(value: number): void {
    const bounds = this.#bounds;
    let index = 0;
    while (index < bounds.length && value > (bounds[index] ?? Infinity)) index += 1;
    this.#counts[index] = (this.#counts[index] ?? 0) + 1;
    this.#sum += value;
  }

  override get(): Promise<Snapshot> {
    return this.getForPromString();
  }

  async getForPromString(): Promise<Snapshot> {
    const values: MetricValueWithName<string>[] = [];
    let total = 0;
    for (const [index, count] of this.#counts.entries()) {
      total += count;
      const le = this.#bounds[index] ?? '+Inf';
      values.push({ metricName: `${this.#name}_bucket`, labels: { le }, value: total });
    }
    values.push({ metricName: `${this.#name}_sum`, labels: {}, value: this.#sum });
    values.push({ metricName: `${this.#name}_count`, labels: {}, value: total });
    return { ...(await this.#envelope.get()), values };
  }
}
