// A certificate authority of the tests, made with openssl in a folder of its own.
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Pair {
  /** Paths of PEM files. */
  readonly cert: string;
  readonly key: string;
}

const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
const rsa = ['-newkey', 'rsa:2048', '-nodes'];

function openssl(...args: string[]): void {
  const { status, stderr } = spawnSync('openssl', args);
  if (status !== 0) throw new Error(`openssl ${args[0]}: ${String(stderr)}`);
}

export class Authority {
  readonly folder: string = mkdtempSync(join(tmpdir(), 'lmqtt-authority-'));
  readonly root: Pair;
  #serial = 1;

  constructor() {
    this.root = this.#pair();
    const { cert, key } = this.root;
    openssl(
      'req',
      '-x509',
      ...curve,
      '-days',
      '2',
      '-subj',
      '/CN=tests',
      '-keyout',
      key,
      '-out',
      cert,
    );
  }

  /** Trusted for 127.0.0.1, and as a client. */
  sign(name: string, kind: 'ec' | 'rsa' = 'ec'): Pair {
    const pair = this.#pair();
    const request = `${pair.cert}.csr`;
    const extensions = `${pair.cert}.ext`;
    const newKey = kind === 'ec' ? curve : rsa;
    openssl('req', ...newKey, '-subj', `/CN=${name}`, '-keyout', pair.key, '-out', request);
    writeFileSync(extensions, 'subjectAltName=IP:127.0.0.1\n');
    const { cert, key } = this.root;
    const signer = ['-CA', cert, '-CAkey', key, '-set_serial', String(this.#serial), '-days', '2'];
    openssl('x509', '-req', ...signer, '-in', request, '-out', pair.cert, '-extfile', extensions);
    return pair;
  }

  /** Files by which a client trusts the broker, and in `as` shows who it is. */
  trust(as?: Pair): { ca: Buffer; cert?: Buffer; key?: Buffer } {
    const ca = readFileSync(this.root.cert);
    return as === undefined
      ? { ca }
      : { ca, cert: readFileSync(as.cert), key: readFileSync(as.key) };
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  #pair(): Pair {
    this.#serial += 1;
    const stem = join(this.folder, String(this.#serial));
    return { cert: `${stem}.crt`, key: `${stem}.key` };
  }
}

/** As tools do it that renew certificates: beside the old one, then renamed into place. */
export function replaceFile(path: string, by: string): void {
  copyFileSync(by, `${path}.new`);
  renameSync(`${path}.new`, path);
}
