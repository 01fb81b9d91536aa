// Meters of a run: latency histogram, and from /proc times and memory of each process of a broker.
import { readFileSync } from 'node:fs';

const subBits = 6;
const sub = 1 << subBits;

/** Microseconds in 32 bits, counted in buckets no wider than 1/32 of their value. */
export class Histogram {
  readonly #counts = new Uint32Array(sub * (33 - subBits));
  #total = 0;
  #sum = 0;
  #max = 0;

  add(us: number): void {
    const value = us < 0 ? 0 : us;
    const shift = value < sub ? 0 : 31 - Math.clz32(value) - subBits + 1;
    const index = shift === 0 ? value : sub * shift + (value >>> shift);
    this.#counts[index] = (this.#counts[index] ?? 0) + 1;
    this.#total += 1;
    this.#sum += value;
    if (value > this.#max) this.#max = value;
  }

  clear(): void {
    this.#counts.fill(0);
    this.#total = 0;
    this.#sum = 0;
    this.#max = 0;
  }

  /** The upper edge of the bucket that the quantile falls into, in µs; 0 when empty. */
  quantile(share: number): number {
    let left = Math.ceil(this.#total * share);
    if (left === 0) return 0;
    for (const [index, count] of this.#counts.entries()) {
      left -= count;
      if (left > 0) continue;
      const shift = Math.floor(index / sub);
      const edge = shift === 0 ? index : ((index % sub) + 1) * 2 ** shift - 1;
      return Math.min(edge, this.#max);
    }
    return this.#max;
  }

  latency(): Latency {
    return {
      p50Us: this.quantile(0.5),
      p99Us: this.quantile(0.99),
      maxUs: this.#max,
      meanUs: this.#total === 0 ? 0 : this.#sum / this.#total,
    };
  }
}

export interface Latency {
  readonly p50Us: number;
  readonly p99Us: number;
  readonly maxUs: number;
  readonly meanUs: number;
}

/** Linux counts process times in hundredths of a second for user programs. */
const tickUs = 10_000;

/** User and system time of all threads of a process. */
export function cpuUsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * tickUs;
}

/** How long the first thread of a process, where Node runs, was ready to run and had no core. */
export function waitedUsOf(pid: number): number {
  const [, waitedNs] = readFileSync(`/proc/${pid}/schedstat`, 'latin1').split(' ');
  return Number(waitedNs) / 1000;
}

function statusBytes(pid: number, name: string): number {
  const match = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(
    readFileSync(`/proc/${pid}/status`, 'latin1'),
  );
  return Number(match?.[1] ?? 0) * 1024;
}

export function rssBytesOf(pid: number): number {
  return statusBytes(pid, 'VmRSS');
}

/** Time that all cores spent on anything. */
function busyUsOfMachine(): number {
  const line = readFileSync('/proc/stat', 'latin1').split('\n', 1)[0] ?? '';
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = line
    .split(/\s+/)
    .slice(1)
    .map(Number);
  return (user + nice + system + irq + softirq) * tickUs;
}

export interface BrokerProcess {
  /** In reports; ours are `cs-1`, …, and `ds-1`. */
  readonly name: string;
  readonly pid: number;
}

export interface Times {
  readonly us: number;
  readonly machineUs: number;
  readonly generatorUs: number;
  /** In the order of the processes. */
  readonly brokerUs: readonly number[];
  readonly waitedUs: readonly number[];
}

export function times(processes: readonly BrokerProcess[]): Times {
  const own = process.cpuUsage();
  return {
    us: performance.now() * 1000,
    machineUs: busyUsOfMachine(),
    generatorUs: own.user + own.system,
    brokerUs: processes.map(({ pid }) => cpuUsOf(pid)),
    waitedUs: processes.map(({ pid }) => waitedUsOf(pid)),
  };
}

/** Resident bytes, in the order of the processes. */
export function memoryOf(processes: readonly BrokerProcess[]): readonly number[] {
  return processes.map(({ pid }) => rssBytesOf(pid));
}

/** Use of one process of a broker during a run. */
export interface ProcessUse {
  readonly name: string;
  readonly cpuUs: number;
  /** It was ready to run and had no core. */
  readonly waitedUs?: number;
  readonly rssBefore: number;
  readonly rssAfter: number;
  /** Share of a core, over a while in which nothing was asked of it. */
  readonly idleShare?: number;
}
