// Choices and times of the MQTT protocol.

export const protocol = {
  CONNECT_TIMEOUT_MS: {
    kind: 'milliseconds',
    default: 10_000,
    min: 1,
    max: 3_600_000,
    roles: ['cs'],
    about:
      'Longest time from accepting a connection to its whole CONNECT, and for each AUTH before CONNACK',
  },
  CONNECT_WAIT_MS: {
    kind: 'milliseconds',
    default: 60_000,
    min: 1,
    max: 3_600_000,
    roles: ['cs'],
    about:
      'Longest time that a CONNECT, or an AUTH before CONNACK, waits for its answer, or for a dispatch node that can be asked',
    limit:
      'CONNACK 0x89, or 0x88 where no dispatch node can be asked (3.1.1: return code 3), then closed',
  },
  KEEP_ALIVE_S_MAX: {
    kind: 'seconds',
    default: 0,
    min: 0,
    max: 65535,
    roles: ['cs'],
    about: 'Longest keep alive interval that a client may have; 0: no maximum',
    limit:
      'v5 clients are told the maximum as Server Keep Alive; 3.1.1 clients keep their own, unless KEEP_ALIVE_STRICT is set',
  },
  KEEP_ALIVE_STRICT: {
    kind: 'boolean',
    default: false,
    roles: ['cs'],
    about:
      'Refuse 3.1 and 3.1.1 clients whose keep alive is 0 or above KEEP_ALIVE_S_MAX (return code 2)',
  },
  RESPONSE_INFORMATION: {
    kind: 'text',
    default: '',
    roles: ['cs'],
    about: 'Response Information in the CONNACK of v5 clients that ask for it; empty: none',
  },
  VALIDATE_PAYLOAD_FORMAT: {
    kind: 'boolean',
    default: false,
    roles: ['cs'],
    about: 'Refuse (0x99) payloads that are declared to be UTF-8 and are not',
  },
  QUEUE_QOS0: {
    kind: 'boolean',
    default: false,
    roles: ['ds'],
    about: 'Whether QoS 0 messages are kept for absent sessions too',
  },
  BRIDGE_STATE: {
    kind: 'boolean',
    default: false,
    roles: ['ds'],
    about:
      'Let clients publish to `$SYS/broker/connection/…/state`, where mosquitto bridges say whether they are connected; otherwise such a message or will is dropped',
  },
  SYS_INTERVAL_S: {
    kind: 'seconds',
    default: 10,
    min: 0,
    max: 86_400,
    roles: ['ds'],
    about:
      'Time between publishes of figures of the broker to `$SYS/broker/…`; 0: none are published',
  },
} as const;
