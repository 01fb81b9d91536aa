// Goals on a machine with two cores, each a sentence and a test of it.
import {
  cpuUsPerMessage,
  type Figure,
  idleShare,
  ofProcess,
  p50Us,
  perSecond,
  type Results,
  rssPerCount,
} from './results.ts';
import type { PeerName, Shape } from './running-broker.ts';

export interface Verdict {
  readonly text: string;
  /** Undefined where the runs that it needs were not made. */
  readonly measured: string | undefined;
  readonly isMet: boolean;
}

/** Judges the runs of one shape of our broker, where it needs to beside those of peers. */
export type Goal = (results: Results, shape: Shape) => Verdict;

/** The variant of a workload that has no variants. */
export const only = '';

const kib = 1024;
const mib = 1024 * 1024;

export function verdict(text: string, value: number, measured: string, isMet: boolean): Verdict {
  return { text, measured: Number.isNaN(value) ? undefined : measured, isMet };
}

export function atLeast(peer: PeerName, factor: number): Goal {
  return (results, broker) => {
    const below = { broker: peer, variant: only };
    const ratio = results.ratio(perSecond, { broker, variant: only }, below);
    return verdict(`≥ ${factor}x ${peer}`, ratio, `${ratio.toFixed(2)}x`, ratio >= factor);
  };
}

export function atMost(figure: Figure, what: string, peer: PeerName, factor: number): Goal {
  return (results, broker) => {
    const ratio = results.ratio(figure, { broker, variant: only }, { broker: peer, variant: only });
    const text = `${what} ≤ ${factor}x ${peer}`;
    return verdict(text, ratio, `${ratio.toFixed(2)}x`, ratio <= factor);
  };
}

/** Between two variants of the same broker. */
export function variantRatio(
  figure: Figure,
  above: string,
  below: string,
  text: string,
  isMet: (ratio: number) => boolean,
): Goal {
  return (results, broker) => {
    const ratio = results.ratio(figure, { broker, variant: above }, { broker, variant: below });
    return verdict(text, ratio, `${ratio.toFixed(2)}x`, isMet(ratio));
  };
}

export function p50AtMost(ms: number): Goal {
  return (results, broker) => {
    const us = results.median(p50Us, { broker, variant: only });
    return verdict(`p50 ≤ ${ms} ms`, us, `${(us / 1000).toFixed(2)} ms`, us <= ms * 1000);
  };
}

/** All processes of the broker together. */
export function cpuAtMost(usMax: number): Goal {
  return (results, broker) => {
    const place = { broker, variant: only };
    const us = results.median(cpuUsPerMessage, place);
    const text = `CPU of ${results.processes(place).join(' + ')} ≤ ${usMax} µs each`;
    return verdict(text, us, `${us.toFixed(2)} µs`, us <= usMax);
  };
}

export function memoryAtMost(kibMax: number): Goal {
  return (results, broker) => {
    const each = results.median(rssPerCount, { broker, variant: only }) / kib;
    return verdict(`≤ ${kibMax} KiB each`, each, `${each.toFixed(1)} KiB`, each <= kibMax);
  };
}

/** Maximum memory of one process of the broker. */
export function memoryOfAtMost(process: string, kibMax: number): Goal {
  return (results, broker) => {
    const figure = ofProcess(process, rssPerCount);
    const each = results.median(figure, { broker, variant: only }) / kib;
    const text = `${process} ≤ ${kibMax} KiB each`;
    return verdict(text, each, `${each.toFixed(1)} KiB`, each <= kibMax);
  };
}

/** Maximum CPU share of one process of the broker while all connections are idle. */
export function idleShareOfAtMost(process: string, percentMax: number): Goal {
  return (results, broker) => {
    const figure = ofProcess(process, idleShare);
    const percent = 100 * results.median(figure, { broker, variant: only });
    const text = `${process} ≤ ${percentMax} % of a core`;
    return verdict(text, percent, `${percent.toFixed(2)} %`, percent <= percentMax);
  };
}

/** Difference that still counts as the same amount of memory, given a garbage collector. */
export const flatBytes: number = 64 * mib;

export function flat(what: string, growthOf: (results: Results, shape: Shape) => number): Goal {
  return (results, shape) => {
    const growth = growthOf(results, shape);
    const measured = `${growth < 0 ? '' : '+'}${(growth / mib).toFixed(0)} MiB`;
    const text = `${what} (≤ ${flatBytes / mib} MiB more)`;
    return verdict(text, growth, measured, growth <= flatBytes);
  };
}
