// A back end that sends to devices, by RocketMQ's client for Node and the proxy:
//
//     node examples/dist/typescript/producer.js 127.0.0.1:8081 lmqtt home/lamp on
//
// Arguments: the proxy, the RocketMQ topic, the MQTT topic and the payload. Every client that has
// subscribed to the MQTT topic gets the message, by whatever filter, connected or not.
import { Producer } from 'rocketmq-client-nodejs';

const [endpoints = '127.0.0.1:8081', topic = 'lmqtt', mqttTopic = 'home/lamp', payload = 'on'] =
  process.argv.slice(2);
const producer = new Producer({ endpoints, namespace: '' });
await producer.startup();
const receipt = await producer.send({
  topic,
  tag: 'MQ2MQTT',
  body: Buffer.from(payload),
  properties: new Map([
    ['mqttTopic', mqttTopic],
    ['qosLevel', '1'],
    // Further ones: docs/rocketmq.md.
  ]),
});
process.stdout.write(`sent ${receipt.messageId}\n`);
// The client takes a quarter of a minute to stop, and leaves handles open.
process.exit(0);
