// The namespace of a client: a prefix before its topic names, of which the client knows nothing. A
// template of the listener, such as `tenants/%u/`, makes it. In it `%u` is the verified user name,
// `%c` the client identifier, `%%` a percent sign.
//
// Topics of the broker itself stay as they are: `$SYS/…`. What is in front of a topic stays in front:
// `$share/{group}/{mount}{filter}`, `$replay/{from}/{mount}{filter}`, `$delayed/{s}/{mount}{topic}`.

import { isValidTopicFilter } from './topic.ts';

const placeholder = /%(.?)/gsu;
const systemPrefix = '$SYS/';
const topicBytesMax = 65_535;

/** Why the text is no template; undefined: it is one. */
export function mountProblem(template: string): string | undefined {
  for (const [, letter] of template.matchAll(placeholder))
    if (letter !== 'u' && letter !== 'c' && letter !== '%')
      return 'a % in it is followed by none of u, c and %';
  if (!template.endsWith('/')) return 'it does not end with /';
  if (template.startsWith('$') || template.startsWith('/')) return 'it begins with $ or /';
  if (/[+#\0]/.test(template) || !isValidTopicFilter(template)) return 'it is no topic name';
  return undefined;
}

/** The prefix of one client; undefined: its names make none. */
export function mountOf(
  template: string,
  { user, clientId }: { readonly user: string | undefined; readonly clientId: string },
): string | undefined {
  let missing = false;
  const mount = template.replace(placeholder, (_, letter: string) => {
    if (letter === '%') return '%';
    const value = letter === 'u' ? user : clientId;
    if (value === undefined || value === '' || /[+#/\0]/.test(value)) missing = true;
    return value ?? '';
  });
  return missing || mount.startsWith('$') ? undefined : mount;
}

/** The full name of a topic that a client names; undefined: it is too long, or the broker's own. */
export function mountedTopic(mount: string, topic: string): string | undefined {
  const before = lengthOf('$delayed/', topic);
  const own = before === 0 ? topic : topic.slice(before);
  if (own.startsWith(systemPrefix)) return topic;
  if (own.startsWith('$')) return undefined;
  return within(before === 0 ? mount + topic : topic.slice(0, before) + mount + own);
}

/** The full form of a filter that a client names; undefined: it is too long. */
export function mountedFilter(mount: string, filter: string): string | undefined {
  const replay = lengthOf('$replay/', filter);
  const before = replay + lengthOf('$share/', filter.slice(replay));
  const own = filter.slice(before);
  if (own === '$SYS' || own.startsWith(systemPrefix)) return filter;
  return within(filter.slice(0, before) + mount + own);
}

/** The name by which a client knows a topic; undefined: it is none of its topics. */
export function unmountedTopic(mount: string, topic: string): string | undefined {
  if (isOfMount(mount, topic))
    return topic.startsWith(systemPrefix) ? topic : topic.slice(mount.length);
  return undefined;
}

/** Whether a topic is in the namespace, or the broker's own. */
export function isOfMount(mount: string, topic: string): boolean {
  if (topic.startsWith(systemPrefix)) return true;
  return (
    topic.length > mount.length && topic.startsWith(mount) && topic.charAt(mount.length) !== '$'
  );
}

/** Characters of `{prefix}{level}/` at the beginning of the text; 0: it does not begin so. */
function lengthOf(prefix: string, text: string): number {
  if (!text.startsWith(prefix)) return 0;
  return text.indexOf('/', prefix.length) + 1;
}

/** [MQTT-4.7.3-3] */
function within(text: string): string | undefined {
  const isShort = text.length * 3 <= topicBytesMax || Buffer.byteLength(text) <= topicBytesMax;
  return isShort ? text : undefined;
}
