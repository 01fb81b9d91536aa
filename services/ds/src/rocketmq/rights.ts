// Check of the rights of the user of ROCKETMQ_ACCESS_KEY: every request that ds makes of a broker
// is tried, topic by topic. None of them changes anything: a message goes to a queue that no topic
// has, offsets are those of a light queue of the checks alone.
import { systemClock } from '@lmqtt/common/clock';
import type { Finding } from '@lmqtt/common/finding';
import type { BrokerConnection } from './remoting/broker-connection.ts';
import { answerCodes } from './remoting/codes.ts';
import { RemotingError } from './remoting/errors.ts';

interface Try {
  /** The request, in words. */
  readonly what: string;
  /** Right that ACL 2.0 wants for it: `Get on Topic:lmqtt`. */
  readonly right: string;
  readonly ask: () => Promise<unknown>;
}

const group = '%LMQ%lmqtt';
/** More than any topic has: the broker looks at rights first. */
const noQueue = 1_000_000;
/** More than a broker keeps a message. */
const longAgoMs = 0;
/**
 * Brokers from 5.0 on find it wrong before they make a topic, and after they have looked at rights.
 */
const illegalAttributes = 'none';

/** Brokers before 5.3 say it with the code for everything. */
const deniedRemark = /AclException|permission|polic/i;
const unknownUserRemark = /signature|username|accessKey|user.{0,40}not exist/i;

/** The user is known, and may not do what was asked for. */
export function isDenied(error: unknown): error is RemotingError {
  if (!(error instanceof RemotingError) || isUnknownUser(error)) return false;
  const { code, remark } = error;
  if (code === answerCodes.noPermission) return true;
  return code === answerCodes.systemError && deniedRemark.test(remark);
}

/** There is no such user, or the key is wrong: the broker does nothing for it. */
function isUnknownUser({ code, remark }: RemotingError): boolean {
  const denies = code === answerCodes.noPermission || code === answerCodes.systemError;
  return denies && unknownUserRemark.test(remark) && !/polic/i.test(remark);
}

/**
 * A row for each right that is missing, or one for all of them. `topics`: those that the broker
 * has.
 */
export async function rightFindings(
  name: string,
  broker: BrokerConnection,
  { clusterId, topics, creates }: RightsAsked,
): Promise<Finding[]> {
  const tries = [
    ...ofBroker(broker),
    ...topics.flatMap((topic) => ofTopic(broker, topic)),
    ...creates.map((topic) => ofNewTopic(broker, topic)),
    ...ofLightQueues(broker, `%LMQ%##${clusterId}#rights`),
  ];
  const missing: Finding[] = [];
  for (const one of tries) {
    const denied = await attempt(one);
    if (denied === undefined) continue;
    missing.push({
      name: `${name} ${one.what}`,
      state: 'wrong',
      found: `refused with code ${denied.code}`,
      wanted: one.right,
      fix: `permit ${one.right} to the user of ROCKETMQ_ACCESS_KEY: docs/rocketmq-rights.md has all rules`,
    });
  }
  if (missing.length > 0) return missing;
  const found = `${tries.length} of ${tries.length} requests`;
  return [{ name: `${name} rights`, state: 'ok', found, wanted: 'all that ds does', fix: '' }];
}

interface RightsAsked {
  readonly clusterId: string;
  readonly topics: readonly string[];
  /** Topics that ds makes where they are not there; tried by brokers from 5.0 on only. */
  readonly creates: readonly string[];
}

async function attempt({ ask }: Try): Promise<RemotingError | undefined> {
  try {
    await ask();
  } catch (error) {
    if (isDenied(error)) return error;
    // Any other answer comes from behind the check of rights; one that is lost shows elsewhere.
  }
  return undefined;
}

function ofBroker(broker: BrokerConnection): Try[] {
  return [
    {
      what: 'reading its configuration',
      right: 'Get on Cluster:*',
      ask: () => broker.brokerConfig(),
    },
  ];
}

function ofTopic(broker: BrokerConnection, topic: string): Try[] {
  return [
    {
      what: `publishing to ${topic}`,
      right: `Pub on Topic:${topic}`,
      ask: () => send(broker, topic),
    },
    ...ofPlace(broker, topic, `Topic:${topic}`),
  ];
}

/** Requests that are made of ordinary topics and of light queues alike. */
function ofPlace(broker: BrokerConnection, topic: string, resource: string): Try[] {
  const place = { topic, queueId: 0 };
  return [
    {
      what: `reading ${topic}`,
      right: `Sub on ${resource} and on Group:%LMQ%*`,
      ask: () => pull(broker, topic),
    },
    {
      what: `the end of ${topic}`,
      right: `Get on ${resource}`,
      ask: () => broker.maxOffset(place),
    },
    {
      what: `the beginning of ${topic}`,
      right: `Get on ${resource}`,
      ask: () => broker.minOffset(place),
    },
    {
      what: `times in ${topic}`,
      right: `Get on ${resource}`,
      ask: () => broker.searchOffset(place, longAgoMs),
    },
  ];
}

function ofLightQueues(broker: BrokerConnection, lmq: string): Try[] {
  const resource = 'Topic:%LMQ%*';
  const place = { topic: lmq, queueId: 0 };
  return [
    ...ofPlace(broker, lmq, resource),
    {
      what: `positions in ${lmq}`,
      right: `Sub on ${resource} and on Group:%LMQ%*`,
      ask: () => broker.queryConsumerOffset(group, place),
    },
    {
      what: `storing positions in ${lmq}`,
      right: `Sub on ${resource} and on Group:%LMQ%*`,
      ask: () => broker.updateConsumerOffset(group, place, 0),
    },
    {
      what: `deleting ${lmq}`,
      right: `Delete on ${resource}`,
      ask: () => broker.deleteTopic(lmq),
    },
  ];
}

function ofNewTopic(broker: BrokerConnection, topic: string): Try {
  return {
    what: `making ${topic}`,
    right: `Create on Topic:${topic}`,
    ask: () =>
      broker.createTopic({
        ...{ topic, readQueues: 1, writeQueues: 1, attributes: illegalAttributes },
      }),
  };
}

function send(broker: BrokerConnection, topic: string): Promise<void> {
  return new Promise((resolve, reject) => {
    broker.send(
      {
        ...{ topic, queueId: noQueue, properties: '', body: Buffer.from('rights') },
        bornMs: systemClock.nowMs(),
      },
      (answer) => {
        if (answer.kind !== 'refused') resolve();
        else reject(new RemotingError(broker.address, 'send', answer.code, answer.remark));
      },
    );
  });
}

function pull(broker: BrokerConnection, topic: string): Promise<void> {
  const request = { group, topic, queueId: 0, offset: 0, messagesMax: 1 };
  return new Promise((resolve, reject) => {
    broker.pull({ ...request, suspendMs: 0, subscription: '*' }, (answer) => {
      if (answer.kind !== 'failed' || answer.code === undefined) resolve();
      else reject(new RemotingError(broker.address, 'pull', answer.code, answer.reason));
    });
  });
}
