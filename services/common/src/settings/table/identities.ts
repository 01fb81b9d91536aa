// Identities from elsewhere: tokens, an HTTP service, client certificates.

export const identities = {
  CERT_USER: {
    kind: 'choice',
    choices: ['none', 'cn', 'dn', 'san-dns', 'san-email', 'san-uri'],
    default: 'none',
    roles: ['cs', 'ds'],
    about:
      'Part of a client certificate that is the user name: its common name, its whole subject as in `C=DE,O=Site,CN=pump-1`, or an alternative name; no password is asked for then. A certificate without that part, or with several, gives no name. Needs TLS_CLIENT_CERT',
  },
  CERT_USER_PATTERN: {
    kind: 'text',
    default: null,
    roles: ['cs', 'ds'],
    about:
      'Form of the part that CERT_USER chooses, where `%u` stands for the user name, as in `%u.devices.example`; certificates of another form give no name',
  },
  JWT_SECRET: {
    kind: 'secret',
    default: null,
    roles: ['ds'],
    about:
      'Secret key of JSON Web Tokens (HS256, HS384, HS512) that clients give as their password',
  },
  JWT_KEY_FILE: {
    kind: 'file',
    default: null,
    roles: ['ds'],
    about:
      'Public keys of JSON Web Tokens (RS, PS and ES with 256, 384, 512, and EdDSA): PEM, one behind another, or a JSON Web Key Set; read again when it changes',
  },
  JWT_KEYS_URL: {
    kind: 'text',
    default: null,
    roles: ['ds'],
    about:
      'Address of a JSON Web Key Set, such as `https://id.example/.well-known/jwks.json`; read when it is first needed, when it is older than JWT_KEYS_AGE_S, and when a token names a key that is not in it',
  },
  JWT_KEYS_AGE_S: {
    kind: 'seconds',
    default: 600,
    min: 5,
    max: 86_400,
    roles: ['ds'],
    about:
      'Age at which the key set of JWT_KEYS_URL is read again; while that fails, the one before stays',
  },
  JWT_FROM: {
    kind: 'choice',
    choices: ['password', 'username'],
    default: 'password',
    roles: ['ds'],
    about: 'Field of CONNECT that has the token',
  },
  JWT_USER_CLAIM: {
    kind: 'text',
    default: 'sub',
    roles: ['ds'],
    about: 'Claim with the user name; may be a path such as `user.name`',
  },
  JWT_CLAIMS: {
    kind: 'text',
    default: null,
    roles: ['ds'],
    about:
      'Claims that a token must have, with spaces between them, as in `iss=https://id.example aud=mqtt exp`: a name alone must be there; a list must contain the value; `%u` is the user name of CONNECT, `%c` the client identifier',
  },
  JWT_ACL_CLAIM: {
    kind: 'text',
    default: 'acl',
    roles: ['ds'],
    about: 'Claim with access rules; may be a path. A token without it has those of ACL_FILE',
  },
  JWT_CLOCK_TOLERANCE_S: {
    kind: 'seconds',
    default: 5,
    min: 0,
    max: 3600,
    roles: ['ds'],
    about: 'Difference of clocks that is tolerated where a token is not valid yet, or no longer',
  },
  AUTH_REDIS_PREFIX: {
    kind: 'text',
    default: null,
    roles: ['ds'],
    about:
      'Users are hashes in Redis, each at this prefix and the user name, such as `mqtt:user:`; docs/identities.md says what they have',
  },
  AUTH_REDIS_URL: {
    kind: 'secret',
    default: null,
    roles: ['ds'],
    about: 'Redis with the hashes of AUTH_REDIS_PREFIX, in a form of REDIS_URL; unset: REDIS_URL',
  },
  AUTH_REDIS_KEPT_S: {
    kind: 'seconds',
    default: 30,
    min: 0,
    max: 86_400,
    roles: ['ds'],
    about: 'Time for which a hash that was read counts, also after it was changed or removed',
  },
  AUTH_REDIS_TIMEOUT_MS: {
    kind: 'milliseconds',
    default: 3000,
    min: 10,
    max: 60_000,
    roles: ['ds'],
    about: 'Longest time that the reading of one hash takes',
  },
  AUTH_REDIS_WHEN_AWAY: {
    kind: 'choice',
    choices: ['refuse', 'pass'],
    default: 'refuse',
    roles: ['ds'],
    about:
      'What happens while Redis does not say who users are: CONNACK 0x88 (3.1.1: return code 3), or the other sources of users decide',
  },
  AUTH_MODULE: {
    kind: 'file',
    default: null,
    roles: ['ds'],
    about:
      'JavaScript module of your own that says who clients are, and what they may do; docs/identities.md says what it has',
  },
  AUTH_MODULE_AT: {
    kind: 'choice',
    choices: ['first', 'last'],
    default: 'last',
    roles: ['ds'],
    about: 'Whether AUTH_MODULE is asked before all other sources of users, or behind them',
  },
  AUTH_MODULE_TIMEOUT_MS: {
    kind: 'milliseconds',
    default: 3000,
    min: 10,
    max: 60_000,
    roles: ['ds'],
    about:
      'How long AUTH_MODULE may take for one CONNECT; later ones get 0x88 (3.1.1: return code 3)',
  },
  AUTH_HTTP_URL: {
    kind: 'text',
    default: null,
    roles: ['ds'],
    about: 'Address of an HTTP service that is asked about each CONNECT, by POST',
  },
  AUTH_HTTP_BODY: {
    kind: 'text',
    default: null,
    roles: ['ds'],
    about:
      'JSON that is sent to AUTH_HTTP_URL, in whose texts `%u` is the user name, `%c` the client identifier, `%p` the password, `%a` the address, `%v` the protocol version, `%s` the subject of the certificate. Unset: {clientid, username, password, peerhost, proto_ver, cert_subject}',
  },
  AUTH_HTTP_TOKEN: {
    kind: 'secret',
    default: null,
    roles: ['ds'],
    about: 'Bearer token that is sent to AUTH_HTTP_URL (`Authorization: Bearer`)',
  },
  AUTH_HTTP_TIMEOUT_MS: {
    kind: 'milliseconds',
    default: 3000,
    min: 10,
    max: 60_000,
    roles: ['ds'],
    about: 'Longest time that one question to AUTH_HTTP_URL takes',
  },
  AUTH_HTTP_AT_ONCE: {
    kind: 'integer',
    default: 50,
    min: 1,
    max: 10_000,
    roles: ['ds'],
    about:
      'Maximum number of questions to AUTH_HTTP_URL at one time; further ones wait, at most AUTH_CHECKS_WAITING_MAX of them',
  },
  AUTH_HTTP_KEPT_S: {
    kind: 'seconds',
    default: 30,
    min: 0,
    max: 86_400,
    roles: ['ds'],
    about:
      'Time for which an answer of AUTH_HTTP_URL counts for the same question; 0: it is asked each time',
  },
  AUTH_HTTP_WHEN_AWAY: {
    kind: 'choice',
    choices: ['refuse', 'pass'],
    default: 'refuse',
    roles: ['ds'],
    about:
      'What happens while AUTH_HTTP_URL does not answer: CONNACK 0x88 (3.1.1: return code 3), or the other sources of users decide',
  },
} as const;
