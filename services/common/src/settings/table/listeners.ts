// The addresses and ports that clients and operators reach.

export const listeners = {
  BIND: {
    kind: 'address',
    default: '127.0.0.1',
    roles: ['cs'],
    about: 'Address of the MQTT and WebSocket listeners',
  },
  MQTT_PORT: { kind: 'port', default: 1883, roles: ['cs'], about: 'Port for MQTT over TCP' },
  MQTT_TLS_PORT: { kind: 'port', default: null, roles: ['cs'], about: 'Port for MQTT over TLS' },
  WS_PORT: { kind: 'port', default: 8888, roles: ['cs'], about: 'Port for MQTT over WebSocket' },
  WSS_PORT: {
    kind: 'port',
    default: null,
    roles: ['cs'],
    about: 'Port for MQTT over secure WebSocket',
  },
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
      'Origins of web pages that may open a WebSocket, separated by commas (https://app.example.com), or * for all; other pages get 403. Unset: all pages, except on a loopback BIND without authentication (for a cs: on any loopback BIND), where only pages of this machine may',
  },
  PROXY_PROTOCOL_FROM: {
    kind: 'text',
    default: null,
    roles: ['cs'],
    about:
      'Addresses or networks of load balancers, separated by commas, whose connections begin with a header of the PROXY protocol (version 1 or 2) on every MQTT and WebSocket listener; the client counts as coming from where the header says. A connection from there without a header is closed; from elsewhere none is looked for',
  },
  ADVERTISE: {
    kind: 'text',
    default: null,
    roles: ['cs'],
    about:
      'Address, host:port, at which clients reach this node: operators see it, and clients that another node sends away are told it (server reference). Unset: operators see BIND, or where that is every address one of this machine, and the port of MQTT; clients are told nothing',
  },
  LISTENERS: {
    kind: 'file',
    default: null,
    roles: ['cs'],
    about:
      'JSON file of further listeners, each with its own TLS, certificates by SNI, sources of users, limit and namespace; docs/identities.md says what is in it. With it MQTT_PORT and WS_PORT are off unless they are given',
  },
  MOUNT: {
    kind: 'text',
    default: null,
    roles: ['cs'],
    about:
      'Namespace of clients, such as `tenants/%u/`: a prefix before their topics that they do not see. `%u` is the verified user name, `%c` the client identifier; a client that has no such name, or one with `+`, `#` or `/` in it, gets CONNACK 0x87 (3.1.1: return code 5)',
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
    about: 'Port for metrics, health and the REST interface (HTTP)',
  },
  OPS_TOKEN: {
    kind: 'secret',
    default: null,
    roles: ['cs', 'ds'],
    about:
      'Bearer token of the REST interface that may do everything; without any token the interface is served on loopback only',
  },
  OPS_TOKENS_FILE: {
    kind: 'file',
    default: null,
    roles: ['cs', 'ds'],
    about:
      'File of further tokens of the REST interface, a line `name:role:SHA-256 of the token in hex` each, with the role viewer, operator or admin; read again when it changes',
  },
  OPS_TIMEOUT_MS: {
    kind: 'milliseconds',
    default: 10_000,
    min: 100,
    max: 3_600_000,
    roles: ['cs', 'ds'],
    about:
      'Longest time from the opening of an ops connection to its first whole request, and from one request to the next; after that the connection is closed (408 where a request was begun)',
  },
  OPS_CONNECTIONS_MAX: {
    kind: 'integer',
    default: 256,
    min: 1,
    max: 65_535,
    roles: ['cs', 'ds'],
    about: 'Maximum number of connections to the ops listener',
    limit:
      'the oldest idle connection is closed; if every one is being answered, the new one is closed',
  },
  LISTEN_BACKLOG: {
    kind: 'integer',
    default: 4096,
    min: 1,
    max: 65535,
    roles: ['cs'],
    about:
      'Maximum number of connections that wait to be accepted (backlog of the listening sockets)',
  },
} as const;
