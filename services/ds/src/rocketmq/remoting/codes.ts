/** Codes of requests, as RocketMQ numbers them. */
export const requestCodes = {
  pullMessage: 11,
  queryConsumerOffset: 14,
  updateConsumerOffset: 15,
  createTopic: 17,
  updateBrokerConfig: 25,
  brokerConfig: 26,
  runtimeInfo: 28,
  searchOffset: 29,
  maxOffset: 30,
  minOffset: 31,
  putKv: 100,
  getKv: 101,
  route: 105,
  clusterInfo: 106,
  deleteTopic: 215,
  listKv: 219,
  sendMessage: 310,
} as const;

export type RequestName = keyof typeof requestCodes;

/** Codes of answers. */
export const answerCodes = {
  success: 0,
  systemError: 1,
  systemBusy: 2,
  requestCodeNotSupported: 3,
  flushDiskTimeout: 10,
  slaveNotAvailable: 11,
  flushSlaveTimeout: 12,
  messageIllegal: 13,
  serviceNotAvailable: 14,
  versionNotSupported: 15,
  noPermission: 16,
  topicNotExist: 17,
  pullNotFound: 19,
  pullRetryImmediately: 20,
  pullOffsetMoved: 21,
  queryNotFound: 22,
  subscriptionParseFailed: 23,
  subscriptionNotExist: 24,
  subscriptionNotLatest: 25,
  subscriptionGroupNotExist: 26,
  invalidParameter: 29,
  flowControl: 215,
  lmqQuotaExceeded: 2017,
} as const;

const names = new Map<number, string>(
  Object.entries(answerCodes).map(([name, code]) => [code, words(name)]),
);

function words(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

export function nameOfCode(code: number): string {
  return names.get(code) ?? 'unknown';
}
