// A back end that gets what devices publish, by RocketMQ's client for Node and the proxy:
//
//     node examples/dist/typescript/consumer.js 127.0.0.1:8081 lmqtt back-end [COUNT]
//
// Arguments: the proxy, the RocketMQ topic, the consumer group, and after how many messages it ends
// (never, if there is none). It prints a line for each: MQTT topic, client, QoS and payload.
import { SimpleConsumer } from 'rocketmq-client-nodejs';

/** How the payload of a device is stored where it is empty: RocketMQ takes no empty body. */
const isEmpty = (properties: Map<string, string>): boolean =>
  properties.get('IS_EMPTY_MSG') === 'true';

const [endpoints = '127.0.0.1:8081', topic = 'lmqtt', consumerGroup = 'back-end', count = ''] =
  process.argv.slice(2);
const consumer = new SimpleConsumer({
  endpoints,
  namespace: '',
  consumerGroup,
  // The tag of all that comes from devices.
  subscriptions: new Map([[topic, 'MQTT_COMMON']]),
  awaitDuration: 10_000,
});
await consumer.startup();
process.stdout.write('ready\n');
for (let left = count === '' ? Infinity : Number(count); left > 0;) {
  for (const message of await consumer.receive(Math.min(left, 32), 30_000)) {
    const { properties } = message;
    const payload = isEmpty(properties) ? '' : message.body.toString();
    const [name, client, qos] = ['originMqttTopic', 'lmqttPublisher', 'qosLevel'].map(
      (property) => properties.get(property) ?? '',
    );
    process.stdout.write(`${name} from ${client} at QoS ${qos}: ${payload}\n`);
    // Without it the message comes again, after the 30 s given above.
    await consumer.ack(message);
    left -= 1;
  }
}
// The client takes a quarter of a minute to stop, and leaves handles open.
process.exit(0);
