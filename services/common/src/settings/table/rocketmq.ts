// RocketMQ: how it is reached, its topics, its light queues and the waits for its brokers.

export const rocketmq = {
  NAMESRV_ADDR: {
    kind: 'text',
    default: null,
    roles: ['ds'],
    about:
      'Name servers of RocketMQ, host:port separated by `;`. Messages are then stored in RocketMQ, and REDIS_URL is needed too',
  },
  ROCKETMQ_ACCESS_KEY: {
    kind: 'text',
    default: null,
    only: 'servers',
    roles: ['ds'],
    about: 'Access key for RocketMQ, if it asks for one',
  },
  ROCKETMQ_SECRET_KEY: {
    kind: 'secret',
    default: null,
    only: 'servers',
    roles: ['ds'],
    about: 'Secret key that belongs to ROCKETMQ_ACCESS_KEY',
  },
  ROCKETMQ_TLS: {
    kind: 'boolean',
    default: false,
    only: 'servers',
    roles: ['ds'],
    about: 'Whether name servers and brokers of RocketMQ are spoken to over TLS',
  },
  ROCKETMQ_TLS_CA: {
    kind: 'file',
    default: null,
    only: 'servers',
    roles: ['ds'],
    about:
      'Authorities that the certificates of RocketMQ are checked against, PEM; unset: those that the system trusts',
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
      'RocketMQ topic for MQTT topics whose first level is not the name of a RocketMQ topic; created if missing. Unset: lmqtt, or lmqtt- followed by CLUSTER_ID',
  },
  TOPIC_RULES: {
    kind: 'text',
    default: '',
    only: 'servers',
    roles: ['ds'],
    about:
      'RocketMQ topics by filter, `sensors/# = iot_sensors, fleet/+/x = fleet`; the first that matches decides. A tag and keys may follow, made of levels of the MQTT topic: `fleet/# = fleet:{3}:{2}`. The RocketMQ topic may have levels in it, too, `fleet/+/# = fleet_{2}`: where there is one of that name, or TOPIC_CREATE has it',
  },
  TOPIC_CREATE: {
    kind: 'text',
    default: '',
    only: 'servers',
    roles: ['ds'],
    about:
      'First levels of MQTT topics for which a RocketMQ topic is created, separated by commas; `*` stands for any text',
  },
  TAIL_TAGS: {
    kind: 'text',
    default: '*',
    only: 'servers',
    roles: ['ds'],
    about:
      'Tags of the messages of back ends that ds reads as they are stored, `A || B`; `*`: all. Messages with other tags reach devices up to a second later, and never by queues that share a bucket (LIGHT_QUEUES_MAX)',
  },
  TAIL_TOPICS: {
    kind: 'text',
    default: '',
    only: 'servers',
    roles: ['ds'],
    about:
      'RocketMQ topics of back ends that ds reads as they are stored, beside those in which MQTT topics are, separated by commas. Messages for devices in other topics come up to a second later, and never by queues that share a bucket (LIGHT_QUEUES_MAX)',
  },
  TOPIC_TEMPLATES: {
    kind: 'text',
    default: '',
    only: 'servers',
    roles: ['ds'],
    about:
      'MQTT topics of messages of back ends that say none, by RocketMQ topic and tag, `orders:paid = shop/{prop.shop}/orders/{keys}`, separated by commas; the first that matches decides. Values: {topic}, {tag}, {keys}, {prop.NAME}',
  },
  EVENT_NOTIFY_RETRY_TOPIC: {
    kind: 'text',
    default: null,
    only: 'servers',
    roles: ['ds'],
    about:
      'RocketMQ topic of events that a Java node did not take: ds and Java nodes put them there, and a Java node tells that one again; devices cannot use it',
  },
  CLIENT_RETRY_TOPIC: {
    kind: 'text',
    default: null,
    only: 'servers',
    roles: ['ds'],
    about: 'RocketMQ topic of messages that a device did not acknowledge; devices cannot use it',
  },
  CLIENT_P2P_TOPIC: {
    kind: 'text',
    default: null,
    only: 'servers',
    roles: ['ds'],
    about:
      'RocketMQ topic where Java nodes and back ends put messages to one client; ds reads it as they are stored. Unset: CLIENT_RETRY_TOPIC',
  },
  JAVA_NODES: {
    kind: 'choice',
    choices: ['auto', 'on', 'off'],
    default: 'auto',
    only: 'servers',
    roles: ['ds'],
    about:
      'Nodes of apache/rocketmq-mqtt on the same RocketMQ. auto: they are there while LMQ_CONNECT_NODES in the KV configuration of the name servers names some; on: they are there, and filters with wildcards that sessions hold are written to that configuration; off: it is not read. Only with CLUSTER_ID=lmqtt',
  },
  JAVA_FILTERS_MAX: {
    kind: 'integer',
    default: 1000,
    min: 0,
    max: 10_000,
    only: 'servers',
    roles: ['ds'],
    about:
      'Maximum number of filters that are written to the KV configuration for each first level (JAVA_NODES=on)',
  },
  JAVA_RPC_PORT: {
    kind: 'port',
    default: 7001,
    only: 'servers',
    roles: ['ds'],
    about:
      'Port at which Java nodes are told of messages and, at RPC_BIND, ds is told of theirs; used while Java nodes are there. 0: neither',
  },
  DISPATCH: {
    kind: 'choice',
    choices: ['auto', 'held', 'always'],
    default: 'auto',
    only: 'servers',
    roles: ['ds'],
    about:
      'Light queues that a publish is stored in: those that sessions hold (held), or that of its topic as well (always); auto: that of its topic while Java nodes are there, where its RocketMQ topic is named like its first level',
  },
  APPEND_WAIT_MS: {
    kind: 'milliseconds',
    default: 20_000,
    min: 100,
    max: 600_000,
    only: 'servers',
    roles: ['ds'],
    about:
      'Longest time that a publish waits for a RocketMQ broker that is away or busy; then it gets 0x83 (3.1.1: the connection is closed)',
  },
  BROKER_GONE_MS: {
    kind: 'milliseconds',
    default: 30_000,
    min: 1000,
    max: 86_400_000,
    only: 'servers',
    roles: ['ds'],
    about:
      'Time after which a RocketMQ broker that no name server names is not waited for any more: its topics are placed on the brokers that are there, until it is back',
  },
  DETOURED_TOPICS_MAX: {
    kind: 'integer',
    default: 20_000,
    min: 0,
    max: 1_000_000,
    only: 'servers',
    roles: ['ds'],
    about:
      'Number of MQTT topics that may be placed on another RocketMQ broker for good because they were first published while theirs was away; past it such topics wait for their broker as those that were published before',
  },
  TAIL_LAG_MAX: {
    kind: 'integer',
    default: 10_000,
    min: 100,
    max: 100_000_000,
    only: 'servers',
    roles: ['ds'],
    about:
      'Number of messages in a RocketMQ queue that ds has not read yet, past which each publish to that queue waits up to 250 ms',
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
    about: 'Number of light queues that topics share past LIGHT_QUEUES_MAX',
  },
  LANE_WINDOW: {
    kind: 'integer',
    default: 64,
    min: 1,
    max: 1024,
    only: 'servers',
    roles: ['ds'],
    about:
      'Maximum number of messages of one publisher and topic under way to a broker with one send thread; to other brokers one',
  },
} as const;
