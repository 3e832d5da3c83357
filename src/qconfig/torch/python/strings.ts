/** The value of Python's string literals. */

const escapes: Readonly<Record<string, string>> = {
  n: "\n",
  t: "\t",
  r: "\r",
  "\\": "\\",
  "'": "'",
  '"': '"',
  "\n": "",
};

/** The text of a literal with its quotes and prefix, as written: `r"a\b"` → `a\b`. */
export function stringValue(literal: string): string {
  const prefix = /^[A-Za-z]*/.exec(literal)?.[0] ?? "";
  const quoted = literal.slice(prefix.length);
  const width = /^("""|''')/.test(quoted) ? 3 : 1;
  return unescaped(quoted.slice(width, -width), prefix);
}

/** A piece of a literal, between replacements of an f-string. */
export function unescaped(piece: string, prefix: string): string {
  if (/r/i.test(prefix)) return piece;
  return piece.replaceAll(/\\(x[\da-fA-F]{2}|u[\da-fA-F]{4}|[\s\S])/g, (whole, code: string) =>
    code.length > 1 ? String.fromCharCode(Number.parseInt(code.slice(1), 16)) : (escapes[code] ?? whole),
  );
}
