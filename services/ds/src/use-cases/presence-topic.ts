const prefix = '$SYS/clients/';

/** `$SYS/clients/{id}/{event}`; in the id `%`, `/`, `+`, `#` and U+0000 are written as in a URL. */
export function presenceTopic(clientId: string, event: string): string {
  const id = clientId.replace(/[%/+#\0]/g, (character) => {
    const code = character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0');
    return `%${code}`;
  });
  return `${prefix}${id}/${event}`;
}

/** The ordering key of one client's events; undefined: the topic is of no event. */
export function presenceLane(topic: string): string | undefined {
  return topic.startsWith(prefix) ? topic.slice(0, topic.lastIndexOf('/')) : undefined;
}
