// The PEM files of one end of a TLS connection, read and tried as a whole. Hides what OpenSSL takes
// without a word: a certificate and a key of different kinds, which no handshake survives.
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createSecureContext, type SecureContextOptions } from 'node:tls';

/** Paths; null or absent where there is none. */
export interface TlsFiles {
  /** The chain, the own certificate first. */
  readonly certificate: string | null;
  readonly key: string | null;
  /** The password of the key, where its file is encrypted. */
  readonly keyPassword?: string | null | undefined;
  /** Authorities that may have signed the certificate of the other end. */
  readonly authorities?: string | null | undefined;
  /**
   * Certificates that these authorities have revoked: a list (CRL) of each authority in a chain.
   */
  readonly revoked?: string | null | undefined;
}

/** TLS versions and cipher suites that a server accepts. */
export interface TlsTerms {
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3';
  /** Cipher suites in the form of OpenSSL: names with colons between. */
  readonly ciphers: string;
}

interface TlsTexts {
  readonly certificate: Buffer | undefined;
  readonly key: Buffer | undefined;
  readonly authorities: Buffer | undefined;
  readonly revoked: Buffer | undefined;
}

const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);

/** The revocation lists of a file, one by one, because OpenSSL takes one list a text. */
function revocationLists(text: Buffer): string[] {
  const found = text
    .toString('latin1')
    .match(/-----BEGIN X509 CRL-----[^]*?-----END X509 CRL-----/g);
  return found ?? [];
}

function contextOf(files: TlsFiles, texts: TlsTexts, terms?: TlsTerms): SecureContextOptions {
  const { certificate, key, authorities, revoked } = texts;
  const names = [files.certificate, files.key].filter((name) => name !== null).join(', ');
  const passphrase = files.keyPassword ?? undefined;
  const lists = revoked === undefined ? [] : revocationLists(revoked);
  if (revoked !== undefined && lists.length === 0) {
    throw new Error(`${files.revoked}: there is no revocation list (X509 CRL) in it`);
  }
  const context: SecureContextOptions = {
    ...(certificate === undefined ? {} : { cert: certificate }),
    ...(key === undefined ? {} : { key }),
    ...(passphrase === undefined ? {} : { passphrase }),
    ...(authorities === undefined ? {} : { ca: authorities }),
    ...(lists.length === 0 ? {} : { crl: lists }),
    ...terms,
  };
  try {
    createSecureContext({ ...terms });
  } catch (error) {
    throw new Error(`TLS_CIPHERS ${terms?.ciphers}: ${messageOf(error)}`, { cause: error });
  }
  try {
    createSecureContext(context);
    if (certificate !== undefined && key !== undefined) {
      const isPair = new X509Certificate(certificate).checkPrivateKey(
        createPrivateKey({ key, passphrase }),
      );
      if (!isPair) throw new Error('the key is not that of the certificate');
    }
  } catch (error) {
    throw new Error(`${names}: ${messageOf(error)}`, { cause: error });
  }
  return context;
}

/** Rejects, with the files in its message, where they cannot be read or do not belong together. */
export async function readTlsFiles(
  files: TlsFiles,
  terms?: TlsTerms,
): Promise<SecureContextOptions> {
  const read = async (path: string | null | undefined): Promise<Buffer | undefined> =>
    path === null || path === undefined ? undefined : readFile(path);
  const texts = {
    certificate: await read(files.certificate),
    key: await read(files.key),
    authorities: await read(files.authorities),
    revoked: await read(files.revoked),
  };
  return contextOf(files, texts, terms);
}

/** Reads the files synchronously, for clients that are about to connect. */
export function readTlsFilesNow(files: TlsFiles): SecureContextOptions {
  const read = (path: string | null | undefined): Buffer | undefined =>
    path === null || path === undefined ? undefined : readFileSync(path);
  return contextOf(files, {
    certificate: read(files.certificate),
    key: read(files.key),
    authorities: read(files.authorities),
    revoked: read(files.revoked),
  });
}

/** Default cipher suites, all of them with forward secrecy. */
const defaultCiphers = [
  ...['TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256', 'TLS_AES_128_GCM_SHA256'],
  ...['ECDHE+AESGCM', 'ECDHE+CHACHA20'],
].join(':');

/** The settings TLS_MIN_VERSION and TLS_CIPHERS. */
export function tlsTermsOf(settings: {
  readonly tlsMinVersion: '1.2' | '1.3';
  readonly tlsCiphers: string | null;
}): TlsTerms {
  return {
    minVersion: `TLSv${settings.tlsMinVersion}`,
    ciphers: settings.tlsCiphers ?? defaultCiphers,
  };
}

/** Paths of the files that a listener watches. */
export function tlsPaths(files: TlsFiles): string[] {
  const { certificate, key, authorities, revoked } = files;
  return [certificate, key, authorities, revoked].filter(
    (path) => path !== null && path !== undefined,
  );
}
