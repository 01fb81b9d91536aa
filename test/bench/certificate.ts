// A self-signed certificate for the runs over TLS, made with openssl when it is needed.
import { spawnSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { Certificate } from './running-broker.ts';

let made: Certificate | undefined;

/** Undefined where openssl is not installed. */
export function certificate(): Certificate | undefined {
  if (made !== undefined) return made;
  const dir = mkdtempSync(join(tmpdir(), 'lmqtt-bench-tls-'));
  const [cert, key] = [join(dir, 'cert.pem'), join(dir, 'key.pem')];
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const names = ['-days', '2', '-subj', '/CN=localhost', '-keyout', key, '-out', cert];
  const { status } = spawnSync('openssl', ['req', '-x509', ...curve, ...names]);
  if (status !== 0) return undefined;
  made = { cert, key };
  return made;
}
