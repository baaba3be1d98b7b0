/** What a status comes to. */
export interface StatusWords {
  readonly text: string;
  readonly isWell: boolean;
}
