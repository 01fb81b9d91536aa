// The figures of a process, or of several as if they were one.

/** Prometheus text to values, by name and labels as they are written: `name{a="b"}`. */
export function parseMetrics(text: string): Map<string, number> {
  const values = new Map<string, number>();
  for (const line of text.split('\n')) {
    const space = line.lastIndexOf(' ');
    if (line.startsWith('#') || space < 0) continue;
    values.set(line.slice(0, space), Number(line.slice(space + 1)));
  }
  return values;
}

/** GET /metrics. */
export async function fetchMetrics(host: string, opsPort: number): Promise<Map<string, number>> {
  const answer = await fetch(`http://${host}:${opsPort}/metrics`, {
    signal: AbortSignal.timeout(60_000),
  });
  if (!answer.ok) throw new Error(`/metrics answered ${answer.status}`);
  return parseMetrics(await answer.text());
}

/** Delays and times of one process: the worst of several says more than their sum. */
const isOfOne = (name: string): boolean =>
  name.startsWith('nodejs_eventloop_lag') || name.startsWith('process_start_time');

/**
 * Counts of several processes added up. A gauge that more than one has counts what each holds (its
 * connections, its memory), so that it adds up too.
 */
export function sumMetrics(parts: readonly ReadonlyMap<string, number>[]): Map<string, number> {
  const sums = new Map<string, number>();
  for (const part of parts) {
    for (const [name, value] of part) {
      const before = sums.get(name);
      if (before === undefined) sums.set(name, value);
      else sums.set(name, isOfOne(name) ? Math.max(before, value) : before + value);
    }
  }
  return sums;
}
