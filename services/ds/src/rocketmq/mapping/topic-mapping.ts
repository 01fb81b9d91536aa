// Which RocketMQ topic an MQTT topic is stored under.
import { SettingsError } from '@lmqtt/common/settings/parse';
import { isValidTopicFilter, matches, parseSharedFilter } from '@lmqtt/common/topic';
import { isTopicForMessages } from './rocketmq-topic.ts';

export interface TopicMappingSettings {
  /** For all that nothing else takes. */
  readonly defaultTopic: string;
  /** `{filter} = {RocketMQ topic}`, separated by commas; the first that matches decides. */
  readonly topicRules: string;
  /** First levels for which a topic is created, separated by commas; `*` stands for any text. */
  readonly topicCreate: string;
}

interface MappedTopic {
  readonly topic: string;
  /** True for a topic that is not there, and may be created. */
  readonly create: boolean;
}

interface Rule {
  readonly filter: string;
  readonly topic: string;
}

const slash = '/';

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
    for (const rule of this.#rules) {
      if (matches(rule.filter, topic)) return this.#named(rule.topic);
    }
    const first = firstLevel(topic);
    if (isTopicForMessages(first) && !this.#isTaken(first)) {
      if (this.#isThere(first)) return { topic: first, create: false };
      if (this.#creatable.some((pattern) => pattern.test(first))) {
        return { topic: first, create: true };
      }
    }
    return this.#named(this.#default);
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
  const topic = text.slice(at + 1).trim();
  if (!isValidTopicFilter(filter) || parseSharedFilter(filter) !== undefined) {
    throw new SettingsError(`TOPIC_RULES must be like "sensors/# = iot_sensors": ${text}`);
  }
  if (!isTopicForMessages(topic)) {
    throw new SettingsError(`TOPIC_RULES must name a RocketMQ topic after "=": ${text}`);
  }
  return { filter, topic };
}

function patternOf(text: string): RegExp {
  if (!/^[%|A-Za-z0-9_*-]+$/.test(text)) {
    throw new SettingsError(`TOPIC_CREATE must be names of RocketMQ topics, with "*": ${text}`);
  }
  return new RegExp(`^${text.replaceAll('|', '\\|').replace(/\*+/g, '.*')}$`);
}
