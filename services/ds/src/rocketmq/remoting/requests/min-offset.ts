import type { RemotingRequest } from '../request.ts';
import { placeFields, type QueuePlace } from './queue-place.ts';

/** GET_MIN_OFFSET, 31. Fields: topic | queueId. Answer: offset, that of the oldest message. */
export function minOffsetRequest(place: QueuePlace): RemotingRequest {
  return { name: 'minOffset', fields: placeFields(place) };
}
