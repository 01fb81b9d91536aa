// Values that a broker's own configuration (request 26) must have. Most mistakes in it are silent:
// messages are taken with code 0 and never reach a light queue.
import type { Finding } from '@lmqtt/common/finding';

type Config = ReadonlyMap<string, string>;

const releaseMin = '4.9.3';
/** The first without RocketMQ issue 7511. */
const threadsSafeFrom = '5.2.0';
const sendWaitMs = 5000;
const offsetFlushMs = 1000;
const lightQueuesMin = 20_000;

/** `release`: undefined where the broker does not say. */
export function settingFindings(
  name: string,
  config: Config,
  release: string | undefined,
): Finding[] {
  return [
    releaseFinding(name, release),
    switchedOn(name, config, 'enableLmq'),
    switchedOn(name, config, 'enableMultiDispatch'),
    threads(name, config, release),
    sendWait(name, config),
    offsetFlush(name, config),
    ...quota(name, config, release),
    store(name, config),
  ];
}

function releaseFinding(broker: string, release: string | undefined): Finding {
  const name = `${broker} release`;
  const wanted = `${releaseMin} or newer`;
  if (release === undefined) {
    const fix = `see to it that it is ${wanted}`;
    return { name, state: 'warn', found: 'unknown', wanted, fix };
  }
  const old = isBefore(release, releaseMin);
  const fix = old ? `run RocketMQ ${wanted}: this one has no light queues` : '';
  return { name, state: old ? 'wrong' : 'ok', found: release, wanted, fix };
}

function switchedOn(broker: string, config: Config, key: string): Finding {
  const found = config.get(key) ?? 'not there';
  const on = found === 'true';
  const fix = on ? '' : `set ${key}=true in broker.conf and restart it`;
  return { name: `${broker} ${key}`, state: on ? 'ok' : 'wrong', found, wanted: 'true', fix };
}

/** 5.0 to 5.1 lose messages of light queues when several threads store them. */
function threads(broker: string, config: Config, release: string | undefined): Finding {
  const key = 'sendMessageThreadPoolNums';
  const found = config.get(key) ?? 'not there';
  const said = { name: `${broker} ${key}`, found, wanted: '1' };
  if (found === '1') return { ...said, state: 'ok', fix: '' };
  const loses =
    release !== undefined && !isBefore(release, '5.0.0') && isBefore(release, threadsSafeFrom);
  if (loses) {
    const fix = `set ${key}=1, or run RocketMQ ${threadsSafeFrom} or newer: ${release} loses messages of light queues otherwise`;
    return { ...said, state: 'wrong', fix };
  }
  const fix = `set ${key}=1: otherwise each publisher has one message of a topic on its way at a time`;
  return { ...said, state: 'warn', fix };
}

function sendWait(broker: string, config: Config): Finding {
  const key = 'waitTimeMillsInSendQueue';
  const waitMs = Number(config.get(key) ?? 0);
  const ok = waitMs >= sendWaitMs;
  return {
    name: `${broker} ${key}`,
    state: ok ? 'ok' : 'warn',
    found: config.get(key) ?? 'not there',
    wanted: `${sendWaitMs} or more`,
    fix: ok ? '' : `set ${key}=${sendWaitMs}: a busy broker refuses what waits for ${waitMs} ms`,
  };
}

function offsetFlush(broker: string, config: Config): Finding {
  const key = 'flushConsumerOffsetInterval';
  const everyMs = Number(config.get(key) ?? Infinity);
  const ok = everyMs <= offsetFlushMs;
  return {
    name: `${broker} ${key}`,
    state: ok ? 'ok' : 'warn',
    found: config.get(key) ?? 'not there',
    wanted: `${offsetFlushMs} or less`,
    fix: ok
      ? ''
      : `set ${key}=500: when the broker is killed, its consumers go back by up to that many ms`,
  };
}

/** Past it nothing can be read in 4.9, from 5.0 on nothing sent, where the quota is switched on. */
function quota(broker: string, config: Config, release: string | undefined): Finding[] {
  const key = 'maxLmqConsumeQueueNum';
  const counts =
    config.get('enableLmqQuota') === 'true' ||
    (release !== undefined && isBefore(release, '5.0.0'));
  const found = config.get(key);
  if (!counts || found === undefined) return [];
  const ok = Number(found) >= lightQueuesMin;
  const fix = ok ? '' : `raise ${key}: with more light queues than that, none of them works`;
  const wanted = `${lightQueuesMin} or more`;
  return [{ name: `${broker} ${key}`, state: ok ? 'ok' : 'warn', found, wanted, fix }];
}

function store(broker: string, config: Config): Finding {
  const type = config.get('storeType') ?? 'default';
  const found = `${type}, ${config.get('flushDiskType') ?? 'flush unknown'}`;
  const wanted = 'any; defaultRocksDB for many topics';
  return { name: `${broker} storeType`, state: 'ok', found, wanted, fix: '' };
}

function isBefore(release: string, than: string): boolean {
  const [one, other] = [release, than].map((text) => text.split('.').map(Number));
  const at = one!.findIndex((number, index) => number !== other![index]);
  return at !== -1 && one![at]! < other![at]!;
}
