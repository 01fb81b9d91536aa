/**
 * Options of every accepted socket. Keep alive of TCP finds dead clients whose MQTT keep alive is
 * 0.
 */
export const socketOptions = {
  noDelay: true,
  keepAlive: true,
  keepAliveInitialDelay: 60_000,
} as const;
