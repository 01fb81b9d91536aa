// The header of an answer: `{"code":0,"extFields":{"queueId":"0",…},"flag":1,"language":"JAVA",
// "opaque":7,"remark":"…","version":485}`, its keys in any order. Without a backslash in it no text
// value can hold a quote, so that a key with its quotes and its colon is found by a plain search;
// any other header is parsed as JSON.
import { isRecord } from './json.ts';

/** The peer sent what no RocketMQ sends. */
export class GarbageReceived extends Error {
  override readonly name = 'GarbageReceived';
}

const answerFlag = 1;
const quote = '"';

export class AnswerHeader {
  readonly #text: string;
  readonly #parsed: Readonly<Record<string, unknown>> | undefined;
  readonly #fields: Readonly<Record<string, unknown>>;
  readonly code: number;
  readonly opaque: number;
  /** False: the broker asks something of us. */
  readonly isAnswer: boolean;

  constructor(text: string) {
    this.#text = text;
    this.#parsed = text.includes('\\') ? parse(text) : undefined;
    const fields = this.#parsed?.['extFields'];
    this.#fields = isRecord(fields) ? fields : {};
    if (!text.startsWith('{') || !text.endsWith('}')) {
      throw new GarbageReceived('a header that is no JSON object');
    }
    this.code = this.#integer('code');
    this.opaque = this.#integer('opaque');
    this.isAnswer = (this.#integer('flag') & answerFlag) !== 0;
  }

  get remark(): string | undefined {
    if (this.#parsed === undefined) return this.#quoted('remark');
    const remark = this.#parsed['remark'];
    return typeof remark === 'string' ? remark : undefined;
  }

  /** Version of the program that answers, as RocketMQ numbers its releases; 0: it does not say. */
  get version(): number {
    const value = this.#parsed === undefined ? this.#scanned('version') : this.#parsed['version'];
    return typeof value === 'number' && Number.isSafeInteger(value) ? value : 0;
  }

  /** A field of this one request. */
  field(name: string): string | undefined {
    if (this.#parsed === undefined) return this.#quoted(name);
    const value = this.#fields[name];
    return typeof value === 'string' ? value : undefined;
  }

  /** A field that the request's answer always has. */
  numberField(name: string): number {
    const text = this.field(name);
    const number = text === undefined || text === '' ? Number.NaN : Number(text);
    if (!Number.isSafeInteger(number)) throw new GarbageReceived(`${name} is ${text}`);
    return number;
  }

  #quoted(name: string): string | undefined {
    const key = `"${name}":"`;
    const at = this.#text.indexOf(key);
    if (at === -1) return undefined;
    const from = at + key.length;
    return this.#text.slice(from, this.#text.indexOf(quote, from));
  }

  #integer(name: string): number {
    const value = this.#parsed === undefined ? this.#scanned(name) : this.#parsed[name];
    if (typeof value !== 'number' || !Number.isSafeInteger(value)) {
      throw new GarbageReceived(`a header without ${name}`);
    }
    return value;
  }

  #scanned(name: string): number | undefined {
    const key = `"${name}":`;
    const at = this.#text.indexOf(key);
    return at === -1 ? undefined : Number.parseInt(this.#text.slice(at + key.length), 10);
  }
}

function parse(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    if (isRecord(value)) return value;
  } catch {
    // Said below.
  }
  throw new GarbageReceived('a header that is no JSON object');
}
