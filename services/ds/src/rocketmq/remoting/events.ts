/** Events on connections to name servers and brokers. */
export interface RemotingEvents {
  connected(address: string): void;
  /** A connection that was up is gone. */
  lost(address: string, reason: string): void;
  /** An attempt to connect failed; others follow while somebody wants the connection. */
  notConnected(address: string, reason: string): void;
  /** The peer sent what no RocketMQ sends; that connection ends. */
  garbage(address: string, reason: string): void;
  timedOut(address: string, request: string, written: boolean): void;
  /** An answer to a request that has timed out. */
  answeredLate(address: string): void;
  /** A request was not taken: too many are outstanding. */
  tooManyOutstanding(address: string, request: string): void;
  /** One socket write of so many requests. */
  written(requests: number, bytes: number): void;
  received(bytes: number): void;
}
