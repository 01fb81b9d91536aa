// Messages that cannot be delivered: other tries, then dead letters.

export const deadLetters = {
  DEAD_LETTERS: {
    kind: 'boolean',
    default: true,
    roles: ['cs', 'ds'],
    about:
      'Keep stored messages (QoS 1 and 2) that a client refuses, or that cannot be delivered to it, as dead letters; they are counted in any case',
  },
  DEAD_LETTER_EXPIRED: {
    kind: 'boolean',
    default: false,
    roles: ['cs'],
    about:
      'Keep messages, too, that expire before they are sent to a connected session to which they are owed at QoS 1 or 2',
  },
  DEAD_LETTER_SESSION_END: {
    kind: 'boolean',
    default: true,
    roles: ['ds'],
    about:
      'Keep messages, too, that a session which ends has in flight: sent and not acknowledged. What waits in its queues besides is neither kept nor counted',
  },
  DEAD_LETTERS_MAX: {
    kind: 'integer',
    default: 10_000,
    min: 1,
    max: 10_000_000,
    roles: ['ds'],
    about:
      'Maximum number of dead letters; past it the oldest go (embedded stores), or are not listed any more (RocketMQ)',
  },
  DEAD_LETTERS_MAX_BYTES: {
    kind: 'bytes',
    default: '64m',
    min: 1024,
    max: '16g',
    only: 'embedded',
    roles: ['ds'],
    about: 'Maximum bytes of dead letters, which are in memory; past it the oldest go',
  },
  DEAD_LETTER_RATE: {
    kind: 'integer',
    default: 200,
    min: 1,
    max: 100_000,
    roles: ['ds'],
    about:
      'Maximum number of dead letters in a second for each ds; messages past it are counted and not kept',
  },
  DEAD_LETTER_TOPIC: {
    kind: 'text',
    default: null,
    only: 'servers',
    roles: ['ds'],
    about:
      'RocketMQ topic for dead letters; created if missing. Unset: lmqtt-dead-letters, with another CLUSTER_ID lmqtt-CLUSTER_ID-dead-letters',
  },
  MAX_RETRY_TIME: {
    kind: 'integer',
    default: 15,
    min: 1,
    max: 1000,
    roles: ['cs', 'ds'],
    about:
      'Number of tries to deliver a message, or to store one that is replayed, after which it becomes a dead letter; counts where RETRY_UNACKNOWLEDGED is set, and for messages that members of shared groups lose with their connections',
  },
  RETRY_INTERVAL_MS: {
    kind: 'milliseconds',
    default: 3000,
    min: 100,
    max: 3_600_000,
    roles: ['cs', 'ds'],
    about:
      'Time after which a message is tried again. With each further try it doubles, up to 60 times as long',
  },
  RETRY_UNACKNOWLEDGED: {
    kind: 'boolean',
    default: false,
    roles: ['cs'],
    about:
      'Send a QoS 1 message again, with DUP, to a client of MQTT 3.1 or 3.1.1 that does not acknowledge it within RETRY_INTERVAL_MS; MQTT 5.0 forbids that',
  },
} as const;
