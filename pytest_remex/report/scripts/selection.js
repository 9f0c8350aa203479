// The one selection: what every filter, brush, pill and tick leaves, kept in the page's address.

// A column's values, their kind, and how they are shown.
class Column {
  constructor(described, place, rows) {
    Object.assign(this, described, { place });
    this.values = rows.map((row) => row[place]);
    const filled = this.values.filter((value) => !isEmpty(value));
    const own = ["dimension", "measure", "elapsed"].includes(this.kind);
    this.empty = filled.length === 0;
    this.numeric =
      own &&
      !this.empty &&
      filled.every((value) => typeof value === "number" || /^(-?inf|nan|-?\d+)$/.test(value));
    this.numbers = this.numeric ? this.values.map(numberOf) : null;
    this.unit = this.kind === "elapsed" ? `${this.title} (s)` : this.title;
    this.digits = this.numeric ? digitsFor(this.numbers, this.kind) : 5;
  }

  // Distinct values in order: numbers by size, words by appearance.
  get levels() {
    if (!this.found) {
      this.found = [...new Set(this.values.filter((value) => !isEmpty(value)))];
      if (this.numeric) this.found.sort((a, b) => numberOf(a) - numberOf(b));
    }
    return this.found;
  }

  text(row) {
    return this.label(this.values[row]);
  }

  label(value) {
    if (isEmpty(value)) return "";
    return this.kind === "elapsed" ? duration(value) : digits(value, this.digits);
  }
}

// Digits that tell a column's numbers apart: of a measure those of its spread, of a parameter all.
function digitsFor(numbers, kind) {
  const present = numbers.filter(Number.isFinite);
  const [low, high] = [
    present.reduce((a, b) => Math.min(a, b), Infinity),
    present.reduce((a, b) => Math.max(a, b), -Infinity),
  ];
  if (kind === "measure" || kind === "elapsed") {
    const largest = Math.max(Math.abs(low), Math.abs(high));
    return high > low ? Math.min(15, 5 + Math.max(0, Math.floor(Math.log10(largest / (high - low))))) : 6;
  }
  const distinct = new Set(present);
  return (
    [5, 8, 12].find(
      (count) => new Set([...distinct].map((value) => digits(value, count))).size === distinct.size,
    ) ?? 17
  );
}

class Selection {
  constructor(data) {
    this.data = data;
    this.size = data.rows.length;
    this.columns = data.columns.map((one, place) => new Column(one, place, data.rows));
    this.byKey = new Map(this.columns.map((column) => [column.key, column]));
    this.varied = data.axes.flat().map((at) => this.ofKind("dimension")[at]);
    this.tone = data.rows.map((row) => data.tones[row[0]]);
    this.names = rowNames(this);
    this.listeners = [];
    this.load();
    this.apply();
  }

  ofKind(kind) {
    return this.columns.filter((column) => column.kind === kind);
  }

  kind(kind) {
    return this.ofKind(kind)[0];
  }

  has(row) {
    return this.kept[row] === 1;
  }

  rows() {
    this.list ??= Array.from(this.kept.keys()).filter((row) => this.kept[row]);
    return this.list;
  }

  get narrowed() {
    return this.rows().length < this.size;
  }

  // A filter is {in: [values]}, {min, max} or {has: text}; null takes it away.
  filter(filters) {
    for (const [key, filter] of Object.entries(filters)) {
      if (filter) this.state.f[key] = filter;
      else delete this.state.f[key];
    }
    this.changed();
  }

  toggle(key, value) {
    const chosen = new Set(this.state.f[key]?.in ?? []);
    if (!chosen.delete(value)) chosen.add(value);
    this.filter({ [key]: chosen.size ? { in: [...chosen] } : null });
  }

  isChosen(key, value) {
    return this.state.f[key]?.in?.includes(value) ?? false;
  }

  search(text) {
    this.state.q = text;
    this.changed();
  }

  tick(row, ticked = !this.ticked.has(row)) {
    if (ticked) this.ticked.add(row);
    else this.ticked.delete(row);
    this.changed();
  }

  untick() {
    this.ticked.clear();
    this.state.k = false;
    this.changed();
  }

  keepTicked(only) {
    this.state.k = only;
    this.changed();
  }

  clear() {
    Object.assign(this.state, { q: "", f: {}, k: false });
    this.changed();
  }

  set(settings) {
    Object.assign(this.state.v, settings);
    this.changed();
  }

  changed() {
    const begun = performance.now();
    this.apply();
    this.save();
    for (const listener of this.listeners) listener();
    performance.measure("answer", { start: begun });
  }

  apply() {
    const tests = Object.entries(this.state.f).map(([key, filter]) =>
      filterTest(this.byKey.get(key), filter),
    );
    if (this.state.q) tests.push(searchTest(this, this.state.q));
    if (this.state.k && this.ticked.size) tests.push((row) => this.ticked.has(row));
    this.list = null;
    this.kept = new Uint8Array(this.size);
    for (let row = 0; row < this.size; row += 1) this.kept[row] = tests.every((test) => test(row)) ? 1 : 0;
  }

