// Messages that come later: limits of those that wait for their time, and what can be replayed.

export const delayed = {
  DELAY_S_MAX: {
    kind: 'seconds',
    default: '30d',
    min: 0,
    max: 315_360_000,
    roles: ['ds'],
    about: 'Longest delay of a delayed message',
    limit: 'PUBACK or PUBREC 0x97 (3.1.1: the connection is closed; QoS 0: dropped)',
  },
  MAX_DELAYED_MESSAGES: {
    kind: 'integer',
    default: 100_000,
    min: 0,
    max: 10_000_000,
    roles: ['ds'],
    about: 'Delayed messages that wait for their time, in a cluster of all nodes',
    limit: 'PUBACK or PUBREC 0x97 (3.1.1: the connection is closed; QoS 0: dropped)',
  },
  MAX_DELAYED_BYTES: {
    kind: 'bytes',
    default: '256m',
    min: 0,
    max: '64g',
    roles: ['ds'],
    about: 'Bytes of the delayed messages that wait, with 256 for each; they are in memory',
    limit: 'PUBACK or PUBREC 0x97 (3.1.1: the connection is closed; QoS 0: dropped)',
  },
  REPLAY_S: {
    kind: 'seconds',
    default: 0,
    min: 0,
    max: 315_360_000,
    roles: ['ds'],
    about:
      'For how long stored messages of all topics are kept for replay, within the retention of the store; 0: only what their queues still have',
  },
} as const;
