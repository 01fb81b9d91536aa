// Options of ioredis for each form of Redis: nothing is sent a second time, nothing waits inside.
import type { ConnectionOptions } from 'node:tls';
import { Cluster, type CommonRedisOptions, Redis } from 'ioredis';
import { readTlsFilesNow } from '@lmqtt/common/tls-files';
import { parseRedisUrl, type RedisAddress } from './address.ts';

export interface RedisOptions {
  readonly url: string;
  /** Paths of PEM files, for `rediss`. */
  readonly tlsCa?: string | null;
  readonly tlsCert?: string | null;
  readonly tlsKey?: string | null;
  /** Shown in CLIENT LIST. */
  readonly name?: string;
  readonly commandTimeoutMs?: number;
  /** Commands that wait for the connection to come back. */
  readonly waitingMax?: number;
  /** How long the opening may last. */
  readonly openTimeoutMs?: number;
}

export type Client = Redis | Cluster;

const backOffStepMs = 50;
const backOffMsMax = 500;
const slotsRefreshMs = 5000;

export const commandTimeoutMsDefault = 5000;

export function openClient(options: RedisOptions): { client: Client; address: RedisAddress } {
  const address = parseRedisUrl(options.url);
  const timeoutMs = options.commandTimeoutMs ?? commandTimeoutMsDefault;
  const backOff = (times: number): number => Math.min(times * backOffStepMs, backOffMsMax);
  const tls = address.tls ? tlsOptions(options, address) : undefined;
  const common: CommonRedisOptions = {
    ...(address.username === undefined ? {} : { username: address.username }),
    ...(address.password === undefined ? {} : { password: address.password }),
    ...(tls === undefined ? {} : { tls }),
    ...(options.name === undefined ? {} : { connectionName: options.name }),
    connectTimeout: timeoutMs,
    keepAlive: timeoutMs,
    disableClientInfo: true,
    // Whoever has sent it knows whether it may be sent again.
    autoResendUnfulfilledCommands: false,
    // RedisSubscriber does that; a failure of what ioredis sends by itself is caught by nobody.
    autoResubscribe: false,
    maxRetriesPerRequest: 0,
    // A master that became a replica.
    reconnectOnError: (error) => error.message.includes('READONLY'),
  };
  if (address.kind === 'cluster') return { client: openCluster(address, common, backOff), address };
  const single = { ...common, enableOfflineQueue: false, retryStrategy: backOff };
  if (address.kind === 'single') {
    const { host, port } = address.hosts[0]!;
    const db = address.database;
    const client = new Redis({ ...single, host, port, db });
    return { client, address };
  }
  const client = new Redis({
    ...single,
    sentinels: address.hosts.map((host) => ({ ...host })),
    name: address.masterName!,
    role: 'master',
    sentinelRetryStrategy: backOff,
    sentinelReconnectStrategy: () => backOffMsMax,
    sentinelCommandTimeout: Math.min(timeoutMs, 1000),
    failoverDetector: true,
    ...(tls === undefined ? {} : { enableTLSForSentinelMode: true, sentinelTLS: tls }),
  });
  return { client, address };
}

function openCluster(
  { hosts, tls }: RedisAddress,
  redisOptions: CommonRedisOptions,
  backOff: (times: number) => number,
): Cluster {
  return new Cluster([...hosts], {
    redisOptions,
    // For servers that are being connected to; a lost one fails what waits for it.
    enableOfflineQueue: true,
    clusterRetryStrategy: backOff,
    slotsRefreshInterval: slotsRefreshMs,
    slotsRefreshTimeout: 1000,
    // A command that a lost node has not answered may have been done.
    retryDelayOnFailover: 0,
    // Certificates name hosts, not addresses.
    ...(tls ? { dnsLookup: (name, done): void => done(null, name) } : {}),
  });
}

function tlsOptions(options: RedisOptions, address: RedisAddress): ConnectionOptions {
  const { ca, cert, key } = readTlsFilesNow({
    certificate: options.tlsCert ?? null,
    key: options.tlsKey ?? null,
    authorities: options.tlsCa,
  });
  const host = address.hosts[0]!.host;
  const named = address.kind === 'single' && !/^[\d.]+$|:/.test(host);
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(named ? { servername: host } : {}),
  };
}
