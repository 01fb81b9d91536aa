// Values of settings as one source gives them, before they are parsed.

export interface Given {
  readonly text: string;
  /** For the message: the line or the flag that said so. */
  readonly source: string;
  readonly from: 'file' | 'environment' | 'flag';
}

export type GivenByName = Map<string, Given>;
