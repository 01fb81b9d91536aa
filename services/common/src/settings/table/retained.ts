// Limits of retained messages.

export const retained = {
  MAX_RETAINED_MESSAGES: {
    kind: 'integer',
    default: 1_000_000,
    min: 0,
    max: 100_000_000,
    roles: ['ds'],
    about: 'Maximum number of topics that have a retained message',
    limit: 'PUBACK or PUBREC 0x97 (3.1.1 and QoS 0: delivered, not retained)',
  },
  MAX_RETAINED_BYTES: {
    kind: 'bytes',
    default: '1g',
    min: 0,
    max: '1024g',
    roles: ['ds'],
    about: 'Maximum bytes of all retained messages',
    limit: 'PUBACK or PUBREC 0x97 (3.1.1 and QoS 0: delivered, not retained)',
  },
} as const;
