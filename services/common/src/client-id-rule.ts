// The rule for client identifiers that a user may name, as an operator writes it: `%u` stands for
// the user name, `*` for any text, the empty one included. A user name is matched literally,
// whatever characters it holds.
import { randomUUID } from 'node:crypto';

const user = '%u';
const wildcard = '*';
const clientIdBytesMax = 65_535;

export class ClientIdRule {
  readonly #before: string;
  /** Text behind the wildcard; undefined: no wildcard, so that a user has one client identifier. */
  readonly #behind: string | undefined;

  private constructor(before: string, behind: string | undefined) {
    this.#before = before;
    this.#behind = behind;
  }

  /** undefined: the text is no rule. */
  static parse(text: string): ClientIdRule | undefined {
    const [before = '', behind, more] = text.split(wildcard);
    const percents = text.split('%').length;
    if (more !== undefined || !text.includes(user) || percents !== text.split(user).length)
      return undefined;
    return new ClientIdRule(before, behind);
  }

  allows(userName: string, clientId: string): boolean {
    const before = this.#before.replaceAll(user, () => userName);
    if (this.#behind === undefined) return clientId === before;
    const behind = this.#behind.replaceAll(user, () => userName);
    const isLongEnough = clientId.length >= before.length + behind.length;
    return isLongEnough && clientId.startsWith(before) && clientId.endsWith(behind);
  }

  /**
   * A new client identifier that this user may name again; undefined: the rule leaves no room for
   * one.
   */
  assigned(userName: string): string | undefined {
    if (this.#behind === undefined) return undefined;
    const text = `${this.#before}${randomUUID()}${this.#behind}`.replaceAll(user, () => userName);
    return Buffer.byteLength(text) > clientIdBytesMax ? undefined : text;
  }
}

/** The rule in the setting CLIENT_ID_RULE, whose text has been checked before. */
export function clientIdRuleOf(text: string | null): ClientIdRule | undefined {
  return text === null ? undefined : ClientIdRule.parse(text);
}
