/**
 * Which of several each key belongs to (rendezvous hashing): all who know the same names choose the
 * same, and a name that goes moves only its own keys. The names are to be different ones.
 */
export function chosen<T>(
  key: string,
  choices: Iterable<T>,
  nameOf: (choice: T) => string,
): T | undefined {
  const hash = hashOf(key);
  let best: T | undefined;
  let bestScore = -1;
  let bestName = '';
  for (const choice of choices) {
    const name = nameOf(choice);
    const score = mixed(hash ^ Math.imul(hashOf(name), 0x9e3779b1));
    if (score < bestScore || (score === bestScore && name < bestName)) continue;
    best = choice;
    bestScore = score;
    bestName = name;
  }
  return best;
}

/** FNV-1a over the code units. Other versions of a cs have to come to the same. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    hash = Math.imul(hash ^ (unit & 0xff), 0x01000193);
    hash = Math.imul(hash ^ (unit >>> 8), 0x01000193);
  }
  return hash;
}

/** The end of MurmurHash3: each bit of the input changes half of the output. */
function mixed(hash: number): number {
  let mix = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  mix = Math.imul(mix ^ (mix >>> 13), 0xc2b2ae35);
  return (mix ^ (mix >>> 16)) >>> 0;
}
