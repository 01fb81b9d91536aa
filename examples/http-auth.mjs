// An HTTP service for AUTH_HTTP_URL that says who clients are and what they may do. Its users are
// in a JSON file, which it reads for each question:
//
//   {"edge": {"password": "secret", "all": ["site/%u/#"]}, "root": {"password": "…", "superuser": true}}
//
//   HTTP_AUTH_TOKEN=shared HTTP_AUTH_PORT=8080 node examples/http-auth.mjs users.json
//   AUTH_HTTP_TOKEN=shared npm start -- --auth-http-url http://127.0.0.1:8080/mqtt/auth
//
// Passwords of a service of your own are hashed, of course.
import { createHash, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';

const [usersFile = 'users.json'] = process.argv.slice(2);
const { HTTP_AUTH_TOKEN: token, HTTP_AUTH_PORT: port = '8080' } = process.env;
const questionBytesMax = 256 * 1024;

const digest = (text) => createHash('sha256').update(text).digest();
const isSame = (one, other) => timingSafeEqual(digest(one), digest(other));

/** Answer to a question of docs/identities.md. */
function answerTo({ username, password }) {
  const users = JSON.parse(readFileSync(usersFile, 'utf8'));
  // Nobody that this service knows: the broker asks its next source.
  if (!Object.hasOwn(users, username)) return { result: 'ignore' };
  const { password: right, superuser = false, ...acl } = users[username];
  if (!isSame(String(password ?? ''), right)) return { result: 'deny' };
  return superuser ? { result: 'allow', is_superuser: true } : { result: 'allow', acl };
}

async function bodyOf(request) {
  const parts = [];
  let bytes = 0;
  for await (const part of request) {
    bytes += part.length;
    if (bytes > questionBytesMax) throw new Error('too long');
    parts.push(part);
  }
  return JSON.parse(Buffer.concat(parts).toString());
}

const server = createServer({ noDelay: true }, async (request, response) => {
  // Whoever else reaches this port learns nothing.
  const bearer = request.headers.authorization ?? '';
  if (token !== undefined && !isSame(bearer, `Bearer ${token}`)) {
    response.writeHead(404).end();
    return;
  }
  try {
    const answer = JSON.stringify(answerTo(await bodyOf(request)));
    response.writeHead(200, { 'content-type': 'application/json' }).end(answer);
  } catch {
    response.writeHead(500).end();
  }
});
server.listen(Number(port), '127.0.0.1', () => {
  process.stdout.write(`listening on http://127.0.0.1:${server.address().port}/mqtt/auth\n`);
});