  save() {
    const state = { ...this.state, t: [...this.ticked].map((row) => this.names[row]) };
    const chosen = Object.entries(state).filter(
      ([, value]) => value && (typeof value !== "object" || Object.keys(value).length),
    );
    const text = chosen.length ? `#${encodeURIComponent(JSON.stringify(Object.fromEntries(chosen)))}` : "";
    history.replaceState(null, "", text || location.pathname + location.search);
  }

  // Of what an address says, what this page knows.
  load() {
    const said = readFragment();
    const known = Object.entries(said.f ?? {}).filter(
      ([key, one]) => this.byKey.has(key) && one && typeof one === "object",
    );
    const places = new Map(this.names.map((name, row) => [name, row]));
    const ticks = Array.isArray(said.t) ? said.t : [];
    this.state = {
      q: typeof said.q === "string" ? said.q : "",
      f: Object.fromEntries(known),
      k: said.k === true,
      o: Array.isArray(said.o) ? said.o : [],
      v: said.v && typeof said.v === "object" ? said.v : {},
    };
    this.ticked = new Set(ticks.filter((name) => places.has(name)).map((name) => places.get(name)));
  }
}

function readFragment() {
  try {
    const said = JSON.parse(decodeURIComponent(location.hash.slice(1)) || "{}");
    return said && typeof said === "object" ? said : {};
  } catch {
    return {};
  }
}

// What names a row in an address: its commit, where that is its alone, else its node id or place.
function rowNames(selection) {
  const [commits, nodes] = ["commit", "node"].map((kind) => selection.kind(kind).values);
  return (
    [commits, nodes].find((names) => new Set(names).size === names.length && !names.includes("")) ??
    nodes.map((_, row) => row)
  );
}

function filterTest(column, filter) {
  const { values, numbers } = column;
  if (Array.isArray(filter.in)) {
    const chosen = new Set(filter.in.map((value) => value ?? ""));
    return (row) => chosen.has(values[row] ?? "");
  }
  if (typeof filter.has === "string") {
    const text = filter.has.toLowerCase();
    return (row) =>
      String(values[row] ?? "")
        .toLowerCase()
        .includes(text);
  }
  const [low, high] = [filter.min ?? -Infinity, filter.max ?? Infinity];
  return (row) => numbers !== null && numbers[row] !== null && low <= numbers[row] && numbers[row] <= high;
}

function searchTest(selection, text) {
  selection.haystack ??= selection.data.rows.map((row, place) =>
    selection.columns
      .map((column) => (column.numeric ? column.text(place) : (row[column.place] ?? "")))
      .join("\n")
      .toLowerCase(),
  );
  const words = text.toLowerCase();
  return (row) => selection.haystack[row].includes(words);
}

function filterText(column, filter) {
  if (filter.in) {
    const labels = filter.in.map((value) => column.label(value) || "nothing");
    return `${column.title}: ${labels.slice(0, 3).join(", ")}${labels.length > 3 ? ` and ${labels.length - 3} more` : ""}`;
  }
  if (filter.has !== undefined) return `${column.title} has “${filter.has}”`;
  const [low, high] = [filter.min, filter.max].map((end) =>
    end === undefined ? null : digits(end, Math.max(4, column.digits)),
  );
  if (low === null) return `${column.title} ≤ ${high}`;
  return high === null ? `${column.title} ≥ ${low}` : `${column.title} ${low} to ${high}`;
}

// The selection in the words of other tools.

function nodeIds(selection) {
  return selection.rows().map((row) => selection.kind("node").values[row]);
}

function shellWord(text) {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'"'"'`)}'`;
}

// pytest takes a few node ids as words, and many from a file of them.
function pytestCommand(selection) {
  const nodes = nodeIds(selection).map(shellWord);
  if (nodes.length <= 20) return `pytest ${nodes.join(" ")}`;
  return `printf '%s\\n' ${nodes.join(" ")} > selected.txt && pytest @selected.txt`;
}

const QUERIED = ["dimension", "measure", "verdict", "state", "elapsed", "job", "node"];

