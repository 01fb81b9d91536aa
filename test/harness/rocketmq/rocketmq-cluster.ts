// A RocketMQ of a test's own: a name server, brokers, and where wanted a proxy, on free ports.
import { mkdirSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort, freePorts } from '../free-port.ts';
import { brokerConf, type BrokerOptions, confText } from './broker.ts';
import { deployFile, ensureJars, hasProxy, wantedVersion } from './jars.ts';
import { remotingRequest } from './remoting-request.ts';
import { RocketmqServer, type ServerOptions } from './rocketmq-server.ts';

export type { BrokerOptions } from './broker.ts';

export interface RocketmqOptions {
  /** Default: LMQTT_ROCKETMQ_VERSION, or the newest. */
  readonly version?: string;
  /** Default: one, as it is. */
  readonly brokers?: readonly BrokerOptions[];
  /** A proxy in cluster mode. */
  readonly proxy?: boolean;
  /** Folder that stays; default: temporary ones. */
  readonly folder?: string;
  readonly namesrvPort?: number;
  /** gRPC; the next is taken, too. */
  readonly proxyPort?: number;
}

/** GET_BROKER_CLUSTER_INFO. */
const brokerClusterCode = 106;
const registeredMs = 60_000;
const pollMs = 50;
const startsMax = 3;
/** listenPort - 2, the one of the VIP channel, to listenPort + 1, the one of slaves. */
const brokerPorts = 4;

/** Programs of 4.x read their log settings from such files. */
const logbackConf = (program: string): Record<string, string> => {
  const text = readFileSync(deployFile('logback.xml'), 'utf8');
  return { [`logback_${program}.xml`]: text };
};

export class RocketmqCluster {
  readonly version: string;
  readonly namesrv: RocketmqServer;
  readonly brokers: readonly RocketmqServer[];
  readonly proxy: RocketmqServer | undefined;

  constructor(
    version: string,
    namesrv: RocketmqServer,
    brokers: readonly RocketmqServer[],
    proxy: RocketmqServer | undefined,
  ) {
    this.version = version;
    this.namesrv = namesrv;
    this.brokers = brokers;
    this.proxy = proxy;
  }

  /** The first broker, or the one of that name. */
  broker(name?: string): RocketmqServer {
    const found = this.brokers.find((broker) => name === undefined || broker.name === name);
    if (found === undefined) throw new Error(`no broker ${name}`);
    return found;
  }

  /** The name server first. */
  get servers(): readonly RocketmqServer[] {
    return [this.namesrv, ...this.brokers, ...(this.proxy === undefined ? [] : [this.proxy])];
  }

  /** The name server names the broker to clients; after its restart that takes up to 10 s. */
  async untilRegistered(broker: RocketmqServer = this.broker()): Promise<void> {
    await untilRegistered(this.namesrv.port, broker.announcedAddress);
  }

  /** The name server is up long before a broker wants it. */
  async start(): Promise<void> {
    await Promise.all([this.namesrv, ...this.brokers].map((server) => server.start()));
    await this.proxy?.start();
  }

  /** In order, which takes a broker 10 to 20 s; the stores are kept, so `start` may follow. */
  async stop(): Promise<void> {
    await Promise.all(this.servers.slice(1).map((server) => server.stop()));
    await this.namesrv.stop();
  }

  /** Killed, and its temporary folders removed. */
  async close(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.close()));
  }
}

async function untilRegistered(namesrvPort: number, brokerAddress: string): Promise<void> {
  const endMs = performance.now() + registeredMs;
  for (;;) {
    const answer = await remotingRequest(namesrvPort, brokerClusterCode).catch(() => undefined);
    if (answer?.body.includes(`"${brokerAddress}"`) === true) return;
    if (performance.now() > endMs) throw new Error(`no broker ${brokerAddress} at its name server`);
    await delay(pollMs);
  }
}

