import { clusterPrefix, registryPrefix } from '@lmqtt/redis/registry-keys';

/**
 * Names of the keys. All begin with the cluster's own prefix, so that several clusters share one
 * Redis. What a script touches together has one hash tag: a session by its client identifier,
 * folded into a fixed number of tags; the registry; the retained messages.
 */
export class RedisKeys {
  readonly #prefix: string;
  readonly #registry: string;

  /** A cluster id has letters, digits, `.`, `_` and `-`; anything else throws. */
  constructor(clusterId: string) {
    this.#prefix = clusterPrefix(clusterId);
    this.#registry = registryPrefix(clusterId);
  }

  session(clientId: string, name: string): string {
    return this.slot(sessionTag(clientId), name);
  }

  /** A key of one of the `sessionTags` tags, not of one client. */
  slot(tag: number, name: string): string {
    return `${this.#prefix}{s${tag.toString(16)}}:${name}`;
  }

  registry(name: string): string {
    return `${this.#registry}${name}`;
  }

  retained(name: string): string {
    return `${this.#prefix}{ret}:${name}`;
  }

  /** Messages that wait for their time. */
  delayed(name: string): string {
    return `${this.#prefix}{delayed}:${name}`;
  }

  /** Bans of clients, users and addresses. */
  banned(name: string): string {
    return `${this.#prefix}{banned}:${name}`;
  }
}

export const sessionTags = 4096;

/** FNV-1a over code units: the same in every version, as it is in the names of what is stored. */
export function sessionTag(clientId: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < clientId.length; index += 1) {
    hash = Math.imul(hash ^ clientId.charCodeAt(index), 0x01000193);
  }
  return ((hash >>> 12) ^ hash) & (sessionTags - 1);
}
