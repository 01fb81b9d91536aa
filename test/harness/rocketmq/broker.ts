// The settings that a broker of the tests has, and what can be told apart between releases.
import { join } from 'node:path';
import type { JavaOptions } from './rocketmq-server.ts';

type ConfValue = string | number | boolean;

export interface BrokerOptions extends JavaOptions {
  /** brokerName; default: broker-a, broker-b, … */
  readonly name?: string;
  /** listenPort; also taken: the one two below and the one above. */
  readonly port?: number;
  /** The address of the loopback that clients are told, with the same port; default: its own. */
  readonly announcedHost?: string;
  /** Folder of the store; default: in the broker's own. It is never removed. */
  readonly storeFolder?: string;
  readonly storeType?: 'default' | 'defaultRocksDB';
  /** Each send waits for the disk. */
  readonly syncFlush?: boolean;
  /** sendMessageThreadPoolNums; default: the broker's own, but 1 for 5.0 to 5.1.4. */
  readonly sendThreads?: number;
  /** Lines of broker.conf, over ours. */
  readonly conf?: Readonly<Record<string, ConfValue>>;
}

/** Versions that lose messages of an LMQ with several send threads: RocketMQ issue 7511. */
export function needsOneSendThread(version: string): boolean {
  return /^5\.[01]\./.test(version);
}

export function confText(values: Readonly<Record<string, ConfValue>>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');
}

export interface BrokerPlace {
  readonly name: string;
  readonly version: string;
  readonly port: number;
  readonly namesrvAddress: string;
  readonly folder: string;
}

export function brokerConf(place: BrokerPlace, options: BrokerOptions): string {
  const { storeType, syncFlush = false, storeFolder = join(place.folder, 'store') } = options;
  const sendThreads = options.sendThreads ?? (needsOneSendThread(place.version) ? 1 : undefined);
  return confText({
    brokerClusterName: 'DefaultCluster',
    brokerName: place.name,
    brokerId: 0,
    brokerIP1: options.announcedHost ?? '127.0.0.1',
    bindAddress: '127.0.0.1',
    listenPort: place.port,
    namesrvAddr: place.namesrvAddress,
    storePathRootDir: storeFolder,
    storePathCommitLog: join(storeFolder, 'commitlog'),
    flushDiskType: syncFlush ? 'SYNC_FLUSH' : 'ASYNC_FLUSH',
    ...(storeType === undefined ? {} : { storeType }),
    ...(sendThreads === undefined ? {} : { sendMessageThreadPoolNums: sendThreads }),
    enableLmq: true,
    enableMultiDispatch: true,
    autoCreateTopicEnable: true,
    // A cold broker on a busy machine would refuse pipelined sends after 200 ms.
    waitTimeMillsInSendQueue: 5000,
    flushConsumerOffsetInterval: 500,
    // The shortest that a broker takes: how soon a new name server knows it.
    registerNameServerPeriod: 10_000,
    // Small files, so that a store of a few messages is small.
    mappedFileSizeCommitLog: 134_217_728,
    mappedFileSizeConsumeQueue: 120_000,
    maxHashSlotNum: 100_000,
    maxIndexNum: 400_000,
    // Full disks are a matter of the tests that lower this.
    diskMaxUsedSpaceRatio: 95,
    ...options.conf,
  });
}
