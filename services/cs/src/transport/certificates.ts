// The certificates of a TLS listener, read again when their files change. Hides the moment in which only one of them is new:
// files that do not fit together are reported and those before stay, and the next change is tried again. Connections that
// are up keep what they have.

import type { SecureContextOptions } from 'node:tls';
import { readTlsFiles, type TlsFiles, tlsPaths, type TlsTerms } from '@lmqtt/common/tls-files';
import { WatchedFiles, type WatchOptions } from '@lmqtt/common/watched-files';
import type { TransportEvent } from './transport.ts';

export type ClientCertificates = 'none' | 'optional' | 'required';

export class Certificates {
  readonly #files: TlsFiles;
  readonly #terms: TlsTerms;
  readonly #report: (event: TransportEvent) => void;
  readonly #apply: (context: SecureContextOptions) => void;
  #watched: WatchedFiles | undefined = undefined;
  #reading = false;
  #changed = false;

  /**
   * Resolves with the first ones, for the making of a server; later ones go to `apply`. Rejects where the files cannot be
   * read or do not fit together.
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
      () => void certificates.#reload(),
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

  async #reload(): Promise<void> {
    this.#changed = true;
    if (this.#reading) return;
    this.#reading = true;
    while (this.#changed) {
      this.#changed = false;
      try {
        this.#apply(await readTlsFiles(this.#files, this.#terms));
        this.#report({ kind: 'certificates-read' });
      } catch (error) {
        this.#report({ kind: 'certificates-refused', reason: messageOf(error) });
      }
    }
    this.#reading = false;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
