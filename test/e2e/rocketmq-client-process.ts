// RocketMQ's own client for Node in a process of its own, since its stop takes a quarter of a minute
// and leaves handles open: it is killed instead. Sends what it is asked to, reports what it gets.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { Producer, SimpleConsumer } from 'rocketmq-client-nodejs';

export interface ClientMessage {
  readonly topic: string;
  readonly tag: string;
  readonly body: string;
  readonly properties: Readonly<Record<string, string>>;
}

export interface ClientOptions {
  /** host:port of the proxy. */
  readonly endpoints: string;
  readonly topic: string;
  readonly tag: string;
  /** It must be there. */
  readonly group: string;
}

type Report =
  | { readonly kind: 'ready' }
  | { readonly kind: 'sent' }
  | { readonly kind: 'came'; readonly message: ClientMessage }
  | { readonly kind: 'failed'; readonly reason: string };

const receiveMessages = 32;
const invisibleMs = 30_000;
/** The proxy refuses to wait for much less. */
const awaitMs = 10_000;

/** The other side of {@link startRocketmqClient}. */
async function main(options: ClientOptions): Promise<void> {
  const { endpoints, topic, tag, group } = options;
  const tell = (report: Report): void => void process.send?.(report);
  const producer = new Producer({ endpoints, namespace: '' });
  const consumer = new SimpleConsumer({
    endpoints,
    namespace: '',
    consumerGroup: group,
    subscriptions: new Map([[topic, tag]]),
    awaitDuration: awaitMs,
  });
  await Promise.all([producer.startup(), consumer.startup()]);
  process.on('message', (message: ClientMessage) => {
    const { properties, body, ...rest } = message;
    producer
      .send({
        ...rest,
        body: Buffer.from(body),
        properties: new Map(Object.entries(properties)),
      })
      .then(
        () => tell({ kind: 'sent' }),
        (error: unknown) => tell({ kind: 'failed', reason: String(error) }),
      );
  });
  tell({ kind: 'ready' });
  for (;;) {
    for (const view of await consumer.receive(receiveMessages, invisibleMs)) {
      await consumer.ack(view);
      const properties = Object.fromEntries(view.properties);
      const message = {
        topic: view.topic,
        tag: view.tag ?? '',
        body: view.body.toString(),
        properties,
      };
      tell({ kind: 'came', message });
    }
  }
}

export interface RocketmqClient {
  send(message: ClientMessage): Promise<void>;
  /** The next that came and that the question is answered with true for. */
  receive(wanted: (message: ClientMessage) => boolean, withinMs: number): Promise<ClientMessage>;
  kill(): Promise<void>;
}

/** `home`: a folder for its logs. */
export async function startRocketmqClient(
  options: ClientOptions,
  home: string,
): Promise<RocketmqClient> {
  const child = fork(import.meta.filename, [JSON.stringify(options)], {
    env: { ...process.env, HOME: home },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const exited = once(child, 'exit');
  const came: ClientMessage[] = [];
  let wake = (): void => {};
  const answers: ((report: Report) => void)[] = [];
  child.on('message', (report: Report) => {
    if (report.kind === 'came') {
      came.push(report.message);
      wake();
    } else answers.shift()?.(report);
  });
  const answer = (): Promise<Report> =>
    new Promise((resolve, reject) => {
      answers.push(resolve);
      void exited.then(() => reject(new Error('the RocketMQ client has ended')));
    });
  const ready = await answer();
  if (ready.kind !== 'ready') throw new Error(`the RocketMQ client: ${JSON.stringify(ready)}`);
  return {
    async send(message) {
      const sent = answer();
      child.send(message);
      const report = await sent;
      if (report.kind === 'failed') throw new Error(report.reason);
    },
    async receive(wanted, withinMs) {
      const late = new Error(`nothing of that within ${withinMs} ms`);
      const timer = setTimeout(() => fail(late), withinMs);
      let fail: (reason: Error) => void = () => {};
      const failed = new Promise<never>((_, reject) => {
        fail = reject;
      });
      // Nobody waits for it if the message is there already.
      failed.catch(() => {});
      void exited.then(() => fail(new Error('the RocketMQ client has ended')));
      try {
        for (;;) {
          const at = came.findIndex(wanted);
          if (at !== -1) return came.splice(at, 1)[0]!;
          const woken = new Promise<void>((resolve) => {
            wake = resolve;
          });
          await Promise.race([woken, failed]);
        }
      } finally {
        clearTimeout(timer);
      }
    },
    async kill() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

if (process.argv[1] === import.meta.filename && process.argv[2] !== undefined) {
  await main(JSON.parse(process.argv[2]) as ClientOptions);
}
