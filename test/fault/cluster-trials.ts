// The kinds of faults that a cluster of processes must stand, each with its ways to happen.
import { direct, type LinkProxy } from '../harness/cluster.ts';
import { FrameProxy } from '../harness/frame-proxy.ts';
import { TcpProxy } from '../harness/tcp-proxy.ts';
import {
  freezeCsLong,
  freezeCsShort,
  killCs,
  killDs,
  killDsAgain,
  killDsAndCs,
} from './cluster-faults.ts';
import {
  cuts,
  loseFrames,
  partition,
  repeatFrames,
  stallLong,
  stallShort,
} from './cluster-link-faults.ts';
import type { Trial } from './cluster-trial.ts';

/** So long that a busy machine does not end a lease by itself. */
const safeLeaseMs = 3000;
const between = direct;
const tcp = (target: Parameters<typeof TcpProxy.start>[0]): Promise<TcpProxy> =>
  TcpProxy.start(target);
const framed = (target: Parameters<typeof FrameProxy.start>[0]): Promise<FrameProxy> =>
  FrameProxy.start(target);

export const csKilled: Trial<LinkProxy> = { name: 'kill -9 of a cs', fault: killCs, between };

export const csFrozenIdle: Trial<LinkProxy> = {
  name: 'a cs stopped for longer than its lease, in a quiet moment',
  fault: freezeCsLong(true),
  between,
};

export const csFrozenAtWork: Trial<LinkProxy> = {
  name: 'a cs stopped for longer than its lease, at work',
  fault: freezeCsLong(false),
  between,
};

export const csPaused: Trial<LinkProxy> = {
  name: 'a cs stopped for a part of its lease',
  fault: freezeCsShort,
  between,
  leaseMs: safeLeaseMs,
};

export const dsKilledShortly: Trial<LinkProxy> = {
  name: 'kill -9 of ds, back within the lease',
  fault: killDs((run) => run.leaseMs * (0.2 + 0.5 * run.random.next())),
  between,
};

export const dsKilledForLong: Trial<LinkProxy> = {
  name: 'kill -9 of ds, back after the lease',
  fault: killDs((run) => run.leaseMs * (1.2 + 2 * run.random.next())),
  between,
};

export const dsKilledBusy: Trial<LinkProxy> = {
  name: 'kill -9 of ds while clients come and go',
  fault: killDs((run) => run.leaseMs * 3 * run.random.next()),
  between,
  busy: true,
};

export const dsKilledAgain: Trial<LinkProxy> = {
  name: 'kill -9 of ds and of those that follow, while clients come and go',
  fault: killDsAgain,
  between,
  busy: true,
};

export const bothKilled: Trial<LinkProxy> = {
  name: 'kill -9 of ds and a cs at once',
  fault: killDsAndCs,
  between,
};

export const stalledShortly: Trial<TcpProxy> = {
  name: 'a link that stalls for a part of the lease',
  fault: stallShort,
  between: tcp,
  leaseMs: safeLeaseMs,
};

export const stalledForLong: Trial<TcpProxy> = {
  name: 'a link that stalls for longer than the lease',
  fault: stallLong,
  between: tcp,
};

export const cutAgainAndAgain: Trial<TcpProxy> = {
  name: 'a link that is cut again and again',
  fault: cuts,
  between: tcp,
  leaseMs: safeLeaseMs,
};

export const cutBusy: Trial<TcpProxy> = {
  ...cutAgainAndAgain,
  name: 'a link that is cut again and again while clients come and go',
  busy: true,
};

export const framesLost: Trial<FrameProxy> = {
  name: 'frames lost',
  fault: loseFrames,
  between: framed,
  leaseMs: safeLeaseMs,
};

export const framesRepeated: Trial<FrameProxy> = {
  name: 'frames repeated',
  fault: repeatFrames,
  between: framed,
  leaseMs: safeLeaseMs,
};

export function partitioned(ms: number): Trial<TcpProxy> {
  return {
    name: `a partition between a cs and ds for ${ms / 1000} s`,
    fault: partition(ms),
    between: tcp,
  };
}

/** One after another, and clients come and go. */
export const anything: Trial<TcpProxy> = {
  name: 'one fault after another',
  fault: async (run) => {
    const faults = [
      killCs,
      freezeCsLong(false),
      freezeCsShort,
      killDs(({ leaseMs, random }) => leaseMs * 3 * random.next()),
      killDsAgain,
      killDsAndCs,
      stallShort,
      stallLong,
      cuts,
    ];
    const said: string[] = [];
    for (let count = 0; count < 4; count += 1) said.push(await run.random.pick(faults)(run));
    return said.join('; ');
  },
  between: tcp,
  busy: true,
};

/** Several on one cluster, that of the first. */
export function inTurn<P extends LinkProxy>(
  first: Trial<P>,
  ...others: readonly Pick<Trial<P>, 'name' | 'fault'>[]
): Trial<P> {
  const trials = [first, ...others];
  return {
    ...first,
    name: trials.map(({ name }) => name).join('; '),
    fault: async (run) => {
      const said: string[] = [];
      for (const { fault } of trials) said.push(await fault(run));
      return said.join('; ');
    },
  };
}
