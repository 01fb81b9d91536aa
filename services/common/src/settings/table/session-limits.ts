// Limits of sessions, their subscriptions and the messages that wait for them.

export const sessionLimits = {
  MAX_SESSIONS: {
    kind: 'integer',
    default: 200_000,
    min: 1,
    max: 100_000_000,
    roles: ['ds'],
    about:
      'Maximum number of sessions that outlive their connections, connected or not, in the whole cluster; after the death of a ds the count may be slightly too high for some minutes',
    limit:
      'a client that needs a new session gets CONNACK 0x97 (3.1.1: return code 3); existing sessions go on',
  },
  MAX_SESSIONS_PER_USER: {
    kind: 'integer',
    default: 100_000,
    min: 1,
    max: 100_000_000,
    roles: ['ds'],
    about:
      'Maximum number of such sessions of one user; all clients without a user name count as one user',
    limit:
      'a client that needs a new session gets CONNACK 0x97 (3.1.1: return code 3); existing sessions go on',
  },
  MAX_QUEUED_MESSAGES: {
    kind: 'integer',
    default: 100_000,
    min: 1,
    max: 100_000_000,
    roles: ['ds'],
    about: 'Maximum number of messages that wait for one session',
    limit: 'its oldest waiting messages are dropped',
  },
  MAX_QUEUED_BYTES: {
    kind: 'bytes',
    default: '256m',
    min: 1024,
    max: '1024g',
    roles: ['ds'],
    about: 'Maximum bytes of messages that wait for one session',
    limit: 'its oldest waiting messages are dropped',
  },
  MAX_SUBSCRIPTIONS_PER_SESSION: {
    kind: 'integer',
    default: 10_000,
    min: 1,
    max: 10_000_000,
    roles: ['ds'],
    about: 'Maximum number of subscriptions of one session',
    limit: 'SUBACK 0x97 (3.1.1: 0x80)',
  },
  MAX_SUBSCRIPTION_BYTES: {
    kind: 'bytes',
    default: '1m',
    min: 1,
    max: 1_073_741_824,
    roles: ['ds'],
    about: 'Maximum bytes of the filters of one session',
    limit: 'SUBACK 0x97 (3.1.1: 0x80)',
  },
  MAX_OVERLAPPING_SUBSCRIPTIONS: {
    kind: 'integer',
    default: 256,
    min: 1,
    max: 10_000_000,
    roles: ['ds'],
    about:
      'Subscriptions of one session that one topic may match, by where their wildcards are; shared ones are counted apart, by their groups too',
    limit: 'SUBACK 0x97 (3.1.1: 0x80)',
  },
  MAX_FILTERS_PER_PACKET: {
    kind: 'integer',
    default: 10_000,
    min: 1,
    max: 100_000,
    roles: ['cs'],
    about: 'Maximum number of filters in one SUBSCRIBE or UNSUBSCRIBE',
    limit:
      'SUBACK 0x97 (3.1.1: 0x80), UNSUBACK 0x83 (3.1.1: closed), for all filters of the packet',
  },
  MAX_TOPIC_LEVELS: {
    kind: 'integer',
    default: 128,
    min: 1,
    max: 65536,
    roles: ['cs'],
    about: 'Maximum number of levels in a topic name or filter',
    limit:
      'publish: PUBACK, PUBREC or DISCONNECT 0x90 (3.1.1: closed); subscribe: SUBACK 0x8F (3.1.1: 0x80)',
  },
  SESSION_EXPIRY_S_MAX: {
    kind: 'seconds',
    default: '7d',
    min: 0,
    max: 4_294_967_295,
    roles: ['ds'],
    about:
      'Longest session expiry interval; sessions of 3.1.1 clients that are not clean get it; 4294967295: they never expire',
    limit: 'CONNACK tells the shorter expiry',
  },
  WILL_DELAY_S_MAX: {
    kind: 'seconds',
    default: '7d',
    min: 0,
    max: 4_294_967_295,
    roles: ['cs', 'ds'],
    about: 'Longest will delay interval',
    limit: 'the will is sent when this has passed',
  },
} as const;
