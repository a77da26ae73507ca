// Reads the one credential of a request, as Latchkey does (RFC 6750 §2.1).

const BEARER = /^bearer +(\S+)$/i;
const MAX_LENGTH = 8_192;
// Stands for a credential that no key has, so that it is judged, counted and logged as one.
const MALFORMED = "malformed";

/** The credential in both headers' values: blank if there is none, null if there are several. */
export function readCredential(
  authorization: string | undefined,
  apiKey: string | undefined,
): string | null {
  if (authorization !== undefined && apiKey !== undefined) return null;
  if (apiKey !== undefined) return apiKey.includes(",") ? null : usable(apiKey.trim());
  const value = authorization?.trim() ?? "";
  if (value.slice(0, 6).toLowerCase() !== "bearer" || value.length === 6) return "";
  // A repeated header is joined with commas, which no credential holds.
  if (value.includes(",")) return null;
  const match = BEARER.exec(value);
  return match === null ? MALFORMED : usable(match[1] ?? "");
}

function usable(credential: string): string {
  return credential.length <= MAX_LENGTH && /^[\x21-\x7e]*$/.test(credential) ? credential : MALFORMED;
}
