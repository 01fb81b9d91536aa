// The client's half of SCRAM-SHA-256 and SCRAM-SHA-512 (RFC 5802, RFC 7677) with node:crypto only,
// written apart from the broker's half so that one cannot share a mistake of the other. No channel
// binding.
import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';

/** `,` and `=` are the two characters that a name must escape. */
const escaped = (name: string): string => name.replaceAll('=', '=3D').replaceAll(',', '=2C');

export interface ScramFinal {
  /** To send. */
  readonly message: string;
  /** The answer that the server has to give, `v=…`. */
  readonly verifier: string;
}

export class ScramClient {
  readonly nonce: string;
  readonly #bare: string;
  readonly #password: string;
  readonly #hash: 'sha256' | 'sha512';

  constructor(
    username: string,
    password: string,
    nonce?: string,
    hash: 'sha256' | 'sha512' = 'sha256',
  ) {
    this.nonce = nonce ?? randomBytes(18).toString('base64');
    this.#bare = `n=${escaped(username)},r=${this.nonce}`;
    this.#password = password;
    this.#hash = hash;
  }

  get first(): string {
    return `n,,${this.#bare}`;
  }

  /** `serverFirst` is `r=<nonce>,s=<salt>,i=<iterations>`; throws where it breaks the RFC. */
  final(serverFirst: string): ScramFinal {
    const match = /^r=([!-+\--~]+),s=([A-Za-z0-9+/]+=*),i=([1-9][0-9]*)$/.exec(serverFirst);
    const [, nonce, salt, iterations] = match ?? [];
    if (nonce === undefined || salt === undefined || iterations === undefined) {
      throw new Error(`not a server-first-message: ${serverFirst}`);
    }
    if (!nonce.startsWith(this.nonce) || nonce === this.nonce) throw new Error(`nonce ${nonce}`);
    if (Number(iterations) < 4096) throw new Error(`${iterations} iterations, 4096 is the least`);
    const hash = this.#hash;
    const hmac = (key: Uint8Array, text: string): Buffer =>
      createHmac(hash, key).update(text).digest();
    const bytes = hash === 'sha256' ? 32 : 64;
    const salted = pbkdf2Sync(
      this.#password,
      Buffer.from(salt, 'base64'),
      Number(iterations),
      bytes,
      hash,
    );
    const clientKey = hmac(salted, 'Client Key');
    const storedKey = createHash(hash).update(clientKey).digest();
    const withoutProof = `c=biws,r=${nonce}`;
    const transcript = `${this.#bare},${serverFirst},${withoutProof}`;
    const signature = hmac(storedKey, transcript);
    const proof = Buffer.from(clientKey.map((byte, index) => byte ^ (signature[index] ?? 0)));
    const verifier = hmac(hmac(salted, 'Server Key'), transcript).toString('base64');
    return {
      message: `${withoutProof},p=${proof.toString('base64')}`,
      verifier: `v=${verifier}`,
    };
  }
}
