// TLS credentials of a cs for its next stream to ds: the certificate that it shows, and the
// authorities that it trusts. Hides files in the midst of a renewal: where they do not belong
// together, those before stay in use.
import { type ChannelCredentials, credentials } from '@grpc/grpc-js';
import { readTlsFilesNow } from '@lmqtt/common/tls-files';

/** Files of PEM; with one of them the stream is TLS, with key and certificate mutual. */
export interface StreamTls {
  readonly certificate: string | null;
  readonly key: string | null;
  readonly authorities: string | null;
}

const lastGood = new WeakMap<StreamTls, ChannelCredentials>();

/** Throws where the files have never been right. */
export function credentialsOf(files: StreamTls): ChannelCredentials {
  const { certificate, authorities } = files;
  if (certificate === null && authorities === null) return credentials.createInsecure();
  const before = lastGood.get(files);
  try {
    const { ca, key, cert } = readTlsFilesNow(files);
    const bytes = (pem: typeof ca): Buffer | null => (pem instanceof Buffer ? pem : null);
    const current = credentials.createSsl(
      bytes(ca),
      key instanceof Buffer ? key : null,
      bytes(cert),
    );
    lastGood.set(files, current);
    return current;
  } catch (error) {
    if (before === undefined) throw error;
    return before;
  }
}
