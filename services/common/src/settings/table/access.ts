// Users, their rights, the checks of passwords, and certificates.

export const access = {
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
} as const;
