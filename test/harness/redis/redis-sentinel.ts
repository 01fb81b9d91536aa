// A master, its replica, and sentinels that put the replica in its place within about a second.
import { type RedisServer, startRedis } from './redis-server.ts';
import { until } from './until.ts';

export interface RedisSentinelOptions {
  /** One to three. */
  readonly sentinels?: number;
  /** How long a master is silent before it counts as gone. */
  readonly downAfterMs?: number;
}

const settledMs = 30_000;
const failoverMs = 3000;

export class RedisSentinel {
  /** Name of the master at the sentinels. */
  readonly masterName = 'lmqtt';
  /** The first master and the first replica: a failover changes their parts, not these names. */
  readonly master: RedisServer;
  readonly replica: RedisServer;
  readonly sentinels: readonly RedisServer[];

  constructor(master: RedisServer, replica: RedisServer, sentinels: readonly RedisServer[]) {
    this.master = master;
    this.replica = replica;
    this.sentinels = sentinels;
  }

  /** As REDIS_URL takes it. */
  get url(): string {
    const addresses = this.sentinels.map((sentinel) => sentinel.address).join(',');
    return `redis-sentinel://${addresses}/${this.masterName}`;
  }

  /** The port of the master that the sentinel names to clients. */
  async masterPort(sentinel: RedisServer | undefined = this.sentinels[0]): Promise<number> {
    const asked = ['sentinel', 'get-master-addr-by-name', this.masterName];
    const [, port] = (await sentinel?.command(...asked))?.split('\n') ?? [];
    return Number(port);
  }

  /** Every sentinel names this master to clients, and it takes writes. */
  async untilMaster(server: RedisServer): Promise<void> {
    for (const sentinel of this.sentinels.filter(({ isStarted }) => isStarted)) {
      await until(
        async () => (await this.masterPort(sentinel)) === server.port,
        settledMs,
        `${sentinel.name}: the master is ${server.name}`,
      );
    }
    await until(
      async () => (await server.command('role')).startsWith('master'),
      settledMs,
      `${server.name} is a master`,
    );
  }

  /** The sentinels know the replica and each other. */
  async untilSettled(): Promise<void> {
    for (const sentinel of this.sentinels) {
      const settled = async (): Promise<boolean> => {
        const said = (await sentinel.command('sentinel', 'master', this.masterName)).split('\n');
        const field = (name: string): number => Number(said[said.indexOf(name) + 1]);
        return (
          field('num-slaves') === 1 && field('num-other-sentinels') === this.sentinels.length - 1
        );
      };
      await until(settled, settledMs, `${sentinel.name} knows all`);
    }
    await until(
      async () =>
        (await this.replica.command('info', 'replication')).includes('master_link_status:up'),
      settledMs,
      `${this.replica.name} has its master's link`,
    );
  }

  async close(): Promise<void> {
    const all = [...this.sentinels, this.replica, this.master];
    await Promise.all(all.map((server) => server.close()));
  }
}

export async function startRedisSentinel(
  options: RedisSentinelOptions = {},
): Promise<RedisSentinel> {
  const { sentinels: count = 1, downAfterMs = 800 } = options;
  const started: RedisServer[] = [];
  const start = async (name: string, conf: readonly string[], sentinel = false) => {
    const server = await startRedis({ name, conf, sentinel });
    started.push(server);
    return server;
  };
  try {
    const fast = ['repl-diskless-sync-delay 0'];
    const master = await start('redis-master', fast);
    const replicaOf = `replicaof 127.0.0.1 ${master.port}`;
    const replica = await start('redis-replica', [...fast, replicaOf]);
    const quorum = Math.floor(count / 2) + 1;
    const conf = [
      `sentinel monitor lmqtt 127.0.0.1 ${master.port} ${quorum}`,
      `sentinel down-after-milliseconds lmqtt ${downAfterMs}`,
      `sentinel failover-timeout lmqtt ${failoverMs}`,
    ];
    const sentinels: RedisServer[] = [];
    for (let index = 1; index <= count; index += 1) {
      sentinels.push(await start(`sentinel-${index}`, conf, true));
    }
    const made = new RedisSentinel(master, replica, sentinels);
    await made.untilSettled();
    return made;
  } catch (error) {
    await Promise.all(started.map((server) => server.close()));
    throw error;
  }
}
