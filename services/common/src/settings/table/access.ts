// Users, their rights, the checks of passwords, and certificates.

export const access = {
  ALLOW_ANONYMOUS: {
    kind: 'boolean',
    default: null,
    roles: ['ds'],
    about:
      'Whether clients without a user name may connect. Unset: no, where users are configured. Where none are, standalone on a loopback BIND lets them in, ds on a loopback RPC_BIND only those with a loopback address; beyond loopback this must be set',
  },
  PASSWORD_FILE: {
    kind: 'file',
    default: null,
    roles: ['ds'],
    about:
      'File of users and password hashes, made with `npm run lmqtt -- passwd`; read again when it changes',
  },
  ACL_FILE: {
    kind: 'file',
    default: null,
    roles: ['ds'],
    about: 'File of access rules; read again when it changes',
  },
  ACL_CACHE: {
    kind: 'integer',
    default: 100_000,
    min: 100,
    max: 100_000_000,
    roles: ['cs', 'ds'],
    about:
      'Maximum number of answers of the access rules kept in memory, one for each topic and set of rules',
  },
  ACL_DENY_PUBLISH: {
    kind: 'choice',
    choices: ['drop', 'close'],
    default: 'drop',
    roles: ['cs'],
    about:
      'What happens when a 3.1.1 client publishes where it may not: the message is dropped, or the connection is closed',
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
      'Client identifiers that a user may name: `%u` is the user name, `*` any text, as in `%u` or `%u-*`; all others get CONNACK 0x85 (3.1.1: return code 2). User names should not contain the separator (here `-`). A client that sends no identifier gets one that fits the rule, or a random one whose session ends with its connection',
  },
  SESSION_USER_CHANGE: {
    kind: 'choice',
    choices: ['replace', 'refuse'],
    default: 'replace',
    roles: ['ds'],
    about:
      'What happens to a session when another user connects with its client identifier: replace ends the session and begins a new one; refuse answers with CONNACK 0x87 (3.1.1: return code 5)',
  },
  MAX_USERS: {
    kind: 'integer',
    default: 100_000,
    min: 1,
    max: 10_000_000,
    roles: ['ds'],
    about: 'Maximum number of users in the password file',
  },
  AUTH_CHECKS_WAITING_MAX: {
    kind: 'integer',
    default: 2000,
    min: 1,
    max: 1_000_000,
    roles: ['ds'],
    about: 'Maximum number of passwords that wait to be checked; addresses take turns',
    limit:
      'the newest login of the address with the most waiting logins gets CONNACK 0x89 (3.1.1: return code 3)',
  },
  AUTH_FAILURES_PER_ADDRESS: {
    kind: 'integer',
    default: 300,
    min: 0,
    max: 1_000_000,
    roles: ['ds'],
    about:
      'Failed logins a minute from one address (IPv6: one /64 network), past which it may only log in with user names that have logged in from there before; past half the number, answers to failed logins are delayed; each ds counts for itself; 0: no limit',
    limit: 'CONNACK 0x89 (3.1.1: return code 3); the password is not checked',
  },
  AUTH_FAILURES_PER_USER: {
    kind: 'integer',
    default: 30,
    min: 0,
    max: 1_000_000,
    roles: ['ds'],
    about:
      'Failed logins a minute with one user name from one address, past which that name is refused from there; past half the number, answers to failed logins are delayed; each ds counts for itself; 0: no limit',
    limit: 'CONNACK 0x89 (3.1.1: return code 3); the password is not checked',
  },
  TLS_CERT: {
    kind: 'file',
    default: null,
    roles: ['cs'],
    about: 'Certificate chain, PEM; read again when it changes',
  },
  TLS_KEY: { kind: 'file', default: null, roles: ['cs'], about: 'Private key, PEM' },
  TLS_KEY_PASSWORD: {
    kind: 'secret',
    default: null,
    roles: ['cs'],
    about: 'Password of TLS_KEY, where the file is encrypted',
  },
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
      'Revoked client certificates, PEM: one revocation list (CRL) for each authority in TLS_CA; read again when it changes',
  },
  TLS_MIN_VERSION: {
    kind: 'choice',
    choices: ['1.2', '1.3'],
    default: '1.2',
    roles: ['cs', 'ds'],
    about: 'Oldest TLS version that is accepted from clients and on the RPC port',
  },
  TLS_CIPHERS: {
    kind: 'text',
    default: null,
    roles: ['cs', 'ds'],
    about:
      'Cipher suites in the form of OpenSSL; unset: only suites with forward secrecy. DEFAULT also allows suites without, for old clients',
  },
  TLS_CLIENT_CERT: {
    kind: 'choice',
    choices: ['none', 'optional', 'required'],
    default: 'none',
    roles: ['cs'],
    about: 'Whether clients have to present a certificate',
  },
} as const;
