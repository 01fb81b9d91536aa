import type { Settings } from '@lmqtt/common/settings/row';

/** What a connection node reads of the settings. */
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
  | 'maxConnectionRate'
  | 'maxPacketSize'
  | 'receiveMaximum'
  | 'maxInflight'
  | 'topicAliasMaximum'
  | 'topicAliasMaximumOut'
  | 'maxPublishRate'
  | 'writeBufferMax'
  | 'writeTimeoutMs'
  | 'maxTopicLevels'
  | 'sessionExpirySMax'
  | 'willDelaySMax'
  | 'ringMessages'
  | 'ringBytes'
  | 'readBatch'
  | 'dsLostMs'
>;
