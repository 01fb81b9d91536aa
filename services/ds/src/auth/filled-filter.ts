// Topic filters of rules, with the names of one client in place of `%u` and `%c`, and its
// namespace in place of `%m`.

/** A piece of text, or what stands for a name. One piece of text: there is nothing to fill in. */
export type FilterPiece = string | { readonly of: 'user' | 'client' | 'mount' };

export interface Names {
  readonly user: string | undefined;
  readonly clientId: string;
  /** Prefix of its topics; undefined: it has no namespace. */
  readonly mount?: string | undefined;
}

/**
 * The pieces of a filter as it is written; undefined: a `%` is followed by none of `c`, `u`, `m`, `%`.
 */
export function filterPieces(text: string): readonly FilterPiece[] | undefined {
  const pieces: FilterPiece[] = [];
  let plain = '';
  for (const [part] of text.matchAll(/%.?|[^%]+/gsu)) {
    if (part === '%%') plain += '%';
    else if (part === '%c' || part === '%u' || part === '%m') {
      if (plain !== '') pieces.push(plain);
      plain = '';
      pieces.push({ of: part === '%u' ? 'user' : part === '%c' ? 'client' : 'mount' });
    } else if (part.startsWith('%')) return undefined;
    else plain += part;
  }
  if (plain !== '') pieces.push(plain);
  return pieces;
}

/** A filter of the form of the pieces, to look at its form. */
export function sampleFilter(pieces: readonly FilterPiece[]): string {
  return pieces
    .map((piece) => (typeof piece === 'string' ? piece : piece.of === 'mount' ? 'x/' : 'x'))
    .join('');
}

/** The filter for a client; undefined where the rule does not apply to it. */
export function filledFilter(
  pieces: readonly FilterPiece[],
  { user, clientId, mount }: Names,
  allow: boolean,
): string | undefined {
  let filter = '';
  for (const piece of pieces) {
    if (typeof piece === 'string') {
      filter += piece;
      continue;
    }
    if (piece.of === 'mount') {
      if (mount === undefined) return undefined;
      filter += mount;
      continue;
    }
    const value = piece.of === 'user' ? user : clientId;
    if (value === undefined) return undefined;
    if (/[+#/\0]/.test(value) || (filter === '' && value.startsWith('$'))) {
      if (allow) return undefined;
      // At the very beginning `#` would not reach the topics with $.
      if (filter === '' && value.startsWith('$')) return `${value.replace(/[+#/\0].*$/s, '')}/#`;
      return `${filter.slice(0, filter.lastIndexOf('/') + 1)}#`;
    }
    filter += value;
  }
  return filter;
}
