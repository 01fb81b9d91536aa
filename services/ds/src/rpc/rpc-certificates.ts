import { readFile } from 'node:fs/promises';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import type { Settings } from '@lmqtt/common/settings/row';
import { WatchedFiles } from '@lmqtt/common/watched-files';

export type CertificateSettings = Pick<Settings, 'rpcTlsCert' | 'rpcTlsKey' | 'rpcTlsCa'>;

/** What became of files that have changed. */
export interface CertificateTaker {
  read(context: SecureContextOptions): void;
  /** They do not fit together, or not yet: those before stay in force. */
  refused(error: unknown): void;
}

/** The certificates of the RPC port, read again when their files change. */
export class RpcCertificates {
  readonly #settings: CertificateSettings;
  #watched: WatchedFiles | undefined = undefined;

  constructor(settings: CertificateSettings) {
    this.#settings = settings;
  }

  get mutual(): boolean {
    return this.#settings.rpcTlsCa !== null;
  }

  /** Undefined: the port is without TLS. Rejects where they cannot be used. */
  async open(taker: CertificateTaker): Promise<SecureContextOptions | undefined> {
    const { rpcTlsCert, rpcTlsKey, rpcTlsCa } = this.#settings;
    const paths = [rpcTlsCert, rpcTlsKey, rpcTlsCa].filter((path) => path !== null);
    if (rpcTlsCert === null || rpcTlsKey === null) return undefined;
    const first = await this.#read(rpcTlsCert, rpcTlsKey);
    this.#watched = await WatchedFiles.open(paths, () => {
      this.#read(rpcTlsCert, rpcTlsKey).then(
        (context) => taker.read(context),
        (error: unknown) => taker.refused(error),
      );
    });
    return first;
  }

  close(): void {
    this.#watched?.close();
  }

  async #read(certificate: string, key: string): Promise<SecureContextOptions> {
    const authorities = this.#settings.rpcTlsCa;
    const context: SecureContextOptions = {
      cert: await readFile(certificate),
      key: await readFile(key),
      ...(authorities === null ? {} : { ca: await readFile(authorities) }),
      minVersion: 'TLSv1.2',
    };
    try {
      createSecureContext(context);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(`${certificate}, ${key}: ${reason}`, { cause: error });
    }
    return context;
  }
}
