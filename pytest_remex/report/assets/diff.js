// A patch, with its added and removed lines told apart by more than their colour: by their signs.

const DIFF_KINDS = [
  [/^(diff |index |--- |\+\+\+ |new |deleted |similarity |rename )/, "head"],
  [/^@@/, "hunk"],
  [/^\+/, "added"],
  [/^-/, "removed"],
];

function diffView(text) {
  const lines = text.replace(/\n$/, "").split("\n").map((line) => {
    const [, kind] = DIFF_KINDS.find(([pattern]) => pattern.test(line)) ?? [null, "same"];
    return element("span", { className: `line ${kind}` }, `${line}\n`);
  });
  return element("pre", { className: "diff", tabIndex: 0 }, ...lines);
}
