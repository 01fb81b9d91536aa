import { encodeJson, jsonPieces } from '../../journal/journal-table.ts';
import type { EntryBytes } from '../../journal/participant.ts';
import { entryOf, headOf, type SessionEntry, type SessionHead } from '../session-record.ts';
import type { StoredSession } from '../stored-session.ts';

/** Subscriptions and messages in flight of a session whose entry is made in pieces. */
const piecesMin = 1000;

/** The entry of a session as JSON: many subscriptions or messages in flight in pieces, of how they are now. */
export function entryBytes(session: StoredSession): EntryBytes {
  const entry = entryOf(session);
  const { subscriptions, outbound } = entry;
  if (subscriptions.length + outbound.length < piecesMin) return encodeJson(entry);
  // Offsets done out of order are changed where they are, so they are copied.
  for (const { cursors } of subscriptions)
    for (const cursor of cursors) if (cursor[3].length > 0) cursor[3] = [...cursor[3]];
  return { pieces: entryPieces(headOf(session), entry) };
}

function* entryPieces(head: SessionHead, entry: SessionEntry): Iterable<Buffer> {
  yield Buffer.from(`${JSON.stringify(head).slice(0, -1)},"subscriptions":[`);
  yield* jsonPieces(entry.subscriptions);
  yield Buffer.from('],"outbound":[');
  yield* jsonPieces(entry.outbound);
  yield Buffer.from(`],"inbound":${JSON.stringify(entry.inbound)}}`);
}
