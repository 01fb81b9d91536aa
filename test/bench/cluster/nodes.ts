// Our nodes for one run: on RocketMQ and Redis, or a ds on its own disk, which shows what of a
// figure the stores are. They are killed at the end unless they are profiled: only an orderly end
// writes a profile.
import { direct, startCluster } from '../../harness/cluster.ts';
import type { ClusterNode } from '../../harness/cluster-node.ts';
import { StoreCluster } from '../../harness/store-cluster.ts';
import type { Target } from '../wire/connection.ts';
import type { Stores } from './stores.ts';

export const profiledNodes = ['cs', 'ds'] as const;
export type ProfiledNode = (typeof profiledNodes)[number];

export interface NodesOptions {
  /** Undefined: a ds on its own disk. */
  readonly stores: Stores | undefined;
  readonly cs: number;
  readonly settings: Readonly<Record<string, string>>;
  readonly profile: { readonly of: ProfiledNode; readonly dir: string } | undefined;
}

export interface Nodes {
  /** Ours first, then the stores. */
  readonly target: Target;
  /** The end of what they logged, long lines cut. */
  logs(): string;
  stop(): Promise<void>;
}

const logLines = 20;
const lineCharacters = 300;

interface Running {
  readonly cs: readonly ClusterNode[];
  readonly ds: ClusterNode | readonly ClusterNode[];
  logs(): string;
  kill(): Promise<void>;
  stop(): Promise<unknown>;
}

export async function startNodes(options: NodesOptions): Promise<Nodes> {
  const { stores, cs, profile } = options;
  const settings = { LOG_LEVEL: 'warn', ...options.settings };
  const profiling = profile && ['--cpu-prof', `--cpu-prof-dir=${profile.dir}`];
  const nodeArgs = {
    ...(profile?.of === 'cs' && profiling ? { csNodeArgs: profiling } : {}),
    ...(profile?.of === 'ds' && profiling ? { dsNodeArgs: profiling } : {}),
  };
  const running: Running =
    stores === undefined
      ? await startCluster({ cs, settings, between: direct, ...nodeArgs })
      : await startOnStores(stores, cs, settings, nodeArgs);
  const ours = [...running.cs, ...[running.ds].flat()];
  const isProfiled = profile !== undefined;
  return {
    target: {
      ports: running.cs.map((node) => node.port('mqtt')),
      processes: [
        ...ours.map(({ name, process: { pid } }) => ({ name, pid })),
        ...(stores?.processes ?? []),
      ],
    },
    logs: () => {
      const lines = running.logs().trimEnd().split('\n').slice(-logLines);
      return lines.map((line) => `    ${line.slice(0, lineCharacters)}`).join('\n');
    },
    stop: async () => {
      if (!isProfiled) await running.kill();
      await running.stop();
    },
  };
}

async function startOnStores(
  stores: Stores,
  cs: number,
  settings: Readonly<Record<string, string>>,
  nodeArgs: { readonly csNodeArgs?: string[]; readonly dsNodeArgs?: string[] },
): Promise<StoreCluster> {
  const cluster = new StoreCluster({
    redisUrl: stores.redis.url,
    namesrv: stores.rocketmq.namesrv.address,
    ...{ ds: 1, cs, settings, ...nodeArgs },
  });
  try {
    await cluster.start();
    return cluster;
  } catch (error) {
    await cluster.kill();
    await cluster.stop();
    throw error;
  }
}
