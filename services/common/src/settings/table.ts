// The one source of every setting: the file, the environment, the flags, their checks, `--help`,
// the table in docs/settings.md, the metric of each limit and the type `Settings` all come from here.
//
// A row is a literal, so that its type can be read off it. `default: null` means "unset": the
// setting is then `null` unless given. `limit` makes the row a limit: its text is what the client
// sees, and `lmqtt_limit_total{limit="<name in lower case>"}` counts how often it was reached.

export const table = {
  // Where it listens
  BIND: {
    kind: 'address',
    default: '127.0.0.1',
    roles: ['cs'],
    about: 'Address of the MQTT and WebSocket listeners',
  },
  MQTT_PORT: { kind: 'port', default: 1883, roles: ['cs'], about: 'MQTT over TCP' },
  MQTT_TLS_PORT: { kind: 'port', default: null, roles: ['cs'], about: 'MQTT over TLS' },
  WS_PORT: { kind: 'port', default: 8888, roles: ['cs'], about: 'MQTT over WebSocket' },
  WSS_PORT: { kind: 'port', default: null, roles: ['cs'], about: 'MQTT over secure WebSocket' },
  WS_PATH: {
    kind: 'text',
    default: '/mqtt',
    roles: ['cs'],
    about: 'Path of the WebSocket listeners',
  },
  WS_ORIGINS: {
    kind: 'text',
    default: null,
    roles: ['cs'],
    about:
      'Origins of web pages that may open a WebSocket, with commas between (https://app.example.com), or *; others get 403. Unset: every page, but on a loopback BIND without authentication (of a cs: on any loopback BIND) only pages of this machine',
  },
  OPS_BIND: {
    kind: 'address',
    default: '127.0.0.1',
    roles: ['cs', 'ds'],
    about: 'Address of the ops listener',
  },
  OPS_PORT: {
    kind: 'port',
    default: 9090,
    roles: ['cs', 'ds'],
    about: 'HTTP for metrics, health and the REST interface',
  },
  OPS_TOKEN: {
    kind: 'secret',
    default: null,
    roles: ['ds'],
    about: 'Bearer token of the REST interface; without it that is served on loopback only',
  },
  LISTEN_BACKLOG: {
    kind: 'integer',
    default: 4096,
    min: 1,
    max: 65535,
    roles: ['cs'],
    about: 'Connections that may wait to be accepted',
  },

  // Who may come in
  ALLOW_ANONYMOUS: {
    kind: 'boolean',
    default: null,
    roles: ['ds'],
    about:
      'Let clients in without a user name. Unset: no where there is authentication; without it, standalone on a loopback BIND yes, ds on a loopback RPC_BIND only clients whose address is loopback; beyond loopback it must be set',
  },
  PASSWORD_FILE: {
    kind: 'file',
    default: null,
    roles: ['ds'],
    about:
      'Users and their hashes, made with `npm run lmqtt -- passwd`; read again when it changes',
  },
  ACL_FILE: {
    kind: 'file',
    default: null,
    roles: ['ds'],
    about: 'Access rules; read again when it changes',
  },
  ACL_CACHE: {
    kind: 'integer',
    default: 100_000,
    min: 100,
    max: 100_000_000,
    roles: ['cs', 'ds'],
    about: 'Answers of the access rules kept in memory, one for each topic and set of rules',
  },
  ACL_DENY_PUBLISH: {
    kind: 'choice',
    choices: ['drop', 'close'],
    default: 'drop',
    roles: ['cs'],
    about: 'What a 3.1.1 client meets that publishes where it may not',
  },
  HMAC_USERNAME: {
    kind: 'text',
    default: null,
    roles: ['ds'],
    about: 'User name whose password is base64(HmacSHA1(client id, secret key))',
  },
  HMAC_SECRET_KEY: {
    kind: 'secret',
    default: null,
    roles: ['ds'],
    about: 'Secret key for HMAC_USERNAME',
  },
  CLIENT_ID_RULE: {
    kind: 'text',
    default: null,
    roles: ['cs', 'ds'],
    about:
      'Client identifiers that a user may name: `%u` is the user name, `*` any text, as in `%u` or `%u-*`; all others get CONNACK 0x85 (3.1.1: return code 2). The separator should be in no user name. Who leaves it to the broker gets one that fits, or a random one whose session ends with its connection',
  },
  SESSION_USER_CHANGE: {
    kind: 'choice',
    choices: ['replace', 'refuse'],
    default: 'replace',
    roles: ['ds'],
    about:
      'What becomes of a session when another user names its client identifier: replace ends it and begins a new one; refuse answers with CONNACK 0x87 (3.1.1: return code 5)',
  },
  MAX_USERS: {
    kind: 'integer',
    default: 100_000,
    min: 1,
    max: 10_000_000,
    roles: ['ds'],
    about: 'Entries of the password file',
  },
  AUTH_CHECKS_WAITING_MAX: {
    kind: 'integer',
    default: 2000,
    min: 1,
    max: 1_000_000,
    roles: ['ds'],
    about: 'Passwords that wait to be checked; addresses take turns',
    limit:
      'CONNACK 0x89 (3.1.1: return code 3) for the newest of the address that has the most waiting',
  },
  AUTH_FAILURES_PER_ADDRESS: {
    kind: 'integer',
    default: 300,
    min: 0,
    max: 1_000_000,
    roles: ['ds'],
    about:
      'Failed authentications a minute from one address (IPv6: from one /64 network), after which user names that have not come in from there before are refused; past half of them answers to failures come late; 0: no limit',
    limit: 'CONNACK 0x89 (3.1.1: return code 3) without a check',
  },
  AUTH_FAILURES_PER_USER: {
    kind: 'integer',
    default: 30,
    min: 0,
    max: 1_000_000,
    roles: ['ds'],
    about:
      'Failed authentications a minute with one user name from one address, after which that name is refused from there; past half of them answers to failures come late; 0: no limit',
    limit: 'CONNACK 0x89 (3.1.1: return code 3) without a check',
  },
  TLS_CERT: {
    kind: 'file',
    default: null,
    roles: ['cs'],
    about: 'Certificate chain, PEM; read again when it changes',
  },
  TLS_KEY: { kind: 'file', default: null, roles: ['cs'], about: 'Private key, PEM' },
  TLS_CA: {
    kind: 'file',
    default: null,
    roles: ['cs'],
    about: 'Authorities that client certificates are checked against, PEM',
  },
  TLS_CRL: {
    kind: 'file',
    default: null,
    roles: ['cs'],
    about:
      'Revoked client certificates, PEM: a list (CRL) of each authority of TLS_CA; read again when it changes',
  },
  TLS_MIN_VERSION: {
    kind: 'choice',
    choices: ['1.2', '1.3'],
    default: '1.2',
    roles: ['cs', 'ds'],
    about: 'Oldest version of TLS that is spoken, with clients and on the RPC port',
  },
  TLS_CIPHERS: {
    kind: 'text',
    default: null,
    roles: ['cs', 'ds'],
    about:
      'Cipher suites in the form of OpenSSL; unset: those with forward secrecy. DEFAULT brings those without, for old clients',
  },
  TLS_CLIENT_CERT: {
    kind: 'choice',
    choices: ['none', 'optional', 'required'],
    default: 'none',
    roles: ['cs'],
    about: 'Whether clients present a certificate',
  },

  // Protocol
  CONNECT_TIMEOUT_MS: {
    kind: 'milliseconds',
    default: 10_000,
    min: 1,
    max: 3_600_000,
    roles: ['cs'],
    about:
      'Time from accepting a connection to its whole CONNECT, and for each AUTH before CONNACK',
  },
  CONNECT_WAIT_MS: {
    kind: 'milliseconds',
    default: 60_000,
    min: 1,
    max: 3_600_000,
    roles: ['cs'],
    about: 'Time that a CONNECT, or an AUTH before CONNACK, may wait for its answer',
    limit: 'CONNACK 0x89 (3.1.1: return code 3), then closed',
  },
  KEEP_ALIVE_S_MAX: {
    kind: 'seconds',
    default: 0,
    min: 0,
    max: 65535,
    roles: ['cs'],
    about: 'Longest keep alive; 0: no maximum',
    limit: 'told to v5 clients as Server Keep Alive; 3.1.1: nothing, or see KEEP_ALIVE_STRICT',
  },
  KEEP_ALIVE_STRICT: {
    kind: 'boolean',
    default: false,
    roles: ['cs'],
    about:
      'Refuse (return code 2) 3.1 and 3.1.1 clients whose keep alive is 0 or above KEEP_ALIVE_S_MAX',
  },
  RESPONSE_INFORMATION: {
    kind: 'text',
    default: '',
    roles: ['cs'],
    about: 'Response Information for v5 clients that ask for it; empty: none',
  },
  VALIDATE_PAYLOAD_FORMAT: {
    kind: 'boolean',
    default: false,
    roles: ['cs'],
    about: 'Refuse (0x99) payloads that say UTF-8 and are not',
  },
  QUEUE_QOS0: {
    kind: 'boolean',
    default: false,
    roles: ['ds'],
    about: 'Keep QoS 0 messages for absent sessions too',
  },
  BRIDGE_STATE: {
    kind: 'boolean',
    default: false,
    roles: ['ds'],
    about:
      'Clients may publish `$SYS/broker/connection/…/state`, where mosquitto bridges say whether they are connected; otherwise such a message or will is dropped',
  },
  SYS_INTERVAL_S: {
    kind: 'seconds',
    default: 10,
    min: 0,
    max: 86_400,
    roles: ['ds'],
    about: 'Time between publishes to `$SYS/broker/…`; 0: none',
  },

  // Limits of a connection
  MAX_CONNECTIONS: {
    kind: 'integer',
    default: 100_000,
    min: 1,
    max: 10_000_000,
    roles: ['cs'],
    about: 'Connections at one time',
    limit: 'CONNACK 0x97 (3.1.1: return code 3), then closed',
  },
  MAX_CONNECTION_RATE: {
    kind: 'integer',
    default: 0,
    min: 0,
    max: 1_000_000,
    roles: ['cs'],
    about: 'New connections a second; 0: no limit',
    limit: 'CONNACK 0x9F (3.1.1: return code 3), then closed',
  },
  MAX_PACKET_SIZE: {
    kind: 'bytes',
    default: '1m',
    min: 64,
    max: 268_435_460,
    roles: ['cs', 'ds'],
    about: 'Size of a packet from a client, told to v5 clients',
    limit: 'DISCONNECT 0x95 (3.1.1: closed)',
  },
  RECEIVE_MAXIMUM: {
    kind: 'integer',
    default: 1024,
    min: 1,
    max: 65535,
    roles: ['cs'],
    about: 'QoS 1 and 2 publishes of a client that are not yet acknowledged, told to v5 clients',
    limit: 'DISCONNECT 0x93 (3.1.1: its socket is not read until one is acknowledged)',
  },
  MAX_INFLIGHT: {
    kind: 'integer',
    default: 1024,
    min: 1,
    max: 65535,
    roles: ['cs'],
    about:
      'QoS 1 and 2 messages sent to a client and not yet acknowledged; its own receive maximum counts too',
    limit: 'further messages wait in its queue',
  },
  TOPIC_ALIAS_MAXIMUM: {
    kind: 'integer',
    default: 64,
    min: 0,
    max: 65535,
    roles: ['cs'],
    about: 'Topic aliases that a client may set',
    limit: 'DISCONNECT 0x94',
  },
  TOPIC_ALIAS_MAXIMUM_OUT: {
    kind: 'integer',
    default: 64,
    min: 0,
    max: 65535,
    roles: ['cs'],
    about: 'Topic aliases that are set towards a client',
  },
  MAX_PUBLISH_RATE: {
    kind: 'integer',
    default: 0,
    min: 0,
    max: 10_000_000,
    roles: ['cs'],
    about: 'Publishes of one client a second; 0: no limit',
    limit: 'DISCONNECT 0x96 (3.1.1: closed)',
  },
  WRITE_BUFFER_MAX: {
    kind: 'bytes',
    default: '1m',
    min: 16_384,
    max: '1g',
    roles: ['cs'],
    about: 'Bytes of packets, answers included, that wait for a slow client',
    limit:
      'QoS 0 to it is dropped; QoS 1 and 2 wait in its queue; with more answers it is not read until it takes them',
  },
  WRITE_TIMEOUT_MS: {
    kind: 'milliseconds',
    default: 30_000,
    min: 100,
    max: 3_600_000,
    roles: ['cs'],
    about:
      'How long a client that is not read, because WRITE_BUFFER_MAX waits for it, may take nothing',
    limit: 'closed',
  },

  // Limits of a session
  MAX_SESSIONS: {
    kind: 'integer',
    default: 200_000,
    min: 1,
    max: 100_000_000,
    roles: ['ds'],
    about:
      'Sessions that outlive their connections, connected or not, in the whole cluster; a ds that died may leave a few too many in the count for some minutes',
    limit:
      'CONNACK 0x97 (3.1.1: return code 3) to whoever needs a new one; those that are there go on',
  },
  MAX_SESSIONS_PER_USER: {
    kind: 'integer',
    default: 100_000,
    min: 1,
    max: 100_000_000,
    roles: ['ds'],
    about: 'Those of one user; clients without a user name count as one',
    limit:
      'CONNACK 0x97 (3.1.1: return code 3) to whoever needs a new one; those that are there go on',
  },
  MAX_QUEUED_MESSAGES: {
    kind: 'integer',
    default: 100_000,
    min: 1,
    max: 100_000_000,
    roles: ['ds'],
    about: 'Messages that wait for one session',
    limit: 'its oldest waiting messages are dropped',
  },
  MAX_QUEUED_BYTES: {
    kind: 'bytes',
    default: '256m',
    min: 1024,
    max: '1024g',
    roles: ['ds'],
    about: 'Bytes of messages that wait for one session',
    limit: 'its oldest waiting messages are dropped',
  },
  MAX_SUBSCRIPTIONS_PER_SESSION: {
    kind: 'integer',
    default: 10_000,
    min: 1,
    max: 10_000_000,
    roles: ['ds'],
    about: 'Subscriptions of one session',
    limit: 'SUBACK 0x97 (3.1.1: 0x80)',
  },
  MAX_TOPIC_LEVELS: {
    kind: 'integer',
    default: 128,
    min: 1,
    max: 65536,
    roles: ['cs'],
    about: 'Levels of a topic name or filter',
    limit:
      'publish: PUBACK, PUBREC or DISCONNECT 0x90 (3.1.1: closed); subscribe: SUBACK 0x8F (3.1.1: 0x80)',
  },
  SESSION_EXPIRY_S_MAX: {
    kind: 'seconds',
    default: '7d',
    min: 0,
    max: 4_294_967_295,
    roles: ['ds'],
    about: 'Longest session expiry; 3.1.1 sessions that are not clean get it; 4294967295: never',
    limit: 'CONNACK tells the shorter expiry',
  },
  WILL_DELAY_S_MAX: {
    kind: 'seconds',
    default: '7d',
    min: 0,
    max: 4_294_967_295,
    roles: ['cs', 'ds'],
    about: 'Longest will delay',
    limit: 'the will is sent when this has passed',
  },

  // Retained messages
  MAX_RETAINED_MESSAGES: {
    kind: 'integer',
    default: 1_000_000,
    min: 0,
    max: 100_000_000,
    roles: ['ds'],
    about: 'Topics with a retained message',
    limit: 'PUBACK or PUBREC 0x97 (3.1.1 and QoS 0: delivered, not retained)',
  },
  MAX_RETAINED_BYTES: {
    kind: 'bytes',
    default: '1g',
    min: 0,
    max: '1024g',
    roles: ['ds'],
    about: 'Bytes of all retained messages',
    limit: 'PUBACK or PUBREC 0x97 (3.1.1 and QoS 0: delivered, not retained)',
  },

  // Queues in memory
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

  // The store
  DATA_DIR: {
    kind: 'folder',
    default: './data',
    roles: ['ds'],
    about: 'Folder of all that is stored; made when absent',
  },
  SEGMENT_BYTES: {
    kind: 'bytes',
    default: '64m',
    min: '64k',
    max: '2g',
    roles: ['ds'],
    about: 'Size of a file of the log',
  },
  RETENTION_BYTES: {
    kind: 'bytes',
    default: '16g',
    min: '1m',
    max: '1024g',
    roles: ['ds'],
    about: 'Size of the log, past which its oldest file goes even if a session needs it',
    limit: 'the oldest messages are lost to the sessions that had not read them',
  },
  RETENTION_AGE_S: {
    kind: 'seconds',
    default: '7d',
    min: 1,
    max: 4_294_967_295,
    roles: ['ds'],
    about:
      'Age at which messages go even if a session needs them; those that nobody needs go at once',
  },
  CHECKPOINT_INTERVAL_S: {
    kind: 'seconds',
    default: 30,
    min: 1,
    max: 86_400,
    roles: ['ds'],
    about: 'Time between snapshots of the state',
  },
  COMMIT_LINGER_US: {
    kind: 'microseconds',
    default: 1000,
    min: 0,
    max: 100_000,
    roles: ['ds'],
    about: 'Longest wait for others before a sync; shortened to nothing under load',
  },
  COMMIT_BYTES_MAX: {
    kind: 'bytes',
    default: '4m',
    min: '4k',
    max: '256m',
    roles: ['ds'],
    about: 'Bytes that one sync covers',
  },
  PENDING_APPEND_BYTES_MAX: {
    kind: 'bytes',
    default: '64m',
    min: '64k',
    max: '4g',
    roles: ['cs', 'ds'],
    about: 'Bytes that wait for the disk',
    limit: 'sockets of publishers are not read until there is room',
  },

  // cs and ds apart
  RPC_BIND: {
    kind: 'address',
    default: '127.0.0.1',
    roles: ['ds'],
    about:
      'Address on which ds listens for cs nodes; beyond loopback it needs CLUSTER_SECRET or RPC_TLS_CA',
  },
  RPC_PORT: { kind: 'port', default: 7010, roles: ['ds'], about: 'gRPC for cs nodes' },
  DS: {
    kind: 'text',
    default: '127.0.0.1:7010',
    roles: ['cs'],
    about:
      'Where ds is, host:port; several with commas between. With REDIS_URL, they are found there',
  },
  RPC_ADVERTISE: {
    kind: 'text',
    default: null,
    roles: ['ds'],
    about:
      'Where cs nodes reach this ds, host:port; unset: RPC_BIND, or this machine where that is every address, and RPC_PORT',
  },
  CLUSTER_SECRET: {
    kind: 'secret',
    default: null,
    roles: ['cs', 'ds'],
    about: 'What cs shows to ds, the same in both',
  },
  RPC_TLS_CERT: {
    kind: 'file',
    default: null,
    roles: ['cs', 'ds'],
    about: 'Certificate chain of this node for the link between cs and ds, PEM',
  },
  RPC_TLS_KEY: {
    kind: 'file',
    default: null,
    roles: ['cs', 'ds'],
    about: 'Private key of this node for the link, PEM',
  },
  RPC_TLS_CA: {
    kind: 'file',
    default: null,
    roles: ['cs', 'ds'],
    about: 'Authorities that the other end of the link is checked against, PEM: mutual TLS',
  },
  RPC_TLS_CRL: {
    kind: 'file',
    default: null,
    roles: ['ds'],
    about: 'Revoked certificates of cs nodes, PEM: a list (CRL) of each authority of RPC_TLS_CA',
  },
  LEASE_MS: {
    kind: 'milliseconds',
    default: 3000,
    min: 300,
    max: 60_000,
    roles: ['cs', 'ds'],
    about: 'How long a cs may act without a word from ds, as ds has it; renewed each third of it',
  },
  DS_LOST_MS: {
    kind: 'milliseconds',
    default: 30_000,
    min: 0,
    max: 3_600_000,
    roles: ['cs'],
    about: 'How long a cs without its lease keeps its connections',
    limit: 'DISCONNECT 0x89, or closed before 5.0',
  },
  LINK_WINDOW_FRAMES: {
    kind: 'integer',
    default: 8,
    min: 1,
    max: 1024,
    roles: ['cs', 'ds'],
    about: 'Frames that one end of the link sends ahead of the answer',
  },
  LINK_BUFFER_BYTES_MAX: {
    kind: 'bytes',
    default: '16m',
    min: '64k',
    max: '4g',
    roles: ['cs', 'ds'],
    about: 'Bytes that wait for the link, for each node',
    limit: 'QoS 0 is dropped; messages that are stored come late, read from the store',
  },

  // Redis
  CLUSTER_ID: {
    kind: 'text',
    default: 'lmqtt',
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
    roles: ['cs', 'ds'],
    about: 'Authorities that the certificate of Redis is checked against, PEM',
  },
  REDIS_TLS_CERT: {
    kind: 'file',
    default: null,
    roles: ['cs', 'ds'],
    about: 'Certificate shown to Redis, PEM',
  },
  REDIS_TLS_KEY: {
    kind: 'file',
    default: null,
    roles: ['cs', 'ds'],
    about: 'Private key of that certificate, PEM',
  },
  REDIS_DURABILITY: {
    kind: 'choice',
    choices: ['strict', 'relaxed'],
    default: 'strict',
    roles: ['ds'],
    about:
      'strict: ds starts only on a Redis that writes to its disk before it answers (appendfsync always) and evicts nothing; relaxed: it warns, and a crash of Redis may lose what was acknowledged',
  },
  REDIS_COMMAND_TIMEOUT_MS: {
    kind: 'milliseconds',
    default: 5000,
    min: 100,
    max: 60_000,
    roles: ['cs', 'ds'],
    about: 'Longest time for an answer of Redis',
  },

  // RocketMQ
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
    roles: ['ds'],
    about: 'Access key, where RocketMQ asks for one',
  },
  ROCKETMQ_SECRET_KEY: {
    kind: 'secret',
    default: null,
    roles: ['ds'],
    about: 'The secret of ROCKETMQ_ACCESS_KEY',
  },
  ROCKETMQ_TLS: {
    kind: 'boolean',
    default: false,
    roles: ['ds'],
    about: 'Speak TLS with name servers and brokers',
  },
  ROCKETMQ_TLS_CA: {
    kind: 'file',
    default: null,
    roles: ['ds'],
    about: 'Authority of the certificates of RocketMQ, PEM; unset: those that the system trusts',
  },
  ROCKETMQ_PROXY: {
    kind: 'text',
    default: null,
    roles: ['ds'],
    about: 'Proxy of RocketMQ 5 for gRPC clients, host:port: for retry topics',
  },
  DEFAULT_TOPIC: {
    kind: 'text',
    default: null,
    roles: ['ds'],
    about:
      'RocketMQ topic of all MQTT topics whose first level is none, made where it is not there; unset: lmqtt, or lmqtt- and CLUSTER_ID',
  },
  TOPIC_RULES: {
    kind: 'text',
    default: '',
    roles: ['ds'],
    about:
      'RocketMQ topics by filter, `sensors/# = iot_sensors, fleet/+/x = fleet`; the first that matches decides',
  },
  TOPIC_CREATE: {
    kind: 'text',
    default: '',
    roles: ['ds'],
    about:
      'First levels for which a RocketMQ topic is made, with commas between; `*` stands for any text',
  },
  EVENT_NOTIFY_RETRY_TOPIC: {
    kind: 'text',
    default: null,
    roles: ['ds'],
    about: 'Topic of events that could not be delivered, of Java nodes; never a topic of devices',
  },
  CLIENT_RETRY_TOPIC: {
    kind: 'text',
    default: null,
    roles: ['ds'],
    about: 'Topic of messages that a device did not acknowledge; never a topic of devices',
  },
  CLIENT_P2P_TOPIC: {
    kind: 'text',
    default: null,
    roles: ['ds'],
    about: 'Topic of messages to one client, of Java nodes; unset: CLIENT_RETRY_TOPIC',
  },
  APPEND_WAIT_MS: {
    kind: 'milliseconds',
    default: 20_000,
    min: 100,
    max: 600_000,
    roles: ['ds'],
    about:
      'How long a publish waits for a broker of RocketMQ that is away or busy; then 0x97, 3.1.1: the connection is closed',
  },
  TAIL_LAG_MAX: {
    kind: 'integer',
    default: 10_000,
    min: 100,
    max: 100_000_000,
    roles: ['ds'],
    about:
      'Messages that a queue of RocketMQ may be ahead of its reading; past it each publish of a client to that queue waits up to 250 ms',
  },
  LIGHT_QUEUES_MAX: {
    kind: 'integer',
    default: null,
    min: 0,
    max: 10_000_000,
    roles: ['ds'],
    about:
      'Light queues of the cluster past which topics without wildcards share LIGHT_QUEUE_BUCKETS; unset: 10000 where a broker keeps each in a file, none with storeType=defaultRocksDB',
  },
  LIGHT_QUEUE_BUCKETS: {
    kind: 'integer',
    default: 1024,
    min: 1,
    max: 100_000,
    roles: ['ds'],
    about: 'How many light queues they share',
  },
  LANE_WINDOW: {
    kind: 'integer',
    default: 64,
    min: 1,
    max: 1024,
    roles: ['ds'],
    about:
      'Messages of one publisher and topic on their way to a broker that has one send thread; otherwise it is one',
  },

  // Operation
  NODE_ID: {
    kind: 'text',
    default: null,
    roles: ['cs', 'ds'],
    about:
      'Name of this node, unique in the cluster; unset: standalone, ds, or cs- and a random number',
  },
  LOG_LEVEL: {
    kind: 'choice',
    choices: ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'],
    default: 'info',
    roles: ['cs', 'ds'],
    about: 'Least level that is logged',
  },
  STOP_TIMEOUT_MS: {
    kind: 'milliseconds',
    default: 10_000,
    min: 0,
    max: 600_000,
    roles: ['cs', 'ds'],
    about: 'Longest time for a clean stop',
  },
} as const;
