// A module of the operator's own for what belongs to a whole installation.

export const meta = {
  META_MODULE: {
    kind: 'file',
    default: null,
    roles: ['ds'],
    about:
      'JavaScript module of your own that keeps retained messages, or says the first topics and filters of an installation on RocketMQ; docs/meta.md says what it has',
  },
  META_TIMEOUT_MS: {
    kind: 'milliseconds',
    default: 3000,
    min: 10,
    max: 60_000,
    roles: ['ds'],
    about: 'How long a function of META_MODULE may take; one that takes longer has failed',
  },
  META_WHEN_FAILING: {
    kind: 'choice',
    choices: ['refuse', 'pass'],
    default: 'refuse',
    roles: ['ds'],
    about:
      'What the publisher of a retained message gets that META_MODULE fails to write: 0x83 (3.1.1: the connection is closed), or an acknowledgement that does not wait for it. The message is written later in both cases',
  },
} as const;
