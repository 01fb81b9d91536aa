// Hooks: functions of AUTH_MODULE, or of a program that embeds the broker.

export const hooks = {
  HOOK_TIMEOUT_MS: {
    kind: 'milliseconds',
    default: 1000,
    min: 10,
    max: 60_000,
    roles: ['ds'],
    about:
      'How long a hook may take, such as onPublish of AUTH_MODULE; one that takes longer has failed',
  },
  HOOKS_AT_ONCE: {
    kind: 'integer',
    default: 1000,
    min: 1,
    max: 1_000_000,
    roles: ['ds'],
    about: 'Maximum number of hooks under way at one time; publishes wait for their turn',
    limit:
      'SUBACK 0x97 (3.1.1: 0x80), CONNACK 0x97 for a will; onConnect, onDisconnect and onDeliver are left out',
  },
  HOOK_WAITING_BYTES: {
    kind: 'bytes',
    default: '64m',
    min: '64k',
    max: '64g',
    roles: ['ds'],
    about:
      'Maximum bytes of publishes that wait for onPublish; one client may have an eighth of them',
    limit: 'PUBACK or PUBREC 0x97 (3.1.1: the connection is closed); QoS 0 is dropped',
  },
  HOOK_PUBLISH_WHEN_FAILING: {
    kind: 'choice',
    choices: ['refuse', 'pass'],
    default: 'refuse',
    roles: ['ds'],
    about:
      'What becomes of a message whose onPublish throws or takes too long: refused with 0x83 (3.1.1: the connection is closed; QoS 0: dropped), or published as it is',
  },
} as const;
