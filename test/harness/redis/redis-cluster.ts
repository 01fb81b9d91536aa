// Redis Cluster: three masters that share the slots, without replicas.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { freePort } from '../free-port.ts';
import { mustFindProgram } from '../programs.ts';
import { type RedisOptions, type RedisServer, startRedis } from './redis-server.ts';
import { until } from './until.ts';

const nodeCount = 3;
const wholeMs = 30_000;

export class RedisCluster {
  readonly nodes: readonly RedisServer[];

  constructor(nodes: readonly RedisServer[]) {
    this.nodes = nodes;
  }

  /** As REDIS_URL takes it. */
  get url(): string {
    return `redis://${this.nodes.map((node) => node.address).join(',')}`;
  }

  /** Every node sees all slots served. */
  async untilWhole(): Promise<void> {
    for (const node of this.nodes) {
      await until(
        async () => (await node.command('cluster', 'info')).includes('cluster_state:ok'),
        wholeMs,
        `${node.name}: cluster_state:ok`,
      );
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.close()));
  }
}

export async function startRedisCluster(
  options: Pick<RedisOptions, 'conf'> = {},
): Promise<RedisCluster> {
  const nodes: RedisServer[] = [];
  const cluster = new RedisCluster(nodes);
  try {
    for (let index = 1; index <= nodeCount; index += 1) {
      const conf = [
        ...['cluster-enabled yes', 'cluster-node-timeout 2000'],
        ...[`cluster-port ${await freePort()}`, ...(options.conf ?? [])],
      ];
      nodes.push(await startRedis({ name: `redis-${index}`, conf }));
    }
    const addresses = nodes.map((node) => node.address);
    const create = ['--cluster', 'create', ...addresses, '--cluster-yes'];
    await promisify(execFile)(mustFindProgram('redis-cli'), create);
    await cluster.untilWhole();
    return cluster;
  } catch (error) {
    await cluster.close();
    throw error;
  }
}
