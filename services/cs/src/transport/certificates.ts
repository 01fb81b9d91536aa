// The certificates of a TLS listener, read again when their files change. Hides the moment in which only one of them is new:
// files that do not fit together are reported and those before stay, and the next change is tried again. Connections that
// are up keep what they have.

import { readFile } from 'node:fs/promises';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import { WatchedFiles, type WatchOptions } from '@lmqtt/common/watched-files';
import type { TransportEvent } from './transport.ts';

export interface CertificateFiles {
  /** PEM: the chain, the server's own certificate first. */
  readonly certificate: string;
  readonly key: string;
  /** PEM: who may have signed the certificates of clients. */
  readonly authorities?: string | undefined;
}

export type ClientCertificates = 'none' | 'optional' | 'required';

export class Certificates {
  readonly #files: CertificateFiles;
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
    files: CertificateFiles,
    apply: (context: SecureContextOptions) => void,
    report: (event: TransportEvent) => void,
    watching: WatchOptions = {},
  ): Promise<{ certificates: Certificates; first: SecureContextOptions }> {
    const certificates = new Certificates(files, apply, report);
    const paths = [files.certificate, files.key, files.authorities].filter(
      (path) => path !== undefined,
    );
    certificates.#watched = await WatchedFiles.open(
      paths,
      () => void certificates.#reload(),
      watching,
    );
    try {
      return { certificates, first: await certificates.#read() };
    } catch (error) {
      certificates.close();
      throw error;
    }
  }

  private constructor(
    files: CertificateFiles,
    apply: (context: SecureContextOptions) => void,
    report: (event: TransportEvent) => void,
  ) {
    this.#files = files;
    this.#apply = apply;
    this.#report = report;
  }

  close(): void {
    this.#watched?.close();
  }

  async #read(): Promise<SecureContextOptions> {
    const { certificate, key, authorities } = this.#files;
    const context: SecureContextOptions = {
      cert: await readFile(certificate),
      key: await readFile(key),
      ...(authorities === undefined ? {} : { ca: await readFile(authorities) }),
      minVersion: 'TLSv1.2',
    };
    try {
      createSecureContext(context);
    } catch (error) {
      throw new Error(`${certificate}, ${key}: ${messageOf(error)}`, { cause: error });
    }
    return context;
  }

  async #reload(): Promise<void> {
    this.#changed = true;
    if (this.#reading) return;
    this.#reading = true;
    while (this.#changed) {
      this.#changed = false;
      try {
        this.#apply(await this.#read());
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
