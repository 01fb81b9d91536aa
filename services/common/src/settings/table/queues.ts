// Queues of single clients, recent messages that a cs keeps in memory, and reads of older ones.

export const queues = {
  P2P: {
    kind: 'boolean',
    default: null,
    roles: ['ds'],
    about:
      'Each session has a queue of its own: messages to `{first}/p2p/{clientId}` reach that client without a subscription. Unset: on with RocketMQ, off without',
  },
  RING_MESSAGES: {
    kind: 'integer',
    default: 1024,
    min: 16,
    max: 1_048_576,
    roles: ['cs'],
    about: 'Maximum number of recent messages kept in memory for each queue',
  },
  RING_BYTES: {
    kind: 'bytes',
    default: '4m',
    min: '64k',
    max: '4g',
    roles: ['cs'],
    about: 'Maximum bytes of recent messages kept in memory for each queue',
  },
  READ_BATCH: {
    kind: 'integer',
    default: 256,
    min: 1,
    max: 65536,
    roles: ['cs', 'ds'],
    about:
      'Number of messages fetched by one read of a queue; up to 8 times as many for a reader that takes them at once',
  },
} as const;
