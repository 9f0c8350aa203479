// The table of the selection: DataTables sorts and pages; its rows open to their details.

function startTable(selection) {
  const { columns, data } = selection;
  byId("table").append(tableHead(columns));
  const table = new DataTable("#table", {
    data: data.rows,
    columns: [
      tickColumn(selection),
      openerColumn(),
      ...columns.map((column) => columnOptions(selection, column)),
    ],
    order: firstOrder(selection),
    autoWidth: false,
    pageLength: 25,
    lengthMenu: [25, 100, 500, { label: "All", value: -1 }],
    layout: { topStart: null, topEnd: null, bottomStart: ["info", "pageLength"], bottomEnd: "paging" },
    language: {
      lengthMenu: "_MENU_ a page",
      info: "_START_ to _END_ of _TOTAL_",
      infoEmpty: "",
      infoFiltered: "",
      emptyTable: "No experiments",
      zeroRecords: "No experiment is selected",
    },
  });
  table.search.fixed("selection", (_, __, row) => selection.has(row));
  table.draw();
  table.on("order", () => {
    selection.state.o = table
      .order()
      .flatMap(([at, way]) => (way && at > 1 ? [[columns[at - 2].key, way]] : []));
    selection.save();
  });
  startFilters(selection, table);
  startColumns(selection, table);
  followTicks(selection, table);
  keepHeadInView(table.table().node());
  whilePrinting(() => {
    const length = table.page.len();
    table.page.len(-1).draw();
    return () => table.page.len(length).draw();
  });
  return table;
}

// The head of a table that need not scroll sideways stays below the bar while the page scrolls.
function keepHeadInView(table) {
  const frame = table.closest(".dt-layout-table");
  const sizes = new ResizeObserver(() => {
    frame.classList.toggle("fits", table.offsetWidth <= frame.clientWidth);
    document.documentElement.style.setProperty("--bar", `${byId("bar").offsetHeight}px`);
  });
  for (const one of [table, frame, byId("bar")]) sizes.observe(one);
}

function tableHead(columns) {
  const unseen = (text) => element("th", { scope: "col" }, element("span", { className: "unseen" }, text));
  const titles = columns.map(({ title }) => element("th", { scope: "col" }, title));
  return element("thead", {}, element("tr", {}, unseen("Tick to compare"), unseen("Details"), ...titles));
}

function firstOrder(selection) {
  return selection.state.o
    .filter((one) => Array.isArray(one) && selection.byKey.has(one[0]))
    .map(([key, way]) => [selection.byKey.get(key).place + 2, way === "desc" ? "desc" : "asc"]);
}

function columnOptions(selection, column) {
  return {
    data: column.place,
    visible: selection.state.v.show?.[column.key] ?? column.shown,
    type: column.numeric ? "num" : "string",
    className: `${column.kind} ${column.numeric ? "number" : "text"}`,
    searchable: false,
    orderable: column.kind !== "picture",
    render: (value, type) => {
      if (type === "display") return cellNode(selection, column, value);
      return column.numeric ? (numberOf(value) ?? -Infinity) : column.label(value);
    },
  };
}

function cellNode(selection, column, value) {
  const { kind } = column;
  if (kind === "verdict") return badge(value, selection.data.tones);
  if (["commit", "node", "base", "launch"].includes(kind)) return element("code", {}, value);
  if (kind === "picture")
    return value
      ? element("img", { src: smallImage(value), alt: "", loading: "lazy" })
      : document.createTextNode("");
  const text = column.label(value);
  return element(
    "span",
    kind === "cause" || text !== String(value) ? { title: String(value ?? "") } : {},
    text,
  );
}

let SMALL_IMAGES = null;

function smallImage(href) {
  SMALL_IMAGES ??= readJson("small");
  return SMALL_IMAGES[href] ?? href;
}

function tickColumn(selection) {
  return {
    data: null,
    orderable: false,
    searchable: false,
    className: "tick",
    render: (_, type, row, { row: place }) => {
      if (type !== "display") return "";
      return element("input", {
        type: "checkbox",
        checked: selection.ticked.has(place),
        "aria-label": `Compare ${row[1]}`,
        onchange: ({ target }) => selection.tick(place, target.checked),
      });
    },
  };
}

