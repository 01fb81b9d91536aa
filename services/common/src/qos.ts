/** Quality of service: at most once, at least once, exactly once. */
export type Qos = 0 | 1 | 2;

export function lowerQos(a: Qos, b: Qos): Qos {
  return a < b ? a : b;
}
