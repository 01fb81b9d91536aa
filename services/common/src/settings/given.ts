// What one source says of a setting, before it is parsed.

export interface Given {
  readonly text: string;
  /** For the message: the line or the flag that said so. */
  readonly source: string;
  readonly from: 'file' | 'environment' | 'flag';
}

export type GivenByName = Map<string, Given>;