function followTicks(selection, table) {
  const mark = () => {
    for (const node of table.rows({ page: "current" }).nodes().toArray()) {
      const ticked = selection.ticked.has(table.row(node).index());
      node.querySelector(".tick input").checked = ticked;
      node.classList.toggle("ticked", ticked);
    }
  };
  let drawn = selection.kept;
  selection.listeners.push(() => {
    if (!sameBytes(drawn, selection.kept)) table.draw();
    drawn = selection.kept;
    mark();
  });
  table.on("draw", mark);
  mark();
}

function sameBytes(one, other) {
  return one.every((byte, place) => byte === other[place]);
}

function openerColumn() {
  return {
    data: null,
    orderable: false,
    searchable: false,
    className: "opener",
    render: (_, type, row) =>
      type === "display"
        ? element("button", {
            type: "button",
            "aria-expanded": "false",
            "aria-label": `Details of ${row[1]}`,
          })
        : "",
  };
}

// Which columns are shown: a choice that the address keeps.
function startColumns(selection, table) {
  const boxes = selection.columns
    .filter((column) => !column.empty)
    .map((column) => {
      const at = table.column(column.place + 2);
      return checkbox(column.title, at.visible(), (visible) => {
        at.visible(visible);
        selection.set({ show: { ...selection.state.v.show, [column.key]: visible } });
      });
    });
  const made = menu("Columns", ...boxes);
  made.id = "columns";
  byId("bar").append(made);
}

// A filter in the head of each column: a range, levels to tick, or a part of its text.
function startFilters(selection, table) {
  const box = element("div", { id: "filter", popover: "auto" });
  document.body.append(box);
  const buttons = selection.columns
    .filter(({ kind, empty }) => kind !== "picture" && !empty)
    .map((column) => {
      const made = button(
        "",
        (event) => {
          event.stopPropagation();
          openFilter(selection, column, box, made);
        },
        { className: "filter-button", "aria-label": `Filter ${column.title}` },
      );
      // Enter, which DataTables would take for a sort, presses the button
      made.addEventListener("keypress", (event) => event.stopPropagation());
      table
        .column(column.place + 2)
        .header()
        .querySelector(".dt-column-header")
        .append(made);
      return [column.key, made];
    });
  const mark = () => {
    for (const [key, made] of buttons) made.classList.toggle("active", key in selection.state.f);
  };
  selection.listeners.push(mark);
  mark();
}

function openFilter(selection, column, box, near) {
  const few = column.levels.length <= 40;
  box.replaceChildren(
    element("h2", {}, column.title),
    ...(column.numeric ? [rangeFilter(selection, column)] : []),
    ...(!column.numeric && !few ? [textFilter(selection, column)] : []),
    ...(few ? [levelsFilter(selection, column)] : []),
    button("Clear", () => {
      selection.filter({ [column.key]: null });
      box.hidePopover();
    }),
  );
  box.showPopover();
  const { left, bottom } = near.getBoundingClientRect();
  box.style.left = `${Math.max(8, Math.min(left, innerWidth - box.offsetWidth - 8))}px`;
  box.style.top = `${Math.max(8, Math.min(bottom + 4, innerHeight - box.offsetHeight - 8))}px`;
  box.querySelector("input, button").focus();
}

function rangeFilter(selection, column) {
  const old = selection.state.f[column.key] ?? {};
  const inputs = ["min", "max"].map((end) =>
    element("input", {
      type: "number",
      step: "any",
      value: old[end] ?? "",
      "aria-label": `${end === "min" ? "At least" : "At most"}`,
      placeholder: digits(numberOf(column.levels.at(end === "min" ? 0 : -1)), 4),
    }),
  );
  const apply = () => {
    const ends = inputs.map(({ value }) => (value === "" ? undefined : Number(value)));
    const given = ends.some((end) => end !== undefined);
    selection.filter({ [column.key]: given ? { min: ends[0], max: ends[1] } : null });
  };
  for (const input of inputs) input.addEventListener("input", apply);
  return element("div", { className: "range" }, inputs[0], " to ", inputs[1]);
}

function textFilter(selection, column) {
  const input = element("input", {
    type: "search",
    value: selection.state.f[column.key]?.has ?? "",
    "aria-label": `${column.title} has`,
  });
  input.addEventListener("input", () =>
    selection.filter({ [column.key]: input.value ? { has: input.value } : null }),
  );
  return input;
}

