// The name of a node, its log and its stop.

export const operation = {
  PRESENCE: {
    kind: 'choice',
    default: 'off',
    choices: ['off', 'on'],
    roles: ['ds'],
    about:
      'Publish connects, disconnects, takeovers, subscribes, unsubscribes and session expiry to `$SYS/clients/{id}/…`',
  },
  PRESENCE_TOPIC: {
    kind: 'text',
    default: null,
    roles: ['ds'],
    about:
      'A topic to which every event of PRESENCE is published, too, such as `%SYS_MQTT/online_offline_event`',
  },
  NODE_ID: {
    kind: 'text',
    default: null,
    roles: ['cs', 'ds'],
    about:
      'Name of this node, unique in the cluster; unset: standalone, ds, or cs- followed by a random number',
  },
  CLIENT_HISTORIES_MAX: {
    kind: 'integer',
    default: 10_000,
    min: 0,
    max: 10_000_000,
    roles: ['ds'],
    about:
      'Clients whose last 32 events are kept for operators; past it those are forgotten of whom nothing was heard for longest',
  },
  LOG_LEVEL: {
    kind: 'choice',
    choices: ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'],
    default: 'info',
    roles: ['cs', 'ds'],
    about: 'Minimum level to log',
  },
  DRAIN_RATE: {
    kind: 'integer',
    default: 100,
    min: 1,
    max: 100_000,
    roles: ['cs'],
    about:
      'Clients that a node sends away each second while it drains or stops; as many more as it takes where it stops and STOP_TIMEOUT_MS is short',
  },
  STOP_TIMEOUT_MS: {
    kind: 'milliseconds',
    default: 10_000,
    min: 0,
    max: 600_000,
    roles: ['cs', 'ds'],
    about: 'Longest time for a clean stop; then the process ends all the same',
  },
} as const;
