import type { Settings } from '@lmqtt/common/settings/row';
import type { ReaderLimits } from './packet/reader-limits.ts';

/** Settings that a connection node reads. */
export type CsConfig = Pick<
  Settings,
  | 'clientIdRule'
  | 'connectTimeoutMs'
  | 'connectWaitMs'
  | 'keepAliveSMax'
  | 'keepAliveStrict'
  | 'responseInformation'
  | 'validatePayloadFormat'
  | 'aclDenyPublish'
  | 'aclCache'
  | 'maxConnections'
  | 'maxConnectionsPerUser'
  | 'maxConnectionsPerAddress'
  | 'maxPendingConnections'
  | 'maxPendingPerAddress'
  | 'maxPendingBytes'
  | 'connectsAtOnce'
  | 'maxConnectionRate'
  | 'maxPacketSize'
  | 'maxConnectSize'
  | 'maxSubscribeSize'
  | 'receiveMaximum'
  | 'maxInflight'
  | 'topicAliasMaximum'
  | 'topicAliasMaximumOut'
  | 'maxPublishRate'
  | 'maxPublishByteRate'
  | 'maxPublishRatePerUser'
  | 'maxPublishByteRatePerUser'
  | 'publishBurstMs'
  | 'publishRateAnswer'
  | 'writeBufferMax'
  | 'writeTimeoutMs'
  | 'maxTopicLevels'
  | 'maxFiltersPerPacket'
  | 'sessionExpirySMax'
  | 'willDelaySMax'
  | 'ringMessages'
  | 'ringBytes'
  | 'readBatch'
  | 'dsLostMs'
  | 'deadLetters'
  | 'deadLetterExpired'
  | 'maxRetryTime'
  | 'retryIntervalMs'
  | 'retryUnacknowledged'
>;

/** Limits of the packets of a connection. */
export function packetLimits(config: CsConfig): ReaderLimits {
  return {
    packetBytesMax: config.maxPacketSize,
    connectBytesMax: config.maxConnectSize,
    subscribeBytesMax: config.maxSubscribeSize,
    filtersMax: config.maxFiltersPerPacket,
  };
}
