// Requests of a command to a running broker: its REST interface, found by the settings.
import { SettingsError } from '@lmqtt/common/settings/parse';
import type { Settings } from '@lmqtt/common/settings/row';

interface OpsAnswer {
  readonly status: number;
  readonly body: unknown;
}

const everyAddress = new Set(['0.0.0.0', '::', '[::]']);

/** Throws where the broker is not reached or does not let the command in. */
export async function askOps(
  settings: Settings,
  method: 'GET' | 'DELETE' | 'POST',
  path: string,
): Promise<OpsAnswer> {
  const { opsBind, opsPort, opsToken, opsTimeoutMs } = settings;
  if (opsPort === null)
    throw new SettingsError('OPS_PORT is off: the command asks the broker there');
  const host = everyAddress.has(opsBind) ? '127.0.0.1' : opsBind;
  const url = `http://${host.includes(':') ? `[${host}]` : host}:${opsPort}${path}`;
  let answer: Response;
  try {
    answer = await fetch(url, {
      method,
      headers: opsToken === null ? {} : { authorization: `Bearer ${opsToken}` },
      signal: AbortSignal.timeout(opsTimeoutMs),
    });
  } catch {
    throw new Error(`no broker answers at ${url}`);
  }
  const text = await answer.text();
  const { status } = answer;
  if (status === 401) throw new Error('the broker wants another OPS_TOKEN');
  return { status, body: text === '' ? undefined : parsed(text) };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
