/** Texts that code, markup, configurations and terminals give a meaning of their own, for the tests of what leaves subbyte. */

import fc from "fast-check";

/** Pieces of hostile names. */
export const hostilePieces: readonly string[] = [
  ...["\u0000", "\u0007", "\u001b[2J", "\u001b]0;t\u0007", "\u009b31m", "\u007f", "\u0085", "\r", "\n", "\r\n", "\t"],
  ...["\u202e", "\u2066", "\u061c", "\u200e", "\u2028", "\u2029", "\ufeff", "\ufffe", "\ud800", "\udc00", "\u{1f4a9}"],
  ...["*/", "/*", "//", "??/\n", "\\\n", "\\", "\\u0000", "\\N{BULLET}", "%s", "`"],
  ...['"', "'", '"""', "'''", '"""\nimport os\nos._exit(3)\n"""', "#", "\nraise SystemExit(3)\n"],
  ...[
    "<script>alert(1)</script>",
    "</script>",
    "</style></svg>",
    "<!--",
    "-->",
    "]]>",
    "<![CDATA[",
    "&",
    "&lt;",
    "&#x1b;",
  ],
  ...['"><img onerror=x>', " onload=x ", "javascript:x", "<", ">"],
  ...[
    "---",
    "...",
    "- ",
    "? ",
    ": ",
    "{",
    "}",
    "[",
    "]",
    "!!js/function 'f'",
    "&a",
    "*a",
    "|",
    "~",
    "null",
    "yes",
    "1e3",
  ],
  ...["__proto__", "constructor", "NaN", "", " ", "層", "conv1"],
];

/** Names made of such pieces. */
export const hostileName = fc
  .array(fc.oneof(fc.constantFrom(...hostilePieces), fc.string({ unit: "binary", maxLength: 4 })), { maxLength: 5 })
  .map((pieces) => pieces.join(""));
