// What the control plane has to say about its input. Everything that reads configuration here (sources, translation,
// lint) reports in this one shape, so a message always names file, line, object, field and, where there is one, the fix.

/** `error`: not taken. `warning`: taken, but likely not what was meant. `note`: good to know. */
export type Severity = 'error' | 'warning' | 'note';

/** A place in a file; lines and columns count from 1. */
export interface Origin {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** One thing that was found in the input. */
export interface Finding extends Origin {
  readonly severity: Severity;
  /** `ApisixUpstream default/foo`; empty where no object is known. */
  readonly object: string;
  /** Path of the field, `spec.portLevelSettings[0].scheme`; empty for the object as a whole. */
  readonly path: string;
  readonly message: string;
  /** What to write instead. */
  readonly fix?: string | undefined;
}

/** `file:line:column: error: ApisixUpstream default/foo: spec.scheme: 'grcp' is not known (…); did you mean 'grpc'?` */
export function formatFinding(finding: Finding): string {
  const place = `${finding.file}:${finding.line}:${finding.column}: ${finding.severity}`;
  const words = [place, finding.object, finding.path, finding.message].filter((word) => word !== '').join(': ');
  return finding.fix === undefined ? words : `${words}; ${finding.fix}`;
}

/** By file, then line, then column; what came first stays first. */
export function sortFindings(findings: readonly Finding[]): Finding[] {
  return findings.toSorted((a, b) => compareText(a.file, b.file) || a.line - b.line || a.column - b.column);
}

/** Order of two texts by code unit, the same on every machine. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
