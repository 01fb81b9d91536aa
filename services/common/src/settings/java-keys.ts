// The keys of service.conf, connect.conf and meta.conf of an installation of Apache RocketMQ MQTT, of its main and its
// develop branches, as they may stand in a file of ours.
import type { SettingName } from './row.ts';

/** The keys that together say whether and how a Java node speaks TLS. */
export type JavaTlsKey = (typeof javaTlsKeys)[number];

/** A key of theirs: a setting of ours, or `why` nothing is done with it, or a part of their TLS. */
type JavaKey =
  { readonly setting: SettingName } | { readonly why: string } | { readonly tls: JavaTlsKey };

const javaTlsKeys = [
  'mqttTlsPort',
  'enableTlsSever',
  'needClientAuth',
  'sslCaCertFile',
  'sslServerCertFile',
  'sslServerKeyFile',
  'sslServerKeyPassword',
] as const;

const byThemselves = { why: 'nodes of lmqtt find one another by themselves' };
const noNeed = { why: 'lmqtt has no need of it' };
const noMeta = { why: 'lmqtt has no meta nodes: what they keep is in Redis' };
const ours = { why: 'lmqtt has its own: see LEASE_MS, RING_MESSAGES and READ_BATCH' };
const always = { why: 'it is always on' };
const threads = { why: 'a node of lmqtt has one thread; more of them are more nodes' };
const noQuic = { why: 'lmqtt does not speak QUIC' };

const keys: Readonly<Record<string, JavaKey>> = {
  ...Object.fromEntries(javaTlsKeys.map((key) => [key, { tls: key }])),
  // service.conf
  username: { setting: 'HMAC_USERNAME' },
  secretKey: { setting: 'HMAC_SECRET_KEY' },
  NAMESRV_ADDR: { setting: 'NAMESRV_ADDR' },
  eventNotifyRetryTopic: { setting: 'EVENT_NOTIFY_RETRY_TOPIC' },
  clientRetryTopic: { setting: 'CLIENT_RETRY_TOPIC' },
  clientP2pTopic: { setting: 'CLIENT_P2P_TOPIC' },
  authThreadNum: threads,
  threadNum: threads,
  pullBatch: ours,
  metaAddr: byThemselves,
  csRpcPort: { setting: 'JAVA_RPC_PORT' },
  eventNotifyRetryMaxTime: ours,
  retainMsgExpire: { why: 'retained messages stay, as MQTT has it' },
  // connect.conf
  mqttPort: { setting: 'MQTT_PORT' },
  mqttWsPort: { setting: 'WS_PORT' },
  maxPacketSizeInByte: { setting: 'MAX_PACKET_SIZE' },
  highWater: { setting: 'WRITE_BUFFER_MAX' },
  lowWater: noNeed,
  maxConn: { setting: 'MAX_CONNECTIONS' },
  topicAliasMaximum: { setting: 'TOPIC_ALIAS_MAXIMUM' },
  serverReceiveMaximum: { setting: 'RECEIVE_MAXIMUM' },
  order: { why: 'the order of each client is always kept' },
  maxRetryTime: { setting: 'MAX_RETRY_TIME' },
  sizeOfNotRollWhenAckSlow: ours,
  queueCacheSize: ours,
  pullBatchSize: ours,
  maxTransferCountOnMessageInDisk: ours,
  rpcListenPort: { why: 'ds listens for Java nodes, at csRpcPort of service.conf' },
  retryIntervalSeconds: { why: 'lmqtt has RETRY_INTERVAL_MS' },
  exporterPort: { setting: 'OPS_PORT' },
  enablePrometheus: { why: '/metrics of OPS_PORT is always there' },
  exportJvmInfo: { why: 'lmqtt does not run in a JVM' },
  nettySelectorThreadNum: threads,
  nettyWorkerThreadNum: threads,
  enableQuic: noQuic,
  quicPort: noQuic,
  enableSharedSubscription: always,
  enableRetain: always,
  enableSubscriptionIdentifier: always,
  // meta.conf
  selfAddress: noMeta,
  membersAddress: noMeta,
  allNodeAddress: noMeta,
  metaPort: noMeta,
  raftNodePort: noMeta,
  raftServiceName: noMeta,
  electionTimeoutMs: noMeta,
  snapshotIntervalSecs: noMeta,
  scanNum: noMeta,
  maxRetainedTopicNum: { why: 'MAX_RETAINED_MESSAGES is the limit here' },
};

/** Undefined where the key is none of theirs. Theirs count case. */
export function javaKey(key: string): JavaKey | undefined {
  return Object.hasOwn(keys, key) ? keys[key] : undefined;
}
