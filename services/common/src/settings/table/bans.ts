// Bans of clients, users and addresses.

export const bans = {
  BANNED_MAX: {
    kind: 'integer',
    default: 10_000,
    min: 1,
    max: 100_000,
    roles: ['ds'],
    about:
      'Maximum number of bans of client identifiers, users and addresses, in a cluster of all nodes; every ds has all of them in memory',
    limit: 'REST answers 409; clients that flap are banned only up to half of it',
  },
  FLAP_CONNECTS_MAX: {
    kind: 'integer',
    default: 0,
    min: 0,
    max: 1_000_000,
    roles: ['ds'],
    about:
      'Number of times that a client may connect within FLAP_WINDOW_S; past it its client identifier is banned for FLAP_BAN_S; 0: no limit',
    limit:
      'the connection ends with 0x98 (3.1.1: it is closed); CONNECT gets 0x8A (3.1.1: return code 5) until the ban ends',
  },
  FLAP_WINDOW_S: {
    kind: 'seconds',
    default: 60,
    min: 1,
    max: 86_400,
    roles: ['ds'],
    about: 'Time in which the connections of a client are counted for FLAP_CONNECTS_MAX',
  },
  FLAP_BAN_S: {
    kind: 'seconds',
    default: 300,
    min: 1,
    max: 31_536_000,
    roles: ['ds'],
    about: 'Duration of the ban of a client that connects more often than FLAP_CONNECTS_MAX allows',
  },
} as const;
