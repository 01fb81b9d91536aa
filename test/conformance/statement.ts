/** A normative statement of appendix B of a specification. */
export interface Statement {
  /** `MQTT-3.1.0-1`, without brackets; a test carries it in its name as `[MQTT-3.1.0-1]`. */
  readonly id: string;
  /** In our own words, one line. */
  readonly summary: string;
  readonly binds: 'server' | 'client' | 'both';
  /** Why no test from outside can show it; without a reason a test must exist. */
  readonly untestable?: string;
}
