import { TextCache } from '@lmqtt/common/text-cache';

/** Topics, filters and client identifiers that come over the link. */
export const texts: TextCache = new TextCache((buffer, start, end) =>
  buffer.toString('utf8', start, end),
);
