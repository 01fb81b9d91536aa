// Findings about settings, before anybody is asked, and about the addresses in them.
import type { Finding } from '@lmqtt/common/finding';
import { SettingsError } from '@lmqtt/common/settings/parse';
import { readSettings, type Sources } from '@lmqtt/common/settings/read';
import type { ProgramName, Settings } from '@lmqtt/common/settings/row';

import { addressesOf, placeOf, whyUnreachable } from './reachable.ts';

interface ReadSettings {
  readonly settings: Settings;
  readonly findings: readonly Finding[];
}

/**
 * As ds reads them. What keeps only ds or only cs from starting is a finding; throws SettingsError
 * where nothing can be made of them.
 */
export function readForDoctor(sources: Sources): ReadSettings {
  const [ofDs, ofCs] = (['ds', 'cs'] as const).map((program) => attempt(sources, program));
  const settings = ofDs!.settings ?? ofCs!.settings;
  if (settings === undefined) throw ofDs!.error;
  const findings = [settingsFinding('ds', ofDs!), settingsFinding('cs', ofCs!)];
  return { settings, findings: [...findings, ...completeness(settings)] };
}

type Attempt =
  | { readonly settings: Settings; readonly error?: undefined }
  | { readonly settings?: undefined; readonly error: SettingsError };

function attempt(sources: Sources, program: ProgramName): Attempt {
  try {
    return { settings: readSettings(sources, program) };
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    return { error };
  }
}

function settingsFinding(program: ProgramName, { error }: Attempt): Finding {
  const name = `settings of ${program}`;
  const wanted = 'usable';
  return error === undefined
    ? { name, state: 'ok', found: wanted, wanted, fix: '' }
    : { name, state: 'wrong', found: 'refused', wanted, fix: error.message };
}

function completeness({ namesrvAddr, redisUrl }: Settings): Finding[] {
  return [
    needed('NAMESRV_ADDR', namesrvAddr, 'host:port of the name servers, with ; between'),
    // The URL may hold a password.
    needed('REDIS_URL', redisUrl === null ? null : 'given', 'redis://host:port'),
  ];
}

function needed(name: string, found: string | null, wanted: string): Finding {
  if (found !== null) return { name, state: 'ok', found, wanted, fix: '' };
  const fix = `set ${name}: without it there is no cluster`;
  return { name, state: 'wrong', found: 'not set', wanted, fix };
}

/** Finding about the proxy of RocketMQ 5, for gRPC. */
export async function proxyFinding({ rocketmqProxy }: Settings): Promise<Finding> {
  const name = 'ROCKETMQ_PROXY';
  const wanted = 'host:port, somebody listens';
  if (rocketmqProxy === null) {
    const fix = 'set it to the proxy of RocketMQ 5: retry topics need one';
    return { name, state: 'warn', found: 'not set', wanted, fix };
  }
  const place = placeOf(rocketmqProxy);
  if (place === undefined) {
    const fix = 'set it to host:port';
    return { name, state: 'wrong', found: rocketmqProxy, wanted, fix };
  }
  const why = await whyUnreachable(place);
  if (why === undefined) return { name, state: 'ok', found: rocketmqProxy, wanted, fix: '' };
  const fix = 'start the proxy, or set it to where it is';
  return { name, state: 'wrong', found: why, wanted, fix };
}

/** Finding about the address at which cs nodes reach this ds. */
export async function advertiseFinding({ rpcAdvertise, rpcBind }: Settings): Promise<Finding> {
  const name = 'RPC_ADVERTISE';
  const wanted = 'host:port that cs nodes resolve';
  if (rpcAdvertise === null) {
    const found = `not set: RPC_BIND is ${rpcBind}`;
    return { name, state: 'ok', found, wanted, fix: '' };
  }
  const place = placeOf(rpcAdvertise);
  if (place === undefined) {
    return { name, state: 'wrong', found: rpcAdvertise, wanted, fix: 'set it to host:port' };
  }
  const addresses = await addressesOf(place.host);
  if (addresses.length > 0) {
    const found = `${rpcAdvertise} is ${addresses.join(', ')}`;
    return { name, state: 'ok', found, wanted, fix: '' };
  }
  const fix = 'set it to a name or an address under which other machines find this one';
  return { name, state: 'wrong', found: `${place.host} has no address`, wanted, fix };
}
