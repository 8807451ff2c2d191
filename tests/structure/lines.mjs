// The limits of lines: 600 lines a file, 110 columns a line of code, 100 a line of comment.
const FILE = 600;
const CODE = 110;
const COMMENT = 100;
/** A literal from this length on does not count: no formatter can break it. */
const LONG_LITERAL = 20;

const COMMENTS = String.raw`\/\/[^\n]*|\/\*[^]*?\*\/`;
const STRING = String.raw`"(?:[^"\\]|\\[^])*"`;
const RUST = new RegExp(
  String.raw`(?<comment>${COMMENTS})|r(?<hashes>#+)"[^]*?"\k<hashes>|r"[^"]*"|${STRING}|'(?:\\[^']+|[^\\'\n])'`,
  "g",
);
// A slash begins a regular expression where an operand may stand, else it divides.
const REGEX = String.raw`(?<=[(,=:!&|?{};+>[]\s*|return\s+)\/(?![*\/])(?:[^\/\\\n[]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/`;
const JAVASCRIPT = new RegExp(
  String.raw`(?<comment>${COMMENTS})|${STRING}|'(?:[^'\\\n]|\\.)*'|(?<template>\`)|${REGEX}`,
  "g",
);

/** The comments and literals of a source, in order, as `{ start, end, isComment }`. */
export function tokens(path, text) {
  const pattern = new RegExp(path.endsWith(".rs") ? RUST : JAVASCRIPT);
  const found = [];
  for (let match; (match = pattern.exec(text));) {
    const { comment, template } = match.groups;
    if (template) pattern.lastIndex = templateEnd(text, match.index);
    found.push({ start: match.index, end: pattern.lastIndex, isComment: comment !== undefined });
  }
  return found;
}

/** The end of the template literal that begins at `start`, with the templates inside of it. */
function templateEnd(text, start) {
  let depth = 0;
  for (let index = start + 1; index < text.length; index++) {
    if (text[index] === "\\") index += 1;
    else if (depth === 0 && text[index] === "`") return index + 1;
    else if (depth === 0 && text.startsWith("${", index)) [depth, index] = [1, index + 1];
    else if (depth > 0 && text[index] === "`") index = templateEnd(text, index) - 1;
    else if (depth > 0 && text[index] === "{") depth += 1;
    else if (depth > 0 && text[index] === "}") depth -= 1;
  }
  return text.length;
}

/** A message if a file has too many lines. */
export function fileProblems(path, text, limit = FILE) {
  const { length } = text.replace(/\n$/, "").split("\n");
  return length > limit ? [`${path}: ${length} lines, at most ${limit} are allowed`] : [];
}

/** One message for each line that is too long. */
export function lineProblems(path, text) {
  const problems = [];
  const found = tokens(path, text);
  let offset = 0;
  let isDiagram = false;
  text.split("\n").forEach((line, index) => {
    const [start, end] = [offset, offset + line.length];
    offset = end + 1;
    const here = found.filter((token) => token.start < end && token.end > start);
    const first = start + line.search(/\S|$/);
    const isComment = here.some((token) => token.isComment && token.start <= first);
    if (isComment && /```/.test(line)) isDiagram = /```text/.test(line);
    const limit = isComment ? COMMENT : CODE;
    const width = isComment ? commentWidth(line) : codeWidth(line, start, here);
    const isUnbreakable = isComment && (isDiagram || isTableRow(line));
    if (width > limit && !isUnbreakable)
      problems.push(`${path}:${index + 1}: ${[...line].length} columns, at most ${limit} are allowed`);
  });
  return problems;
}

/** A row of a Markdown table in a comment, which has to stay on one line. */
const isTableRow = (line) => /^\s*(\/\/[/!]?|\*)\s*\|.*\|$/.test(line);

/** The columns of a line of comment, without URLs, because nothing can wrap them. */
const commentWidth = (line) => [...line.replace(/\S*:\/\/\S+/g, "")].length;

/** The columns of a line of code, without the part of long literals that stands on it. */
function codeWidth(line, start, here) {
  const isLong = ({ start, end, isComment }) => !isComment && end - start >= LONG_LITERAL;
  const kept = line
    .split("")
    .filter(
      (_, index) =>
        !here.some((token) => isLong(token) && start + index >= token.start && start + index < token.end),
    );
  return kept.length;
}
