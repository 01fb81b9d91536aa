/** What the connection knows of the publishes that its client has under way. */
export class Inbound {
  /** QoS 2 identifiers between PUBLISH and PUBREL: `storing`, then `stored`, then `releasing`. */
  private qos2: Map<number, 'storing' | 'stored' | 'releasing'> | undefined = undefined;
  /** QoS 1 publishes that are not answered yet. */
  private qos1 = 0;

  /** Counted against the receive maximum [MQTT-3.3.4-7]. */
  get count(): number {
    return this.qos1 + (this.qos2?.size ?? 0);
  }

  restore(packetIds: readonly number[]): void {
    for (const packetId of packetIds) (this.qos2 ??= new Map()).set(packetId, 'stored');
  }

  begin1(): void {
    this.qos1 += 1;
  }

  end1(): void {
    this.qos1 -= 1;
  }

  state2(packetId: number): 'storing' | 'stored' | 'releasing' | undefined {
    return this.qos2?.get(packetId);
  }

  set2(packetId: number, state: 'storing' | 'stored' | 'releasing'): void {
    (this.qos2 ??= new Map()).set(packetId, state);
  }

  end2(packetId: number): void {
    this.qos2?.delete(packetId);
  }
}
