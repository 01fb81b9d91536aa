// Redis: how it is reached, and the durability that it is asked for.

export const redis = {
  CLUSTER_ID: {
    kind: 'text',
    default: 'lmqtt',
    only: 'servers',
    roles: ['cs', 'ds'],
    about: 'Name of the cluster; begins all its keys, so that several can share one Redis',
  },
  REDIS_URL: {
    kind: 'secret',
    default: null,
    roles: ['cs', 'ds'],
    about:
      'redis://[user:password@]host:port[/db], rediss:// with TLS; several hosts with commas: Redis Cluster; redis-sentinel://host:port,host:port/master-name',
  },
  REDIS_TLS_CA: {
    kind: 'file',
    default: null,
    only: 'servers',
    roles: ['cs', 'ds'],
    about: 'Authorities that the certificate of Redis is checked against, PEM',
  },
  REDIS_TLS_CERT: {
    kind: 'file',
    default: null,
    only: 'servers',
    roles: ['cs', 'ds'],
    about: 'Certificate shown to Redis, PEM',
  },
  REDIS_TLS_KEY: {
    kind: 'file',
    default: null,
    only: 'servers',
    roles: ['cs', 'ds'],
    about: 'Private key of that certificate, PEM',
  },
  REDIS_DURABILITY: {
    kind: 'choice',
    choices: ['strict', 'relaxed'],
    default: 'strict',
    only: 'servers',
    roles: ['ds'],
    about:
      'strict: ds starts only on a Redis that writes to its disk before it answers (appendfsync always) and evicts nothing; relaxed: it warns, and a crash of Redis may lose what was acknowledged',
  },
  REDIS_COMMAND_TIMEOUT_MS: {
    kind: 'milliseconds',
    default: 5000,
    min: 100,
    max: 60_000,
    only: 'servers',
    roles: ['cs', 'ds'],
    about: 'Longest time that a command waits for the answer of Redis',
  },
} as const;
