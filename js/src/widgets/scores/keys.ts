// What the keys of the workbench do, in words; twin of workbench/keys.ts.

export const KEYS: readonly (readonly [string, string])[] = [
  ["Arrows", "move the cursor on the picture; Shift for single pixels"],
  ["Enter or Space", "pick, place a corner or point; Space paints, Enter adds what is painted"],
  ["Backspace", "takes back a point of a polygon"],
  ["Escape", "drops what is not added"],
  ["W", "the whole image becomes an example"],
  ["1 \u2026 9", "selects a concept"],
  ["N", "a new concept"],
  ["Page Up, Page Down", "another image"],
  ["Enter on an example", "includes or excludes it; Delete removes it"],
  ["Enter on a suggestion", "accepts it; Delete or X rejects it"],
  ["Ctrl+Z, Ctrl+Y", "undo, redo"],
  ["+  \u2212  0", "zoom in, out, fit"],
  ["?", "this list"],
];
