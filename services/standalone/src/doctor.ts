// `lmqtt doctor`: every check of what a cluster stands on, as a table.
import type { Finding } from '@lmqtt/common/finding';
import type { Sources } from '@lmqtt/common/settings/read';
import { visible } from '@lmqtt/common/visible';
import { checkRegistry, checkRocketmq, checkTopics } from '@lmqtt/ds/cluster/checks';

import { findingTable } from './doctor/finding-table.ts';
import { placeOf, whyUnreachable } from './doctor/reachable.ts';
import { advertiseFinding, proxyFinding, readForDoctor } from './doctor/setting-checks.ts';

/** The exit code: 1 where something must be changed. Throws SettingsError. */
export async function runDoctor(sources: Sources): Promise<number> {
  const { settings, findings } = readForDoctor(sources);
  const isCluster = settings.redisUrl !== null && settings.namesrvAddr !== null;
  const noRegistry = { findings: [], nodes: [], topics: [] };
  const [registry, topics, proxy, advertise] = await Promise.all([
    settings.redisUrl === null ? noRegistry : checkRegistry(settings),
    isCluster ? checkTopics(settings) : [],
    proxyFinding(settings),
    advertiseFinding(settings),
  ]);
  const rocketmq =
    settings.namesrvAddr === null ? [] : await checkRocketmq(settings, registry.topics);
  const ways = await Promise.all(
    registry.nodes
      .filter(({ role }) => role === 'ds')
      .map(({ id, address }) => wayFinding(id, address)),
  );
  const all = [
    ...findings,
    advertise,
    ...registry.findings,
    ...ways,
    ...rocketmq,
    ...topics,
    proxy,
  ];
  const notes = settings.notes.map((note) => `note: ${note}\n`).join('');
  process.stdout.write(visible(`${notes}${notes === '' ? '' : '\n'}${findingTable(all)}`));
  return all.some(({ state }) => state === 'wrong') ? 1 : 0;
}

/** Finding about the RPC_ADVERTISE of a ds, seen from here. */
async function wayFinding(id: string, address: string): Promise<Finding> {
  const name = `way to ${id}`;
  const wanted = 'cs nodes reach it';
  const place = placeOf(address);
  const why = place === undefined ? 'no host:port' : await whyUnreachable(place);
  if (why === undefined) return { name, state: 'ok', found: address, wanted, fix: '' };
  const fix = `from a machine of a cs, ${address} must be reachable: see RPC_BIND and RPC_ADVERTISE of ${id}`;
  return { name, state: 'warn', found: why, wanted, fix };
}