function levelsFilter(selection, column) {
  const rows = column.values.some(isEmpty) ? [...column.levels, null] : column.levels;
  return element(
    "div",
    { className: "levels" },
    ...rows.map((value) =>
      checkbox(column.label(value) || "nothing", selection.isChosen(column.key, value), () =>
        selection.toggle(column.key, value),
      ),
    ),
  );
}

// Opening rows.

function startOpening(table, reader) {
  table.on("click", "tbody tr", (event) => {
    const row = table.row(event.target.closest("tr"));
    if (row.index() === undefined || isBusy(event.target)) return;
    if (row.child.isShown()) closeRow(row);
    else openRow(row, reader);
  });
}

// Links keep their meaning, and text can be selected without the row closing.
function isBusy(target) {
  return target.closest("a, input, .tick, .details") !== null || getSelection().toString() !== "";
}

async function openRow(row, reader) {
  if (row.child.isShown()) return;
  row.child(detailsView(await reader(row.index())), "child").show();
  row.node().querySelector(".opener button").setAttribute("aria-expanded", "true");
}

function closeRow(row) {
  row.child(false);
  row.node().querySelector(".opener button").setAttribute("aria-expanded", "false");
}

// From a point in a figure to its row: on its page, open, in view, with the focus.
async function reveal(selection, table, row, reader) {
  if (!selection.has(row)) selection.clear();
  const order = table.rows({ search: "applied", order: "applied" }).indexes().toArray();
  const length = table.page.len();
  table.page(length > 0 ? Math.floor(order.indexOf(row) / length) : 0).draw("page");
  await openRow(table.row(row), reader);
  const node = table.row(row).node();
  node.scrollIntoView({ block: "center" });
  node.querySelector(".opener button").focus({ preventScroll: true });
}

function detailsReader() {
  const { size, chunks } = readJson("details");
  const read = new Map();
  return async (row) => {
    const place = Math.floor(row / size);
    if (!read.has(place)) read.set(place, unpack(chunks[place]).then(JSON.parse));
    return (await read.get(place))[row % size];
  };
}

function detailsView(one) {
  const text = (content) => element("pre", { tabIndex: 0 }, content);
  return element(
    "div",
    { className: "details" },
    part("Reason", one.reason, () => text(one.reason)),
    part("Images", one.images.length, () => pictures(one.images)),
    part("Patch", one.diff, () => diffView(one.diff)),
    part("End of the log", one.log, () => text(one.log)),
    part("Outputs", one.outputs.length, () =>
      element("ul", { className: "outputs" }, ...one.outputs.map((pair) => element("li", {}, link(...pair)))),
    ),
    identity(one),
  );
}

function part(title, content, view) {
  return content ? element("section", {}, element("h3", {}, title), view()) : null;
}

function pictures(images) {
  return element(
    "div",
    { className: "pictures" },
    ...images.map(([name, href]) =>
      element(
        "figure",
        {},
        element("a", { href }, element("img", { src: smallImage(href), alt: name, loading: "lazy" })),
        element("figcaption", {}, name),
      ),
    ),
  );
}

function identity(one) {
  const facts = [
    ["Experiment", one.node],
    ["Commit", one.commit],
    ["Base", one.parent],
    ["Run directory", one.directory],
  ];
  return element(
    "dl",
    { className: "facts" },
    ...facts
      .filter(([, fact]) => fact)
      .map(([name, fact]) =>
        element("div", {}, element("dt", {}, name), element("dd", {}, element("code", {}, fact))),
      ),
  );
}

const DIFF_KINDS = [
  [/^(diff |index |--- |\+\+\+ |new |deleted |similarity |rename )/, "head"],
  [/^@@/, "hunk"],
  [/^\+/, "added"],
  [/^-/, "removed"],
];

// A patch, with its added and removed lines told apart by more than their colour: by their signs.
function diffView(text) {
  const lines = text
    .replace(/\n$/, "")
    .split("\n")
    .map((line) => {
      const [, kind] = DIFF_KINDS.find(([pattern]) => pattern.test(line)) ?? [null, "same"];
      return element("span", { className: `line ${kind}` }, `${line}\n`);
    });
  return element("pre", { className: "diff", tabIndex: 0 }, ...lines);
}
