import { connect, type IClientOptions, type MqttClient } from 'mqtt';

/**
 * A connected client whose payloads go to `take` from the first on: what a session is owed may come
 * with the same bytes as its CONNACK, before anybody who waits for the connection is called.
 */
export async function takingClient(
  url: string,
  options: IClientOptions,
  take: (payload: string) => void,
): Promise<MqttClient> {
  const client = connect(url, options);
  client.on('message', (_topic, payload) => take(payload.toString()));
  await new Promise<void>((resolve, reject) => {
    client.once('connect', () => resolve());
    client.once('error', reject);
  });
  return client;
}
