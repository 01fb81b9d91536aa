// `lmqtt delayed list` and `lmqtt delayed cancel ID`.
import { SettingsError } from '@lmqtt/common/settings/parse';
import { readSettings, type Sources } from '@lmqtt/common/settings/read';
import type { Settings } from '@lmqtt/common/settings/row';
import { visible } from '@lmqtt/common/visible';
import type { DelayedStatus } from '@lmqtt/ops/ops-source';
import { textTable } from './doctor/finding-table.ts';
import { askOps } from './ops-client.ts';

export const delayedUsage = `lmqtt delayed list [settings]       list the messages that wait for their time
lmqtt delayed cancel ID [settings]  cancel one of them

The command asks the broker that runs, or any ds of a cluster, at its ops listener: OPS_BIND, OPS_PORT
and OPS_TOKEN are those of the broker. Exit codes: 0 done, 1 there is no such message, or the broker is
not reached, 2 wrong settings.
`;

interface Page {
  readonly messages: readonly DelayedStatus[];
  readonly next: string | null;
}

const pageLines = 1000;

/** The exit code. Throws SettingsError. */
export async function runDelayed({ args, environment }: Sources): Promise<number> {
  const [command, id, ...rest] = args;
  const isCancel = command === 'cancel';
  if (!isCancel && command !== 'list')
    throw new SettingsError('delayed: say list, or cancel ID (see delayed --help)');
  if (isCancel && (id === undefined || !/^\d{1,15}$/.test(id)))
    throw new SettingsError('delayed cancel: name the number of the message (see delayed --help)');
  const settings = readSettings({ args: isCancel ? rest : args.slice(1), environment }, 'ds');
  try {
    return isCancel ? await cancel(settings, id!) : await list(settings);
  } catch (error) {
    if (error instanceof SettingsError) throw error;
    const text = error instanceof Error ? error.message : String(error);
    process.stderr.write(`lmqtt: ${visible(text)}\n`);
    return 1;
  }
}

async function cancel(settings: Settings, id: string): Promise<number> {
  const { status } = await askOps(settings, 'DELETE', `/api/v1/delayed/${id}`);
  if (status === 204) {
    process.stdout.write(`message ${id} is cancelled\n`);
    return 0;
  }
  process.stderr.write(
    status === 404
      ? `lmqtt: no message ${id} waits\n`
      : `lmqtt: the broker answers with status ${status}\n`,
  );
  return 1;
}

async function list(settings: Settings): Promise<number> {
  const rows = [['id', 'due', 'topic', 'QoS', 'retain', 'bytes', 'client']];
  let after = '';
  for (;;) {
    const { status, body } = await askOps(
      settings,
      'GET',
      `/api/v1/delayed?limit=${pageLines}${after}`,
    );
    if (status !== 200) throw new Error(`the broker answers with status ${status}`);
    const { messages, next } = body as Page;
    for (const { id, dueAtMs, topic, qos, retain, payloadBytes, clientId } of messages) {
      const due = new Date(dueAtMs).toISOString();
      const flag = retain ? 'yes' : 'no';
      rows.push([`${id}`, due, topic, `${qos}`, flag, `${payloadBytes}`, clientId || '-']);
    }
    if (next === null) break;
    after = `&after=${next}`;
  }
  const text = rows.length === 1 ? 'No message waits for its time.' : textTable(rows);
  process.stdout.write(`${visible(text)}\n`);
  return 0;
}
