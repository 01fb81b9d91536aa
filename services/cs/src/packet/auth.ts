/** AUTH from a client, section 3.15. The buffer is a copy. */
export interface Auth {
  /** 0x18 continue or 0x19 re-authenticate. */
  readonly reasonCode: number;
  readonly authenticationMethod: string;
  readonly authenticationData: Buffer | undefined;
  readonly reasonString: string | undefined;
}
