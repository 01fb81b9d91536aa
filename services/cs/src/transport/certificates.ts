// The certificates of a TLS listener, read again when their files change. Hides the moment in which
// only one of them is new: files that cannot be read or do not fit together are reported, those
// before stay, and they are tried again. Connections that are up keep what they have.

import type { SecureContextOptions } from 'node:tls';
import { readTlsFiles, type TlsFiles, tlsPaths, type TlsTerms } from '@lmqtt/common/tls-files';
import { type Reading, WatchedFiles, type WatchOptions } from '@lmqtt/common/watched-files';
import type { TransportEvent } from './transport.ts';

export type ClientCertificates = 'none' | 'optional' | 'required';

export class Certificates {
  readonly #files: TlsFiles;
  readonly #terms: TlsTerms;
  readonly #report: (event: TransportEvent) => void;
  readonly #apply: (context: SecureContextOptions) => void;
  #watched: WatchedFiles | undefined = undefined;

  /**
   * Resolves with the first ones, for the making of a server; later ones go to `apply`. Rejects
   * where the files cannot be read or do not fit together.
   */
  static async open(
    files: TlsFiles,
    terms: TlsTerms,
    apply: (context: SecureContextOptions) => void,
    report: (event: TransportEvent) => void,
    watching: WatchOptions = {},
  ): Promise<{ certificates: Certificates; first: SecureContextOptions }> {
    const certificates = new Certificates(files, terms, apply, report);
    certificates.#watched = await WatchedFiles.open(
      tlsPaths(files),
      {
        read: () => certificates.#reload(),
        failed: (reason) => report({ kind: 'certificates-refused', reason }),
      },
      watching,
    );
    try {
      return { certificates, first: await readTlsFiles(files, terms) };
    } catch (error) {
      certificates.close();
      throw error;
    }
  }

  private constructor(
    files: TlsFiles,
    terms: TlsTerms,
    apply: (context: SecureContextOptions) => void,
    report: (event: TransportEvent) => void,
  ) {
    this.#files = files;
    this.#terms = terms;
    this.#apply = apply;
    this.#report = report;
  }

  close(): void {
    this.#watched?.close();
  }

  async #reload(): Promise<Reading> {
    this.#apply(await readTlsFiles(this.#files, this.#terms));
    this.#report({ kind: 'certificates-read' });
    return 'read';
  }
}
