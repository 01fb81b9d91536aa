// A module for AUTH_MODULE: the check of the Java project's sample, and a rule of one's own.
//
//   npm start -- --auth-module examples/auth-module.mjs --allow-anonymous false
//
// A device connects with the user name `device`, and with base64(HmacSHA1(client id, secret)) as its
// password:
//
//   printf %s pump-1 | openssl dgst -sha1 -hmac "$DEVICE_SECRET" -binary | base64
import { createHmac, timingSafeEqual } from 'node:crypto';

// oxlint-disable-next-line import/no-default-export -- it is what AUTH_MODULE loads
export default function authModule() {
  const secret = process.env.DEVICE_SECRET ?? 'secret';
  return {
    authenticate({ clientid, username, password }) {
      // Somebody else's: the sources behind this one decide.
      if (username !== 'device') return 'ignore';
      const expected = createHmac('sha1', secret).update(clientid).digest('base64');
      const given = password ?? Buffer.alloc(0);
      const isRight =
        given.length === expected.length && timingSafeEqual(given, Buffer.from(expected));
      if (!isRight) return 'deny';
      // It publishes and reads below its own identifier, and nothing else.
      return { result: 'allow', acl: { all: ['devices/%c/#'] } };
    },

    authorise({ action, topic }) {
      // Nobody publishes commands to himself.
      return !(action === 'publish' && topic.endsWith('/command'));
    },
  };
}
