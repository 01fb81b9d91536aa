// Users and rules of a broker with ACL 2.0 (RocketMQ 5.3 and later), through its own requests,
// signed by its first user.
import { createHmac } from 'node:crypto';
import { remotingRequest } from './remoting-request.ts';

const createUserCode = 3001;
const createAclCode = 3006;
const deleteAclCode = 3008;
const auth = 'org.apache.rocketmq.auth';
const first = { accessKey: 'administrator', secretKey: 'known to both' };

/** Lines of broker.conf. */
export const aclConf: Readonly<Record<string, string | boolean>> = {
  authenticationEnabled: true,
  authenticationProvider: `${auth}.authentication.provider.DefaultAuthenticationProvider`,
  authenticationMetadataProvider: `${auth}.authentication.provider.LocalAuthenticationMetadataProvider`,
  initAuthenticationUser: JSON.stringify({
    username: first.accessKey,
    password: first.secretKey,
  }),
  innerClientAuthenticationCredentials: JSON.stringify(first),
  authorizationEnabled: true,
  authorizationProvider: `${auth}.authorization.provider.DefaultAuthorizationProvider`,
  authorizationMetadataProvider: `${auth}.authorization.provider.LocalAuthorizationMetadataProvider`,
};

export interface AclRule {
  /** `Topic:lmqtt*`. */
  readonly resource: string;
  readonly actions: readonly string[];
}

async function ask(
  port: number,
  code: number,
  fields: Readonly<Record<string, string>>,
  body: object,
): Promise<void> {
  const all: Record<string, string> = { ...fields, AccessKey: first.accessKey };
  const values = Object.keys(all)
    .toSorted()
    .map((name) => all[name])
    .join('');
  const text = JSON.stringify(body);
  const hmac = createHmac('sha1', first.secretKey).update(values).update(text);
  const signed = { ...all, Signature: hmac.digest('base64') };
  const answer = await remotingRequest(port, code, signed, text);
  if (answer.code !== 0) throw new Error(`request ${code}: ${answer.code} ${answer.remark}`);
}

export function createUser(port: number, username: string, password: string): Promise<void> {
  const user = { username, password, userType: 'Normal', userStatus: 'enable' };
  return ask(port, createUserCode, { username }, user);
}

/** All rules of the user, instead of those before. */
export class UserRules {
  readonly #port: number;
  readonly #subject: string;
  #isThere = false;

  constructor(port: number, username: string) {
    this.#port = port;
    this.#subject = `User:${username}`;
  }

  async set(rules: readonly AclRule[]): Promise<void> {
    const entries = rules.map((rule) => ({ ...rule, sourceIps: [], decision: 'Allow' }));
    const policies = [{ policyType: 'Custom', entries }];
    const subject = this.#subject;
    // An update would leave the rules that are not named.
    if (this.#isThere)
      await ask(this.#port, deleteAclCode, { subject, policyType: '', resource: '' }, {});
    this.#isThere = true;
    await ask(this.#port, createAclCode, { subject }, { subject, policies });
  }
}
