// What the table shows, searches and sorts by in each kind of column.

const NUMERIC_KINDS = ["dimension", "measure", "elapsed"];

function columnOptions(data, column, place) {
  const values = data.rows.map((row) => row[place]);
  const numeric = NUMERIC_KINDS.includes(column.kind) && isNumeric(values);
  return {
    data: place,
    visible: column.shown,
    type: numeric ? "num" : "string",
    className: `${column.kind} ${numeric ? "number" : "text"}`,
    searchable: column.kind !== "picture",
    orderable: column.kind !== "picture",
    columnControl: column.kind === "picture" ? [] : undefined,
    render: (value, type) => {
      if (type === "display") return cellNode(column.kind, value, data.tones);
      if (type === "filter" && !numeric) return escaped(cellText(column.kind, value));
      return numeric ? rank(value) : cellText(column.kind, value);
    },
  };
}

function cellText(kind, value) {
  return kind === "elapsed" ? duration(value) : shown(value);
}

function cellNode(kind, value, tones) {
  if (kind === "verdict") return badge(value, tones);
  if (kind === "commit" || kind === "node") return element("code", {}, value);
  if (kind === "picture") return thumbnail(value);
  if (kind === "reason") return element("span", { title: value }, value);
  return document.createTextNode(cellText(kind, value));
}

function thumbnail(href) {
  return href ? element("img", { src: href, alt: "", loading: "lazy" }) : document.createTextNode("");
}
