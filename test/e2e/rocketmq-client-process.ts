// RocketMQ's own client for Node in a process of its own, since its stop takes a quarter of a minute
// and leaves handles open: it is killed instead. Sends what it is asked to, reports what it gets.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import {
  ConsumeResult,
  type MessageView,
  Producer,
  PushConsumer,
  SimpleConsumer,
} from 'rocketmq-client-nodejs';

export interface ClientMessage {
  readonly topic: string;
  readonly tag: string;
  readonly body: string;
  readonly properties: Readonly<Record<string, string>>;
  readonly keys?: readonly string[];
}

/** A message to be sent, and what RocketMQ does with it. */
export interface SentMessage extends ClientMessage {
  readonly delayMs?: number;
  /** Those of one group keep their order. */
  readonly messageGroup?: string;
  /** Sent in a transaction, which ends so. */
  readonly transaction?: 'commit' | 'rollback';
}

export interface ClientOptions {
  /** host:port of the proxy. */
  readonly endpoints: string;
  readonly topic: string;
  readonly tag: string;
  /** It must be there. */
  readonly group: string;
  /** The other of RocketMQ's two kinds of consumers. */
  readonly push?: boolean;
}

type Report =
  | { readonly kind: 'ready' }
  | { readonly kind: 'sent' }
  | { readonly kind: 'came'; readonly message: ClientMessage }
  | { readonly kind: 'failed'; readonly reason: string };

/** Of a transaction that its producer is asked about: these are ended before. */
const unspecified = 0;
const receiveMessages = 32;
const invisibleMs = 30_000;
/** The proxy refuses to wait for much less. */
const awaitMs = 10_000;

function tell(report: Report): void {
  process.send?.(report);
}

function tellMessage({ topic, tag = '', body, properties, keys }: MessageView): void {
  const message = { topic, tag, body: body.toString(), keys };
  tell({ kind: 'came', message: { ...message, properties: Object.fromEntries(properties) } });
}

async function send(producer: Producer, message: SentMessage): Promise<void> {
  const { properties, body, keys = [], delayMs, transaction, ...rest } = message;
  const begun = transaction === undefined ? undefined : producer.beginTransaction();
  await producer.send(
    {
      ...rest,
      body: Buffer.from(body),
      keys: [...keys],
      properties: new Map(Object.entries(properties)),
      ...(delayMs === undefined ? {} : { delay: delayMs }),
    },
    begun,
  );
  if (transaction === 'commit') await begun?.commit();
  else await begun?.rollback();
}

/** The other side of {@link startRocketmqClient}. */
async function main(options: ClientOptions): Promise<void> {
  const { endpoints, topic, tag, group: consumerGroup, push = false } = options;
  const checker = { check: () => Promise.resolve(unspecified) };
  const producer = new Producer({ endpoints, namespace: '', checker });
  const shared = {
    ...{ endpoints, namespace: '', consumerGroup },
    subscriptions: new Map([[topic, tag]]),
  };
  const simple = new SimpleConsumer({ ...shared, awaitDuration: awaitMs });
  const pushed = new PushConsumer({
    ...shared,
    messageListener: {
      consume(view) {
        tellMessage(view);
        return ConsumeResult.SUCCESS;
      },
    },
  });
  await Promise.all([producer.startup(), push ? pushed.startup() : simple.startup()]);
  process.on('message', (message: SentMessage) => {
    send(producer, message).then(
      () => tell({ kind: 'sent' }),
      (error: unknown) => tell({ kind: 'failed', reason: String(error) }),
    );
  });
  tell({ kind: 'ready' });
  while (!push) {
    for (const view of await simple.receive(receiveMessages, invisibleMs)) {
      await simple.ack(view);
      tellMessage(view);
    }
  }
}

export interface RocketmqClient {
  send(message: SentMessage): Promise<void>;
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
