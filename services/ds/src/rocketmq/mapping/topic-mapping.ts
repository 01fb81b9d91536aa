// Which RocketMQ topic an MQTT topic is stored under.
import { SettingsError } from '@lmqtt/common/settings/parse';
import { isValidTopicFilter, matches, parseSharedFilter } from '@lmqtt/common/topic';
import { isTopicForMessages } from './rocketmq-topic.ts';

export interface TopicMappingSettings {
  /** For all that nothing else takes. */
  readonly defaultTopic: string;
  /**
   * `{filter} = {RocketMQ topic}[:{tag}[:{keys}]]`, separated by commas; the first that matches
   * decides. In topic, tag and keys `{2}` is the second level of the MQTT topic, in tag and keys
   * `{topic}` all of it. A rule that makes no legal name of an MQTT topic does not match it.
   */
  readonly topicRules: string;
  /** First levels for which a topic is created, separated by commas; `*` stands for any text. */
  readonly topicCreate: string;
}

interface MappedTopic {
  readonly topic: string;
  /** True for a topic that is not there, and may be created. */
  readonly create: boolean;
  /** Tag of the messages, by a rule; undefined: the one of all that is published over MQTT. */
  readonly tag?: string | undefined;
  /** By which back ends find the messages; undefined: none. */
  readonly keys?: string | undefined;
}

/** The answer of a rule for an MQTT topic, whether or not RocketMQ has that topic. */
interface Ruled {
  readonly topic: string;
  /** The name is made of levels of the MQTT topic, so that clients choose it. */
  readonly isMade: boolean;
  readonly tag: string | undefined;
  readonly keys: string | undefined;
}

interface Rule {
  readonly filter: string;
  /** May have levels of the MQTT topic in it. */
  readonly topic: string;
  /** Templates; '': none. */
  readonly tag: string;
  readonly keys: string;
}

const slash = '/';
const placeholder = /\{(topic|[1-9]\d?)\}/g;
const levelPlaceholder = /\{[1-9]\d?\}/g;

/**
 * By rule; else the first level, where a topic of that name is there or may be created; else the default. The result is
 * recorded with the topic by the caller: what is there changes, where a topic's messages are does not.
 */
export class TopicMapping {
  readonly #rules: readonly Rule[];
  readonly #creatable: readonly RegExp[];
  readonly #default: string;
  readonly #isThere: (topic: string) => boolean;
  readonly #isTaken: (topic: string) => boolean;

  /**
   * `isThere`: the cluster has a topic of that name. `isTaken`: it is for something else (names of clusters and brokers,
   * which are topics too, retry topics, the cluster's own). Throws SettingsError.
   */
  constructor(
    settings: TopicMappingSettings,
    isThere: (topic: string) => boolean,
    isTaken: (topic: string) => boolean = () => false,
  ) {
    if (!isTopicForMessages(settings.defaultTopic)) {
      throw new SettingsError(
        `DEFAULT_TOPIC must be the name of a RocketMQ topic: ${settings.defaultTopic}`,
      );
    }
    this.#default = settings.defaultTopic;
    this.#rules = rulesOf(settings.topicRules);
    this.#creatable = listOf(settings.topicCreate).map(patternOf);
    this.#isThere = isThere;
    this.#isTaken = isTaken;
  }

  /** For an MQTT topic name; to be cached. */
  of(topic: string): MappedTopic {
    const ruled = this.ruled(topic);
    if (ruled !== undefined) {
      const { tag, keys } = ruled;
      const allowed = ruled.isMade ? this.#allowed(ruled.topic) : this.#named(ruled.topic);
      const named = allowed ?? this.#named(this.#default);
      return tag === undefined && keys === undefined ? named : { ...named, tag, keys };
    }
    const first = firstLevel(topic);
    const allowed =
      isTopicForMessages(first) && !this.#isTaken(first) ? this.#allowed(first) : undefined;
    return allowed ?? this.#named(this.#default);
  }

  /** By the first rule that matches; undefined: there is none. */
  ruled(topic: string): Ruled | undefined {
    for (const rule of this.#rules) {
      if (!matches(rule.filter, topic)) continue;
      const isMade = rule.topic.includes('{');
      const name = filled(rule.topic, topic) ?? '';
      if (isMade && (!isTopicForMessages(name) || this.#isTaken(name))) continue;
      const [tag, keys] = [filled(rule.tag, topic), filled(rule.keys, topic)];
      return { topic: name, isMade, tag, keys };
    }
    return undefined;
  }

  /** undefined: there is no topic of that name, and it may not be created. */
  #allowed(name: string): MappedTopic | undefined {
    if (this.#isThere(name)) return { topic: name, create: false };
    const mayCreate = this.#creatable.some((pattern) => pattern.test(name));
    return mayCreate ? { topic: name, create: true } : undefined;
  }

  #named(topic: string): MappedTopic {
    return { topic, create: !this.#isThere(topic) };
  }
}

/** Up to the first "/", one leading "/" dropped, as the Java nodes have it. */
export function firstLevel(topic: string): string {
  const start = topic.startsWith(slash) ? 1 : 0;
  const end = topic.indexOf(slash, start);
  return end === -1 ? topic.slice(start) : topic.slice(start, end);
}

/** RocketMQ topics in which rules give messages tags of their own. Throws SettingsError. */
export function hasTagsByRule(topicRules: string): (rocketTopic: string) => boolean {
  const patterns = rulesOf(topicRules).flatMap(({ topic, tag }) =>
    tag === '' ? [] : [patternOf(topic.replaceAll(levelPlaceholder, '*'))],
  );
  return (rocketTopic) => patterns.some((pattern) => pattern.test(rocketTopic));
}

/** A template with the levels of an MQTT topic; undefined: nothing is left. */
function filled(template: string, topic: string): string | undefined {
  if (template === '') return undefined;
  const levels = topic.split('/');
  const text = template.replaceAll(placeholder, (_, name: string) =>
    name === 'topic' ? topic : (levels[Number(name) - 1] ?? ''),
  );
  return text === '' ? undefined : text;
}

/** Parses TOPIC_RULES. Throws SettingsError. */
export function rulesOf(text: string): Rule[] {
  return listOf(text).map(ruleOf);
}

function listOf(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

function ruleOf(text: string): Rule {
  const at = text.lastIndexOf('=');
  const filter = text.slice(0, Math.max(at, 0)).trim();
  const parts = text.slice(at + 1).split(':');
  const [topic = '', tag = '', keys = '', ...rest] = parts.map((part) => part.trim());
  if (!isValidTopicFilter(filter) || parseSharedFilter(filter) !== undefined) {
    throw new SettingsError(`TOPIC_RULES must be like "sensors/# = iot_sensors": ${text}`);
  }
  if (!isTopicForMessages(topic.replaceAll(levelPlaceholder, 'x'))) {
    throw new SettingsError(`TOPIC_RULES must name a RocketMQ topic after "=": ${text}`);
  }
  if (rest.length > 0 || /[{}|]/.test(`${tag}${keys}`.replaceAll(placeholder, '')))
    throw new SettingsError(
      `TOPIC_RULES may have a tag and keys of {topic} and levels, "fleet/# = fleet:{2}:{3}": ${text}`,
    );
  return { filter, topic, tag, keys };
}

function patternOf(text: string): RegExp {
  if (!/^[%|A-Za-z0-9_*-]+$/.test(text)) {
    throw new SettingsError(`TOPIC_CREATE must be names of RocketMQ topics, with "*": ${text}`);
  }
  return new RegExp(`^${text.replaceAll('|', '\\|').replace(/\*+/g, '.*')}$`);
}
