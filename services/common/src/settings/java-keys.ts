// The keys of service.conf and connect.conf of an installation of Apache RocketMQ MQTT, as they may
// stand in a file of ours.
import type { SettingName } from './row.ts';

/** What a key of theirs becomes; `why`: it is accepted, and nothing is done with it. */
export type JavaKey =
  { readonly setting: SettingName } | { readonly why: string } | { readonly flag: 'tls' };

const byThemselves = { why: 'nodes of lmqtt find one another by themselves' };
const noNeed = { why: 'lmqtt has no need of it' };
const ours = { why: 'lmqtt has its own: see LEASE_MS, RING_MESSAGES and READ_BATCH' };

const keys: Readonly<Record<string, JavaKey>> = {
  // service.conf
  username: { setting: 'HMAC_USERNAME' },
  secretKey: { setting: 'HMAC_SECRET_KEY' },
  NAMESRV_ADDR: { setting: 'NAMESRV_ADDR' },
  eventNotifyRetryTopic: { setting: 'EVENT_NOTIFY_RETRY_TOPIC' },
  clientRetryTopic: { setting: 'CLIENT_RETRY_TOPIC' },
  clientP2pTopic: { setting: 'CLIENT_P2P_TOPIC' },
  metaAddr: byThemselves,
  csRpcPort: byThemselves,
  eventNotifyRetryMaxTime: ours,
  retainMsgExpire: { why: 'retained messages stay, as MQTT has it' },
  // connect.conf
  mqttPort: { setting: 'MQTT_PORT' },
  mqttTlsPort: { flag: 'tls' },
  mqttWsPort: { setting: 'WS_PORT' },
  enableTlsSever: { why: 'MQTT_TLS_PORT, TLS_CERT and TLS_KEY switch TLS on' },
  needClientAuth: { why: 'see TLS_CLIENT_CERT' },
  maxPacketSizeInByte: { setting: 'MAX_PACKET_SIZE' },
  highWater: { setting: 'WRITE_BUFFER_MAX' },
  lowWater: noNeed,
  maxConn: { setting: 'MAX_CONNECTIONS' },
  order: { why: 'the order of each client is always kept' },
  maxRetryTime: { why: 'messages that are not acknowledged stay in their queue' },
  sizeOfNotRollWhenAckSlow: ours,
  queueCacheSize: ours,
  pullBatchSize: ours,
  rpcListenPort: byThemselves,
  retryIntervalSeconds: ours,
  exporterPort: { setting: 'OPS_PORT' },
  enablePrometheus: { why: '/metrics of OPS_PORT is always there' },
};

/** undefined: it is no key of theirs. Theirs count case. */
export function javaKey(key: string): JavaKey | undefined {
  return Object.hasOwn(keys, key) ? keys[key] : undefined;
}
