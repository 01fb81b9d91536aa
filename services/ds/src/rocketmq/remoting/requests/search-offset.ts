import type { RemotingRequest } from '../request.ts';
import { placeFields, type QueuePlace } from './queue-place.ts';

/**
 * SEARCH_OFFSET_BY_TIMESTAMP, 29. Fields: topic | queueId | timestamp, ms since 1970. Answer:
 * offset of the first message stored at or after it; after the newest, the end (4.9: the newest).
 */
export function searchOffsetRequest(place: QueuePlace, atMs: number): RemotingRequest {
  return { name: 'searchOffset', fields: { ...placeFields(place), timestamp: String(atMs) } };
}