// A query of the results: by the filters, where they are all of columns that the results have.
function pandasQuery(selection) {
  const filters = Object.entries(selection.state.f).map(([key, filter]) => [
    selection.byKey.get(key),
    filter,
  ]);
  const plain =
    !selection.state.q &&
    !selection.state.k &&
    filters.length > 0 &&
    filters.every(
      ([column, filter]) =>
        QUERIED.includes(column.kind) &&
        filter.has === undefined &&
        !/[`\n\t\\]/.test(column.key) &&
        !filter.in?.some((value) => isEmpty(value) || /^[[{]/.test(value)) && // lists are no text there
        !(column.numeric && column.values.some((value) => typeof value === "string")),
    );
  const query = plain
    ? filters.map(([column, filter]) => queryTerm(column, filter)).join(" and ")
    : `node in [${nodeIds(selection).map(pythonText).join(", ")}]`;
  return `results(${pythonText(selection.data.title)}).query(${pythonText(query)})`;
}

// A name of letters alone may be a word of Python, as `lambda` is.
function queryTerm(column, { in: values, min, max }) {
  const name = /^[A-Za-z]+[\d_]\w*$/.test(column.key) ? column.key : `\`${column.key}\``;
  if (values) return `${name} in [${values.map(pythonValue).join(", ")}]`;
  const ends = [min === undefined ? "" : `${name} >= ${min}`, max === undefined ? "" : `${name} <= ${max}`];
  return ends.filter(Boolean).join(" and ");
}

function pythonValue(value) {
  if (typeof value === "boolean") return value ? "True" : "False";
  return typeof value === "number" ? String(value) : pythonText(value);
}

// A string of JSON is one of Python too.
function pythonText(text) {
  return JSON.stringify(text);
}

function selectionRecords(selection) {
  return selection
    .rows()
    .map((row) => Object.fromEntries(selection.columns.map((column) => [column.key, column.values[row]])));
}

function selectionCsv(selection) {
  const cell = (value) => {
    const text = isEmpty(value) ? "" : digits(value, 17);
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const lines = selection.rows().map((row) => selection.columns.map((column) => cell(column.values[row])));
  return [selection.columns.map((column) => cell(column.key)), ...lines]
    .map((line) => `${line.join(",")}\r\n`)
    .join("");
}

// The bar above the figures: what is selected, why, and what can be done with it.
function startBar(selection) {
  const count = element("strong", { id: "count" });
  const chips = element("ul", { id: "chips", "aria-label": "Filters" });
  const clear = button("Clear filters", () => selection.clear(), { id: "clear" });
  const ticks = element("span", { id: "ticks" });
  const find = element("input", {
    type: "search",
    id: "search",
    placeholder: "Search",
    "aria-label": "Search all columns",
    value: selection.state.q,
  });
  let typing = 0;
  find.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => selection.search(find.value), 120);
  });
  byId("bar").append(
    find,
    count,
    chips,
    clear,
    ticks,
    element("span", { className: "gap" }),
    copyMenu(selection),
    saveMenu(selection),
  );
  byId("bar").hidden = false;
  const draw = () => {
    const rows = selection.rows().length;
    count.textContent =
      rows === selection.size
        ? plural(rows, "experiment")
        : `${thousands(rows)} of ${plural(selection.size, "experiment")}`;
    if (find !== document.activeElement) find.value = selection.state.q;
    const conditions = Object.entries(selection.state.f).map(([key, one]) =>
      chip(filterText(selection.byKey.get(key), one), () => selection.filter({ [key]: null })),
    );
    if (selection.state.k) conditions.push(chip("only ticked", () => selection.keepTicked(false)));
    chips.replaceChildren(...conditions);
    clear.hidden = !conditions.length && !selection.state.q;
    ticks.replaceChildren(...tickButtons(selection));
  };
  selection.listeners.push(draw);
  draw();
}

function chip(text, remove) {
  return element("li", {}, button(`${text} ×`, remove, { "aria-label": `Remove filter ${text}` }));
}

function tickButtons(selection) {
  if (!selection.ticked.size) return [];
  return [
    element("span", {}, `${selection.ticked.size} ticked`),
    button(
      "Compare",
      () => {
        selection.set({ tab: "compare" });
        byId("figures").scrollIntoView({ block: "start" });
      },
      { disabled: selection.ticked.size < 2 },
    ),
    button("Only these", () => selection.keepTicked(true)),
    button("Untick", () => selection.untick()),
  ];
}

function copyMenu(selection) {
  const nodes = () => plural(selection.rows().length, "node id");
  return menu(
    "Copy",
    button("Node ids", () => copyText(nodeIds(selection).join("\n"), nodes())),
    button("pytest command", () => copyText(pytestCommand(selection), `a pytest command for ${nodes()}`)),
    button("pandas query", () => copyText(pandasQuery(selection), "a pandas query")),
    button("Link to this view", () => copyText(location.href, "the link")),
  );
}

function saveMenu(selection) {
  const name = (ending) => `${fileName(selection.data.title)}.${ending}`;
  return menu(
    "Save",
    button("CSV of the selection", () => saveFile(name("csv"), "text/csv", selectionCsv(selection))),
    button("JSON of the selection", () =>
      saveFile(name("json"), "application/json", JSON.stringify(selectionRecords(selection), null, 1)),
    ),
    button("Figure as PNG", () => saveFigures(fileName(selection.data.title), "png")),
    button("Figure as SVG", () => saveFigures(fileName(selection.data.title), "svg")),
  );
}

function fileName(text) {
  return text.replace(/[^\w.-]+/g, "_").slice(0, 80) || "report";
}
