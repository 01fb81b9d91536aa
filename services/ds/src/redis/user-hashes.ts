// Hashes of users in a Redis of any form, for reading alone.
import { openClient, type RedisOptions } from '@lmqtt/redis/client';

interface UserHashes {
  /** Rejects where there is no answer in time. */
  readonly read: (user: string) => Promise<Record<string, string>>;
  readonly close: () => void;
}

/** Connects in the background, again and again. Throws where the address has no valid form. */
export function openUserHashes(
  options: RedisOptions & { readonly prefix: string; readonly timeoutMs: number },
): UserHashes {
  const { prefix, timeoutMs } = options;
  const { client } = openClient({ ...options, name: 'lmqtt-users' });
  // Each read says for itself what is wrong.
  client.on('error', () => undefined);
  return {
    read: (user) => inTime(client.hgetall(`${prefix}${user}`), timeoutMs),
    close: () => client.disconnect(),
  };
}

function inTime<T>(answer: Promise<T>, timeoutMs: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = new Error(`no answer in ${timeoutMs} ms`);
    const timer = setTimeout(() => reject(late), timeoutMs);
    answer.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
