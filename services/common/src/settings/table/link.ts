// The link between cs and ds: its addresses, secrets, leases and windows.

export const link = {
  RPC_BIND: {
    kind: 'address',
    default: '127.0.0.1',
    only: 'link',
    roles: ['ds'],
    about:
      'Address on which ds listens for cs nodes; beyond loopback it needs CLUSTER_SECRET or RPC_TLS_CA',
  },
  RPC_PORT: {
    kind: 'port',
    default: 7010,
    only: 'link',
    roles: ['ds'],
    about: 'Port for cs nodes (gRPC)',
  },
  DS: {
    kind: 'text',
    default: '127.0.0.1:7010',
    only: 'link',
    roles: ['cs'],
    about:
      'Address of ds, host:port; several separated by commas. Not needed with REDIS_URL: ds nodes are found in Redis',
  },
  RPC_ADVERTISE: {
    kind: 'text',
    default: null,
    only: 'link',
    roles: ['ds'],
    about:
      'Address at which cs nodes reach this ds, host:port. Unset: RPC_PORT at RPC_BIND, or at an address of this machine if RPC_BIND is every address',
  },
  CLUSTER_SECRET: {
    kind: 'secret',
    default: null,
    only: 'link',
    roles: ['cs', 'ds'],
    about: 'Secret by which cs nodes are admitted, the same for cs and ds',
  },
  RPC_TLS_CERT: {
    kind: 'file',
    default: null,
    only: 'link',
    roles: ['cs', 'ds'],
    about: 'Certificate chain of this node for the link between cs and ds, PEM',
  },
  RPC_TLS_KEY: {
    kind: 'file',
    default: null,
    only: 'link',
    roles: ['cs', 'ds'],
    about: 'Private key of this node for the link, PEM',
  },
  RPC_TLS_CA: {
    kind: 'file',
    default: null,
    only: 'link',
    roles: ['cs', 'ds'],
    about: 'Authorities that the other end of the link is checked against, PEM: mutual TLS',
  },
  RPC_TLS_CRL: {
    kind: 'file',
    default: null,
    only: 'link',
    roles: ['ds'],
    about:
      'Revoked certificates of cs nodes, PEM: one revocation list (CRL) for each authority in RPC_TLS_CA',
  },
  LEASE_MS: {
    kind: 'milliseconds',
    default: 3000,
    min: 300,
    max: 60_000,
    only: 'link',
    roles: ['cs', 'ds'],
    about:
      'Lease: time that a cs may act without an answer from ds. Renewed after each third of it; the value of ds counts',
  },
  DS_LOST_MS: {
    kind: 'milliseconds',
    default: 30_000,
    min: 0,
    max: 3_600_000,
    only: 'link',
    roles: ['cs'],
    about: 'Time that a cs without a lease keeps its connections',
    limit: 'DISCONNECT 0x89, or closed before 5.0',
  },
  LINK_WINDOW_FRAMES: {
    kind: 'integer',
    default: 8,
    min: 1,
    max: 1024,
    only: 'link',
    roles: ['cs', 'ds'],
    about:
      'Maximum number of frames under way, not yet acknowledged, in each direction of the link; full frames do not count',
  },
  LINK_WINDOW_BYTES_MAX: {
    kind: 'bytes',
    default: '8m',
    min: '64k',
    max: '1g',
    roles: ['cs', 'ds'],
    about:
      'Maximum bytes under way, not yet acknowledged, in each direction of the link; fewer where the link is slow',
  },
  LINK_BUFFER_BYTES_MAX: {
    kind: 'bytes',
    default: '16m',
    min: '64k',
    max: '4g',
    only: 'link',
    roles: ['cs', 'ds'],
    about: 'Maximum bytes that wait for the link to each node',
    limit: 'QoS 0 messages are dropped; stored messages come later, read from the store',
  },
} as const;
