// `lmqtt dead-letters`: messages that could not be delivered, by the REST interface of a broker.
import { SettingsError } from '@lmqtt/common/settings/parse';
import { readSettings, type Sources } from '@lmqtt/common/settings/read';
import { visible } from '@lmqtt/common/visible';

import { textTable } from './doctor/finding-table.ts';

export const deadLettersUsage = `lmqtt dead-letters list [settings]
lmqtt dead-letters show ID [settings]
lmqtt dead-letters replay ID | all [settings]
lmqtt dead-letters purge ID | all [settings]

Dead letters are messages at QoS 1 and 2 that a client has refused, or that could not be delivered to
it: see DEAD_LETTERS and docs/drops.md.

list: all of them, the oldest first. show: one, with its payload and properties in base64.
replay: the message is published again to its topic, for all who have subscribed to it now, without
RETAIN and with its whole message expiry; it is a dead letter no more. purge: it is forgotten.

The command asks the REST interface of a running broker or ds: OPS_BIND, OPS_PORT and OPS_TOKEN say where
it is. Exit code 0: it is done; 1: there is no such dead letter, or the broker does not answer.
`;

const timeoutMs = 60_000;

interface Letter {
  readonly id: string;
  readonly reason: string;
  readonly clientId: string;
  readonly topic: string;
  readonly attempts: number;
  readonly deadAtMs: number;
}

class Failed extends Error {}

/** The exit code. Throws SettingsError. */
export async function runDeadLetters(sources: Sources): Promise<number> {
  const flagAt = sources.args.findIndex((arg) => arg.startsWith('-'));
  const words = sources.args.slice(0, flagAt === -1 ? sources.args.length : flagAt);
  const [action = 'list', id, ...more] = words;
  const takesId = action === 'show' || action === 'replay' || action === 'purge';
  const isFit = takesId ? id !== undefined : action === 'list' && id === undefined;
  if (!isFit || more.length > 0)
    throw new SettingsError('lmqtt dead-letters list, show ID, replay ID, purge ID');
  const settings = readSettings({ ...sources, args: sources.args.slice(words.length) }, 'ds');
  if (settings.opsPort === null) throw new SettingsError('OPS_PORT is not set');
  const isAny = settings.opsBind === '0.0.0.0' || settings.opsBind === '::';
  const host = isAny ? '127.0.0.1' : settings.opsBind;
  const rest = new Rest(host, settings.opsPort, settings.opsToken);
  try {
    await act(rest, action, id ?? '');
    return 0;
  } catch (error) {
    if (!(error instanceof Failed)) throw error;
    process.stderr.write(`lmqtt: ${visible(error.message)}\n`);
    return 1;
  }
}

async function act(rest: Rest, action: string, id: string): Promise<void> {
  if (action === 'list') {
    const head = ['id', 'reason', 'client', 'topic', 'tries', 'since'];
    write(textTable([head, ...(await rest.all()).map(lineOf)]));
  } else if (action === 'show') {
    write(JSON.stringify(await rest.ask('GET', `/${encodeURIComponent(id)}`), undefined, 2));
  } else if (action === 'replay') {
    const ids = id === 'all' ? (await rest.all()).map((letter) => letter.id) : [id];
    for (const each of ids) await rest.ask('POST', `/${encodeURIComponent(each)}/replay`);
    write(`replayed: ${ids.length}`);
  } else {
    const answer = await rest.ask('DELETE', id === 'all' ? '' : `/${encodeURIComponent(id)}`);
    write(`purged: ${purgedOf(answer) ?? 1}`);
  }
}

class Rest {
  readonly #base: string;
  readonly #headers: Record<string, string>;

  constructor(host: string, port: number, token: string | null) {
    const name = host.includes(':') ? `[${host}]` : host;
    this.#base = `http://${name}:${port}/api/v1/dead-letters`;
    this.#headers = token === null ? {} : { authorization: `Bearer ${token}` };
  }

  /** The value of the answer, undefined where it has none. */
  async ask(method: string, path: string): Promise<unknown> {
    const signal = AbortSignal.timeout(timeoutMs);
    let answer: Response;
    try {
      answer = await fetch(this.#base + path, { method, headers: this.#headers, signal });
    } catch (error) {
      const why = error instanceof Error ? (error.cause ?? error) : error;
      throw new Failed(`no answer at ${this.#base}: ${String(why)}`);
    }
    const text = await answer.text();
    const value: unknown = text === '' ? undefined : JSON.parse(text);
    if (answer.ok) return value;
    const isProblem = typeof value === 'object' && value !== null && 'detail' in value;
    throw new Failed(isProblem ? String(value.detail) : `HTTP ${answer.status}`);
  }

  async all(): Promise<Letter[]> {
    const letters: Letter[] = [];
    for (let after: string | undefined = ''; after !== undefined;) {
      const from: string = after === '' ? '' : `&after=${encodeURIComponent(after)}`;
      const page = pageOf(await this.ask('GET', `?limit=1000${from}`));
      letters.push(...page.letters);
      after = page.next;
    }
    return letters;
  }
}

function pageOf(value: unknown): { letters: Letter[]; next: string | undefined } {
  if (typeof value !== 'object' || value === null) return { letters: [], next: undefined };
  const letters =
    'deadLetters' in value && Array.isArray(value.deadLetters) ? value.deadLetters : [];
  const next = 'next' in value && typeof value.next === 'string' ? value.next : undefined;
  return { letters: letters.filter(isLetter), next };
}

function isLetter(value: unknown): value is Letter {
  return typeof value === 'object' && value !== null && 'id' in value && 'deadAtMs' in value;
}

function purgedOf(value: unknown): number | undefined {
  const isCount = typeof value === 'object' && value !== null && 'purged' in value;
  return isCount ? Number(value.purged) : undefined;
}

function lineOf({ id, reason, clientId, topic, attempts, deadAtMs }: Letter): string[] {
  return [id, reason, clientId, topic, String(attempts), new Date(deadAtMs).toISOString()];
}

function write(text: string): void {
  process.stdout.write(`${visible(text)}\n`);
}
