// Columns as figures take them: numbers as they are, words as the numbers of their order.

function columnValues(data, place) {
  return data.rows.map((row) => row[place]);
}

// Plotly reads a little HTML in labels; text must not become it.
function label(value) {
  return escaped(shown(value));
}

// Labels that tell the values apart: in full where six digits do not.
function labels(values) {
  const short = values.map(label);
  return new Set(short).size === values.length ? short : values.map((value) => escaped(String(value)));
}

function axisTitle({ title, kind }) {
  return { text: label(kind === "elapsed" ? `${title} (s)` : title) };
}

function numericScale(values) {
  return {
    numbers: values.map((value) => (value === null || !Number.isFinite(rank(value)) ? null : rank(value))),
    ticks: {},
  };
}

function wordScale(values) {
  const words = [...new Set(values.filter((value) => value !== null && value !== ""))];
  const places = new Map(words.map((word, place) => [word, place]));
  return {
    numbers: values.map((value) => places.get(value) ?? null),
    ticks: { tickvals: words.map((_, place) => place), ticktext: words.map(label) },
  };
}

function scaleOf(values) {
  return isNumeric(values) ? numericScale(values) : wordScale(values);
}

// Distinct values in an axis's order: numbers by size, words by appearance.
function levels(values) {
  const distinct = [...new Set(values)];
  return isNumeric(distinct) ? distinct.sort((a, b) => rank(a) - rank(b)) : distinct;
}

// What a point says when pointed at: its parameters, then the measure.
function hoverText(data, index, places) {
  const row = data.rows[index];
  return places.map((place) => `${label(data.columns[place].title)}: ${cellLabel(data, row, place)}`).join("<br>");
}

function cellLabel(data, row, place) {
  return escaped(cellText(data.columns[place].kind, row[place])) || "none";
}
