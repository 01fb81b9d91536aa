// The REST interface of a broker under test. Each answer is checked against the broker's own
// description of the route.
import assert from 'node:assert/strict';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';

interface Schemas {
  readonly content?: Readonly<Record<string, { readonly schema?: object }>>;
}

interface Route {
  readonly responses: Readonly<Record<string, Schemas>>;
}

interface Description {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Route>>>>;
}

export interface RestAnswer<T> {
  readonly status: number;
  readonly body: T;
}

export class Rest {
  readonly #base: string;
  readonly #ajv = new Ajv2020({ strict: false });
  readonly #checks = new Map<object, ValidateFunction>();
  #described: Promise<Description> | undefined = undefined;

  constructor(opsPort: number) {
    this.#base = `http://127.0.0.1:${opsPort}`;
  }

  /** `path` is behind `/api/v1`. */
  async ask<T>(method: string, path: string, body?: object): Promise<RestAnswer<T>> {
    const answer = await fetch(`${this.#base}/api/v1${path}`, {
      method,
      ...(body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
    const text = await answer.text();
    const value: unknown = text === '' ? undefined : JSON.parse(text);
    const type = answer.headers.get('content-type')?.split(';')[0] ?? '';
    await this.#check(method, path.split('?')[0]!, answer.status, type, value);
    return { status: answer.status, body: value as T };
  }

  async get<T>(path: string): Promise<T> {
    const { status, body } = await this.ask<T>('GET', path);
    assert.equal(status, 200, `${path}: ${JSON.stringify(body)}`);
    return body;
  }

  async #check(
    method: string,
    path: string,
    status: number,
    type: string,
    value: unknown,
  ): Promise<void> {
    this.#described ??= fetch(`${this.#base}/api/v1/openapi.json`).then(
      (answer) => answer.json() as Promise<Description>,
    );
    const { paths } = await this.#described;
    const parts = `/api/v1${path}`.split('/');
    const fits = (template: string): boolean => {
      const named = template.split('/');
      return (
        named.length === parts.length &&
        named.every((part, at) => part.startsWith('{') || part === parts[at])
      );
    };
    const candidates = Object.keys(paths).filter(fits).toSorted();
    const template = candidates.find((one) => !one.includes('{')) ?? candidates[0];
    const route = template === undefined ? undefined : paths[template]?.[method.toLowerCase()];
    assert.ok(route, `${method} ${path} is not described`);
    const described = route.responses[String(status)] ?? route.responses['default'];
    const schema = described?.content?.[type]?.schema;
    if (value === undefined) return;
    assert.ok(schema, `${method} ${path}: an answer ${status} of ${type} is not described`);
    let check = this.#checks.get(schema);
    if (check === undefined) {
      check = this.#ajv.compile(schema);
      this.#checks.set(schema, check);
    }
    assert.ok(check(value), `${method} ${path}: ${this.#ajv.errorsText(check.errors)}`);
  }
}
