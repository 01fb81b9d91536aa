// Certificates for tests, made with openssl in a folder of their own. Where openssl is absent such
// tests are skipped, except under CI.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Pair {
  readonly certificate: string;
  readonly key: string;
}

const found = spawnSync('openssl', ['version']).status === 0;
if (!found && process.env['CI'] === 'true')
  throw new Error('openssl not found (apt-get install openssl)');

/** For the options of a test. */
export const needsOpenssl: { skip: string | false } = {
  skip: found ? false : 'openssl not found; install openssl',
};

export class CertificateAuthority {
  readonly folder: string = mkdtempSync(join(tmpdir(), 'lmqtt-ca-'));
  readonly root: Pair;
  #serial = 1;

  constructor() {
    this.root = this.selfSigned('/CN=Test authority');
  }

  selfSigned(subject: string): Pair {
    const pair = this.#pair();
    this.#run('req', '-x509', ...this.#newKey(pair), '-out', pair.certificate, '-subj', subject);
    return pair;
  }

  /** For 127.0.0.1, and for clients as well. */
  signed(subject: string, kind: 'ec' | 'rsa' = 'ec'): Pair {
    const pair = this.#pair();
    const request = `${pair.certificate}.csr`;
    const extensions = `${pair.certificate}.ext`;
    this.#run('req', ...this.#newKey(pair, kind), '-out', request, '-subj', subject);
    writeFileSync(extensions, 'subjectAltName=IP:127.0.0.1\n');
    const { certificate, key } = this.root;
    const signer = ['-CA', certificate, '-CAkey', key, '-set_serial', String(this.#serial)];
    const files = ['-in', request, '-out', pair.certificate, '-extfile', extensions];
    this.#run('x509', '-req', ...signer, '-days', '2', ...files);
    return pair;
  }

  /** A list that names these; the path of it. */
  revoked(...pairs: readonly Pair[]): string {
    const stem = this.#pair().certificate;
    const config = `${stem}.conf`;
    const lines = ['[ca]', 'default_ca=it', '[it]', `database=${stem}.index`];
    writeFileSync(config, [...lines, 'default_md=sha256', 'default_crl_days=2', ''].join('\n'));
    writeFileSync(`${stem}.index`, '');
    const { certificate, key } = this.root;
    const by = ['-config', config, '-keyfile', key, '-cert', certificate];
    for (const pair of pairs) this.#run('ca', ...by, '-revoke', pair.certificate);
    this.#run('ca', ...by, '-gencrl', '-out', `${stem}.crl`);
    return `${stem}.crl`;
  }

  remove(): void {
    rmSync(this.folder, { recursive: true });
  }

  #pair(): Pair {
    this.#serial += 1;
    const name = join(this.folder, String(this.#serial));
    return { certificate: `${name}.crt`, key: `${name}.key` };
  }

  #newKey(pair: Pair, kind: 'ec' | 'rsa' = 'ec'): string[] {
    const ec = ['ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
    const algorithm = ['-newkey', ...(kind === 'ec' ? ec : ['rsa:2048']), '-nodes'];
    return [...algorithm, '-keyout', pair.key, '-utf8'];
  }

  #run(...args: string[]): void {
    const { status, stderr } = spawnSync('openssl', args);
    if (status !== 0) throw new Error(`openssl ${args[0]}: ${String(stderr)}`);
  }
}
