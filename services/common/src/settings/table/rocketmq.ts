// RocketMQ: how it is reached, its topics, its light queues and the waits for its brokers.

export const rocketmq = {
  NAMESRV_ADDR: {
    kind: 'text',
    default: null,
    roles: ['ds'],
    about:
      'Name servers of RocketMQ, host:port with `;` between: messages are stored there, and REDIS_URL is needed too',
  },
  ROCKETMQ_ACCESS_KEY: {
    kind: 'text',
    default: null,
    only: 'servers',
    roles: ['ds'],
    about: 'Access key, where RocketMQ asks for one',
  },
  ROCKETMQ_SECRET_KEY: {
    kind: 'secret',
    default: null,
    only: 'servers',
    roles: ['ds'],
    about: 'The secret of ROCKETMQ_ACCESS_KEY',
  },
  ROCKETMQ_TLS: {
    kind: 'boolean',
    default: false,
    only: 'servers',
    roles: ['ds'],
    about: 'Speak TLS with name servers and brokers',
  },
  ROCKETMQ_TLS_CA: {
    kind: 'file',
    default: null,
    only: 'servers',
    roles: ['ds'],
    about: 'Authority of the certificates of RocketMQ, PEM; unset: those that the system trusts',
  },
  ROCKETMQ_PROXY: {
    kind: 'text',
    default: null,
    only: 'servers',
    roles: ['ds'],
    about: 'Proxy of RocketMQ 5 for gRPC clients, host:port: for retry topics',
  },
  DEFAULT_TOPIC: {
    kind: 'text',
    default: null,
    only: 'servers',
    roles: ['ds'],
    about:
      'RocketMQ topic of all MQTT topics whose first level is none, made where it is not there; unset: lmqtt, or lmqtt- and CLUSTER_ID',
  },
  TOPIC_RULES: {
    kind: 'text',
    default: '',
    only: 'servers',
    roles: ['ds'],
    about:
      'RocketMQ topics by filter, `sensors/# = iot_sensors, fleet/+/x = fleet`; the first that matches decides',
  },
  TOPIC_CREATE: {
    kind: 'text',
    default: '',
    only: 'servers',
    roles: ['ds'],
    about:
      'First levels for which a RocketMQ topic is made, with commas between; `*` stands for any text',
  },
  EVENT_NOTIFY_RETRY_TOPIC: {
    kind: 'text',
    default: null,
    only: 'servers',
    roles: ['ds'],
    about: 'Topic of events that could not be delivered, of Java nodes; never a topic of devices',
  },
  CLIENT_RETRY_TOPIC: {
    kind: 'text',
    default: null,
    only: 'servers',
    roles: ['ds'],
    about: 'Topic of messages that a device did not acknowledge; never a topic of devices',
  },
  CLIENT_P2P_TOPIC: {
    kind: 'text',
    default: null,
    only: 'servers',
    roles: ['ds'],
    about: 'Topic of messages to one client, of Java nodes; unset: CLIENT_RETRY_TOPIC',
  },
  APPEND_WAIT_MS: {
    kind: 'milliseconds',
    default: 20_000,
    min: 100,
    max: 600_000,
    only: 'servers',
    roles: ['ds'],
    about:
      'How long a publish waits for a broker of RocketMQ that is away or busy; then 0x97, 3.1.1: the connection is closed',
  },
  TAIL_LAG_MAX: {
    kind: 'integer',
    default: 10_000,
    min: 100,
    max: 100_000_000,
    only: 'servers',
    roles: ['ds'],
    about:
      'Messages that a queue of RocketMQ may be ahead of its reading; past it each publish of a client to that queue waits up to 250 ms',
  },
  LIGHT_QUEUES_MAX: {
    kind: 'integer',
    default: null,
    min: 0,
    max: 10_000_000,
    only: 'servers',
    roles: ['ds'],
    about:
      'Light queues of the cluster past which topics without wildcards share LIGHT_QUEUE_BUCKETS; unset: 10000 where a broker keeps each in a file, none with storeType=defaultRocksDB',
  },
  LIGHT_QUEUE_BUCKETS: {
    kind: 'integer',
    default: 1024,
    min: 1,
    max: 100_000,
    only: 'servers',
    roles: ['ds'],
    about: 'How many light queues they share',
  },
  LANE_WINDOW: {
    kind: 'integer',
    default: 64,
    min: 1,
    max: 1024,
    only: 'servers',
    roles: ['ds'],
    about:
      'Messages of one publisher and topic on their way to a broker that has one send thread; otherwise it is one',
  },
} as const;
