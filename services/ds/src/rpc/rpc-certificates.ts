import type { SecureContextOptions } from 'node:tls';
import type { Settings } from '@lmqtt/common/settings/row';
import { readTlsFiles, type TlsFiles, tlsPaths, tlsTermsOf } from '@lmqtt/common/tls-files';
import { WatchedFiles } from '@lmqtt/common/watched-files';

export type CertificateSettings = Pick<
  Settings,
  'rpcTlsCert' | 'rpcTlsKey' | 'rpcTlsCa' | 'rpcTlsCrl' | 'tlsMinVersion' | 'tlsCiphers'
>;

/** Receiver of certificate files that have changed. */
interface CertificateTaker {
  read(context: SecureContextOptions): void;
  /**
   * The files cannot be read or do not fit together, perhaps not yet: the certificates before stay
   * in force.
   */
  refused(reason: string): void;
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
    const { rpcTlsCert, rpcTlsKey, rpcTlsCa, rpcTlsCrl } = this.#settings;
    if (rpcTlsCert === null || rpcTlsKey === null) return undefined;
    const terms = tlsTermsOf(this.#settings);
    const files: TlsFiles = {
      certificate: rpcTlsCert,
      key: rpcTlsKey,
      authorities: rpcTlsCa,
      revoked: rpcTlsCrl,
    };
    this.#watched = await WatchedFiles.open(tlsPaths(files), {
      read: async () => {
        taker.read(await readTlsFiles(files, terms));
        return 'read';
      },
      failed: (reason) => taker.refused(reason),
    });
    try {
      return await readTlsFiles(files, terms);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  close(): void {
    this.#watched?.close();
  }
}