/** The servers, none of them started. */
export async function layOutRocketmq(options: RocketmqOptions): Promise<RocketmqCluster> {
  const { version = wantedVersion(), brokers = [{}] } = options;
  if (options.proxy === true && !hasProxy(version)) {
    throw new Error(`the repository has no proxy of RocketMQ ${version}`);
  }
  const lib = await ensureJars(version);
  const place = (name: string): Pick<ServerOptions, 'name' | 'lib' | 'folder' | 'isFolderOurs'> => {
    if (options.folder === undefined) {
      const folder = mkdtempSync(join(tmpdir(), `lmqtt-${name}-`));
      return { name, lib, folder, isFolderOurs: true };
    }
    const folder = join(options.folder, name);
    mkdirSync(folder, { recursive: true });
    return { name, lib, folder, isFolderOurs: false };
  };

  const namesrvPort = options.namesrvPort ?? (await freePort());
  const namesrvPlace = place('namesrv');
  const namesrv = new RocketmqServer({
    ...namesrvPlace,
    port: namesrvPort,
    mainClass: 'org.apache.rocketmq.namesrv.NamesrvStartup',
    args: ['-c', join(namesrvPlace.folder, 'conf', 'namesrv.conf')],
    conf: {
      'namesrv.conf': confText({ listenPort: namesrvPort, bindAddress: '127.0.0.1' }),
      ...logbackConf('namesrv'),
    },
    heapMb: 128,
    jvmArgs: ['-XX:TieredStopAtLevel=1'],
    readyLine: /boot success/,
  });

  const brokerOf = async (broker: BrokerOptions, index: number): Promise<RocketmqServer> => {
    const name = broker.name ?? `broker-${String.fromCodePoint(97 + index)}`;
    const brokerPlace = place(name);
    const port = broker.port ?? (await freePorts(brokerPorts)) + 2;
    const { folder } = brokerPlace;
    const conf = { name, version, port, folder, namesrvAddress: namesrv.address };
    return new RocketmqServer({
      ...broker,
      ...brokerPlace,
      port,
      mainClass: 'org.apache.rocketmq.broker.BrokerStartup',
      args: ['-c', join(folder, 'conf', 'broker.conf')],
      conf: { 'broker.conf': brokerConf(conf, broker), ...logbackConf('broker') },
      readyLine: /boot success/,
      // A test may start a broker while its name server is down.
      untilReady: async () => {
        const { announcedHost = '127.0.0.1' } = broker;
        if (namesrv.isStarted) await untilRegistered(namesrv.port, `${announcedHost}:${port}`);
      },
    });
  };
  const made: RocketmqServer[] = [];
  for (const [index, broker] of brokers.entries()) made.push(await brokerOf(broker, index));

  if (options.proxy !== true) return new RocketmqCluster(version, namesrv, made, undefined);
  const proxyPort = options.proxyPort ?? (await freePorts(2));
  const proxyPlace = place('proxy');
  const proxyConf = join(proxyPlace.folder, 'conf', 'rmq-proxy.json');
  const proxy = new RocketmqServer({
    ...proxyPlace,
    port: proxyPort,
    mainClass: 'org.apache.rocketmq.proxy.ProxyStartup',
    args: ['-pm', 'cluster', '-n', namesrv.address, '-pc', proxyConf],
    conf: {
      'rmq-proxy.json': JSON.stringify({
        rocketMQClusterName: 'DefaultCluster',
        namesrvAddr: namesrv.address,
        grpcServerPort: proxyPort,
        remotingListenPort: proxyPort + 1,
      }),
    },
    heapMb: 384,
    readyLine: /startup successfully/,
  });
  return new RocketmqCluster(version, namesrv, made, proxy);
}

/** Resolves when all of it serves. Another process may take a free port first: then others. */
export async function startRocketmq(options: RocketmqOptions = {}): Promise<RocketmqCluster> {
  for (let starts = 1; ; starts += 1) {
    const cluster = await layOutRocketmq(options);
    try {
      await cluster.start();
      return cluster;
    } catch (error) {
      await cluster.close();
      const isTaken = /Address already in use|BindException/.test(String(error));
      if (!isTaken || starts === startsMax) throw error;
    }
  }
}
