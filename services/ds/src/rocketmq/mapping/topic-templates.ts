// TOPIC_TEMPLATES: the MQTT topic of messages of back ends that say none, made of their RocketMQ
// topic, tag, keys and properties.
import { SettingsError } from '@lmqtt/common/settings/parse';
import { rocket } from '../message/property-names.ts';
import { isTopicForMessages } from './rocketmq-topic.ts';

/** A property of the message by its name; undefined: it has none. */
type PropertyOf = (name: string) => string | undefined;

interface Template {
  /** undefined: messages with any tag, or without one. */
  readonly tag: string | undefined;
  /** Texts and, between two of them, a value. */
  readonly texts: readonly string[];
  /** Names of properties; undefined: the RocketMQ topic. */
  readonly values: readonly (string | undefined)[];
}

const form = 'like "orders:paid = shop/{prop.shop}/orders/{keys}"';
const propertyPrefix = 'prop.';

export class TopicTemplates {
  readonly #byTopic = new Map<string, Template[]>();

  /** `{topic}[:{tag}] = {template}`, separated by commas. Throws SettingsError. */
  constructor(text: string) {
    for (const rule of text.split(',')) if (rule.trim() !== '') this.#add(rule.trim());
  }

  get topics(): Iterable<string> {
    return this.#byTopic.keys();
  }

  has(rocketTopic: string): boolean {
    return this.#byTopic.has(rocketTopic);
  }

  /** By the first rule for topic and tag; undefined: there is none; '': a value is not there. */
  topicOf(rocketTopic: string, propertyOf: PropertyOf): string | undefined {
    const templates = this.#byTopic.get(rocketTopic);
    if (templates === undefined) return undefined;
    const tag = propertyOf(rocket.tags);
    const template = templates.find((each) => each.tag === undefined || each.tag === tag);
    if (template === undefined) return undefined;
    let topic = template.texts[0]!;
    for (const [index, name] of template.values.entries()) {
      const value = name === undefined ? rocketTopic : propertyOf(name);
      if (value === undefined || value === '') return '';
      topic += value + template.texts[index + 1]!;
    }
    return topic;
  }

  #add(rule: string): void {
    const at = rule.indexOf('=');
    const [topic = '', tag] = rule.slice(0, Math.max(at, 0)).trim().split(':');
    const template = rule.slice(at + 1).trim();
    if (!isTopicForMessages(topic) || tag === '' || template === '')
      throw new SettingsError(`TOPIC_TEMPLATES must be ${form}: ${rule}`);
    // Every other piece is what stands between braces.
    const pieces = template.split(/\{([^{}]*)\}/);
    const texts = pieces.filter((_, index) => index % 2 === 0);
    if (texts.some((text) => /[{}+#]/.test(text)))
      throw new SettingsError(`TOPIC_TEMPLATES must be ${form}, without wildcards: ${rule}`);
    const values = pieces.filter((_, index) => index % 2 === 1).map((name) => valueOf(name, rule));
    const templates = this.#byTopic.get(topic);
    if (templates === undefined) this.#byTopic.set(topic, [{ tag, texts, values }]);
    else templates.push({ tag, texts, values });
  }
}

function valueOf(name: string, rule: string): string | undefined {
  if (name === 'topic') return undefined;
  if (name === 'tag') return rocket.tags;
  if (name === 'keys') return rocket.keys;
  if (name.startsWith(propertyPrefix) && name.length > propertyPrefix.length)
    return name.slice(propertyPrefix.length);
  throw new SettingsError(
    `TOPIC_TEMPLATES knows {topic}, {tag}, {keys} and {prop.NAME}, not {${name}}: ${rule}`,
  );
}
