import type { Settings } from './cluster-node.ts';
import { freePorts } from './free-port.ts';

/** Settings of each cs: a port, and the address at which others send clients there. */
export async function advertised(count: number): Promise<Record<string, Settings>> {
  const first = await freePorts(count);
  const settings: Record<string, Settings> = {};
  for (let index = 0; index < count; index += 1) {
    const port = String(first + index);
    settings[`cs-${index + 1}`] = { MQTT_PORT: port, ADVERTISE: `127.0.0.1:${port}` };
  }
  return settings;
}
