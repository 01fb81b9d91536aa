// A program's own test with a broker in its process: nothing is installed, and nothing is left.
//
//   npm install --save-dev lmqtt mqtt
//   node --test embedded.test.mjs
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { startBroker } from 'lmqtt';
import { connectAsync } from 'mqtt';

/** The program under test: it raises an alarm where it is too hot. */
async function startThermostat(url, limit) {
  const client = await connectAsync(url, { clientId: 'thermostat' });
  client.on('message', (topic, payload) => {
    const [, room] = topic.split('/');
    if (Number(payload) > limit) client.publish(`alarms/${room}`, 'too hot', { qos: 1 });
  });
  await client.subscribeAsync('rooms/+/temperature', { qos: 1 });
  return client;
}

const published = [];
let broker;
let thermostat;

before(async () => {
  broker = await startBroker({
    hooks: { onPublish: ({ clientid, topic }) => void published.push(`${clientid} ${topic}`) },
  });
  thermostat = await startThermostat(`mqtt://127.0.0.1:${broker.ports.mqtt}`, 30);
});

after(async () => {
  await thermostat?.endAsync();
  await broker?.close();
});

test('an alarm is raised where it is too hot, and only there', async () => {
  const guard = await connectAsync(`mqtt://127.0.0.1:${broker.ports.mqtt}`);
  try {
    await guard.subscribeAsync('alarms/#', { qos: 1 });
    const alarm = once(guard, 'message');
    await broker.publish({ topic: 'rooms/cellar/temperature', payload: '12', qos: 1 });
    await broker.publish({ topic: 'rooms/attic/temperature', payload: '41', qos: 1 });
    const [topic, payload] = await alarm;
    assert.deepEqual([topic, String(payload)], ['alarms/attic', 'too hot']);
    assert.deepEqual(published, ['thermostat alarms/attic']);
  } finally {
    await guard.endAsync();
  }
});
