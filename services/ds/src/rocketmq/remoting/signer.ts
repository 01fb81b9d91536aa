import { createHmac } from 'node:crypto';

import type { Credentials } from './connection-options.ts';

/**
 * Signs requests with an access key: the values of all fields, in the order of the fields' names
 * with `AccessKey` among them, then the body; HMAC-SHA1, base64. Upper case sorts first, so the
 * access key leads wherever the other names are lower case or begin with a later letter.
 */
export class Signer {
  readonly accessKey: string;
  readonly #secretKey: string;

  constructor(credentials: Credentials) {
    this.accessKey = credentials.accessKey;
    this.#secretKey = credentials.secretKey;
  }

  /** Signature of values in the order of their names, the access key included. */
  signature(values: string, body: Buffer | undefined): string {
    const hmac = createHmac('sha1', this.#secretKey).update(values, 'utf8');
    if (body !== undefined) hmac.update(body);
    return hmac.digest('base64');
  }
}
