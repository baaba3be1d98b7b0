/** Entries of the static table; dynamic ones follow (RFC 7541 section 2.3.3). */
export const STATIC_ENTRIES = 61;

// RFC 7541 appendix A, in order, from index 1.
const ENTRIES = `
:authority|:method GET|:method POST|:path /|:path /index.html|:scheme http|:scheme https|:status 200|:status 204
:status 206|:status 304|:status 400|:status 404|:status 500|accept-charset|accept-encoding gzip, deflate
accept-language|accept-ranges|accept|access-control-allow-origin|age|allow|authorization|cache-control
content-disposition|content-encoding|content-language|content-length|content-location|content-range|content-type
cookie|date|etag|expect|expires|from|host|if-match|if-modified-since|if-none-match|if-range|if-unmodified-since
last-modified|link|location|max-forwards|proxy-authenticate|proxy-authorization|range|referer|refresh|retry-after
server|set-cookie|strict-transport-security|transfer-encoding|user-agent|vary|via|www-authenticate`
  .trim()
  .split(/[|\n]/)
  .map((entry) => {
    const space = entry.indexOf(' ');
    return space < 0 ? [entry, ''] : [entry.slice(0, space), entry.slice(space + 1)];
  });

/** Names by index; 0 is no entry. */
export const STATIC_NAMES: readonly string[] = ['', ...ENTRIES.map((entry) => entry[0] ?? '')];
/** Values by index. */
export const STATIC_VALUES: readonly string[] = ['', ...ENTRIES.map((entry) => entry[1] ?? '')];
