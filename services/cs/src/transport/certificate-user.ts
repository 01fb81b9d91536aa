// The user name that a client certificate gives, by the settings CERT_USER and CERT_USER_PATTERN.

import type { X509Certificate } from 'node:crypto';

/** The part of the certificate that has the name. */
type CertificateUser = 'none' | 'cn' | 'dn' | 'san-dns' | 'san-email' | 'san-uri';

export interface CertificateUserRule {
  readonly part: CertificateUser;
  /** Text with one `%u` for the user name, as in `%u.devices.example`; null: the whole part. */
  readonly pattern: string | null;
}

const alternatives = { 'san-dns': 'DNS:', 'san-email': 'email:', 'san-uri': 'URI:' } as const;
const nameBytesMax = 65_535;

/** Undefined: none, or more than one, so that nobody knows which is meant. */
export function certificateUserOf(
  certificate: X509Certificate,
  { part, pattern }: CertificateUserRule,
): string | undefined {
  const names = namesIn(certificate, part).flatMap((name) => fitting(name, pattern) ?? []);
  const [user] = names;
  if (user === undefined || names.length > 1 || user === '' || user.includes('\0'))
    return undefined;
  return Buffer.byteLength(user) > nameBytesMax ? undefined : user;
}

function namesIn(certificate: X509Certificate, part: CertificateUser): readonly string[] {
  switch (part) {
    case 'none':
      return [];
    case 'dn':
      return [subjectOf(certificate)];
    case 'cn': {
      const cn: unknown = certificate.toLegacyObject().subject?.CN;
      return typeof cn === 'string' ? [cn] : [];
    }
    default: {
      const kind = alternatives[part];
      // A name with a special character is quoted, and is no user name.
      const listed = (certificate.subjectAltName ?? '').split(', ');
      return listed.filter((one) => one.startsWith(kind)).map((one) => one.slice(kind.length));
    }
  }
}

function fitting(name: string, pattern: string | null): string | undefined {
  if (pattern === null) return name;
  const [before = '', behind = ''] = pattern.split('%u');
  const fits =
    name.length > before.length + behind.length && name.startsWith(before) && name.endsWith(behind);
  return fits ? name.slice(before.length, name.length - behind.length) : undefined;
}

/**
 * The names of the subject, the most general first (`C=DE,O=Site,CN=pump-1`). One name a line, its
 * special characters escaped (RFC 2253), so a comma is no part of a name.
 */
export function subjectOf(certificate: X509Certificate): string {
  return certificate.subject.split('\n').join(',');
}
