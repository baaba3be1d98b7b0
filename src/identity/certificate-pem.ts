// Blocks of PEM (RFC 7468), as people keep them: with carriage returns, indented, with text around them, on one line.
// What comes out is written in one way, so equal certificates are equal texts.

/** One block. */
export interface PemBlock {
  /** `CERTIFICATE`, `PRIVATE KEY` … */
  readonly label: string;
  /** The block in 64-character lines; empty where it has headers. */
  readonly pem: string;
  /** Whether it has headers before its body (RFC 1421), as OpenSSL writes encrypted keys of the old kind. */
  readonly hasHeaders: boolean;
}

const BEGIN = '-----BEGIN ';
const END = '-----END ';
const DASHES = '-----';
/** Labels are shown, so nothing else is one. */
const LABEL = /^[A-Z0-9][A-Z0-9 ]{0,63}$/;

/**
 * The blocks of a text, in order, without what stands around them; the number of a damaged one with what is wrong. Its
 * work is linear in the text.
 */
export function readPemBlocks(text: string): readonly PemBlock[] | { readonly damaged: string } {
  const blocks: PemBlock[] = [];
  for (let at = text.indexOf(BEGIN); at !== -1; at = text.indexOf(BEGIN, at)) {
    const which = `PEM block ${blocks.length + 1}`;
    const labelEnd = text.indexOf(DASHES, at + BEGIN.length);
    const label = text.slice(at + BEGIN.length, Math.min(labelEnd, at + BEGIN.length + 65));
    if (labelEnd === -1 || !LABEL.test(label)) return { damaged: `the first line of ${which} is damaged` };
    const bodyStart = labelEnd + DASHES.length;
    const end = text.indexOf(END, bodyStart);
    const footer = `${END}${label}${DASHES}`;
    const body = end === -1 ? '' : text.slice(bodyStart, end);
    // The end of another block is none of this one.
    if (end === -1 || body.includes(BEGIN) || !text.startsWith(footer, end)) {
      return { damaged: `${which} has no line \`${footer}\`, so it is cut off` };
    }
    const hasHeaders = body.includes(':');
    const base64 = hasHeaders ? '' : body.replace(/\s+/g, '');
    if (!/^[A-Za-z\d+/]*={0,2}$/.test(base64)) return { damaged: `${which} holds characters that are not base64` };
    const lines = base64.match(/.{1,64}/g) ?? [];
    blocks.push({
      label,
      pem: hasHeaders ? '' : `${BEGIN}${label}${DASHES}\n${lines.join('\n')}\n${footer}\n`,
      hasHeaders,
    });
    at = end + footer.length;
  }
  return blocks;
}
