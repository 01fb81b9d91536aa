// Tokens that a local key signs (RFC 7519, EdDSA), with nothing but Node.
//
//   node examples/jwt.mjs keys private.pem public.pem
//   npm start -- --jwt-key-file public.pem --jwt-claims exp
//   node examples/jwt.mjs token private.pem pump-1 3600
//
// The token is the password of CONNECT. It names its user, ends after so many seconds, and lets its
// user publish and read below his own name, and nothing else.
import { createPrivateKey, generateKeyPairSync, sign } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';

const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

function makeKeys(privateFile, publicFile) {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  writeFileSync(privateFile, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  writeFileSync(publicFile, publicKey.export({ type: 'spki', format: 'pem' }));
}

function makeToken(privateFile, user, seconds) {
  const nowS = Math.floor(Date.now() / 1000);
  const claims = { sub: user, iat: nowS, exp: nowS + seconds, acl: { all: ['devices/%u/#'] } };
  const signed = `${part({ alg: 'EdDSA', typ: 'JWT' })}.${part(claims)}`;
  const key = createPrivateKey(readFileSync(privateFile));
  return `${signed}.${sign(null, Buffer.from(signed), key).toString('base64url')}`;
}

const [command, first, second, seconds = '3600'] = process.argv.slice(2);
if (command === 'keys' && first && second) makeKeys(first, second);
else if (command === 'token' && first && second)
  process.stdout.write(`${makeToken(first, second, Number(seconds))}\n`);
else {
  process.stderr.write(
    'usage: jwt.mjs keys PRIVATE PUBLIC | jwt.mjs token PRIVATE USER [SECONDS]\n',
  );
  process.exitCode = 2;
}
