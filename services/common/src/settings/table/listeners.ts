// The addresses and ports that clients and operators reach.

export const listeners = {
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
  OPS_TIMEOUT_MS: {
    kind: 'milliseconds',
    default: 10_000,
    min: 100,
    max: 3_600_000,
    roles: ['cs', 'ds'],
    about:
      'Time for a whole request to the ops listener from the opening of its connection, and between two requests; then it is closed (408 where a request was begun)',
  },
  OPS_CONNECTIONS_MAX: {
    kind: 'integer',
    default: 256,
    min: 1,
    max: 65_535,
    roles: ['cs', 'ds'],
    about: 'Connections to the ops listener at one time',
    limit: 'the oldest that asks for nothing is closed; where all are being answered, the new one',
  },
  LISTEN_BACKLOG: {
    kind: 'integer',
    default: 4096,
    min: 1,
    max: 65535,
    roles: ['cs'],
    about: 'Connections that may wait to be accepted',
  },
} as const;
