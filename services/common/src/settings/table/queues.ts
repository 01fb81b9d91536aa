// Recent messages that a cs keeps in memory, and reads of older ones.

export const queues = {
  RING_MESSAGES: {
    kind: 'integer',
    default: 1024,
    min: 16,
    max: 1_048_576,
    roles: ['cs'],
    about: 'Recent messages of a queue kept in memory',
  },
  RING_BYTES: {
    kind: 'bytes',
    default: '4m',
    min: '64k',
    max: '4g',
    roles: ['cs'],
    about: 'Bytes of them',
  },
  READ_BATCH: {
    kind: 'integer',
    default: 256,
    min: 1,
    max: 65536,
    roles: ['cs', 'ds'],
    about:
      'Messages fetched by one read of a queue; up to 8 times as many for who takes them at once',
  },
} as const;
