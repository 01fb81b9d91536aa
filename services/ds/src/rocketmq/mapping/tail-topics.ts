import type { Settings } from '@lmqtt/common/settings/row';
import type { TopicTemplates } from './topic-templates.ts';

/** RocketMQ topics that are read beside those that MQTT uses. */
export function tailTopicsOf(settings: Settings, templates: TopicTemplates): string {
  const toClients = settings.clientP2pTopic ?? settings.clientRetryTopic;
  const topics = [settings.tailTopics, ...templates.topics];
  if (settings.p2p !== false && toClients !== null) topics.push(toClients);
  return topics.join(',');
}
