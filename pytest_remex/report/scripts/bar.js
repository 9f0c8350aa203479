// The bar, the pills and the lists above the table: what sets the selection, and what takes it away.

// What is selected, why, and what can be done with it.
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
        : `${rows.toLocaleString("en")} of ${plural(selection.size, "experiment")}`;
    if (find !== document.activeElement) find.value = selection.state.q;
    const told = Object.entries(selection.state.f).map(([key, one]) =>
      chip(filterText(selection.byKey.get(key), one), () => selection.filter({ [key]: null })),
    );
    if (selection.state.k) told.push(chip("only ticked", () => selection.keepTicked(false)));
    chips.replaceChildren(...told);
    clear.hidden = !told.length && !selection.state.q;
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
    button("Figure as PNG", () => saveFigure(name("png"), "png")),
    button("Figure as SVG", () => saveFigure(name("svg"), "svg")),
  );
}

function fileName(text) {
  return text.replace(/[^\w.-]+/g, "_").slice(0, 80) || "report";
}

// The verdicts' counts, the causes and the launches, made buttons that select.
function startPills(selection) {
  const verdict = selection.kind("verdict");
  const pressed = [];
  const select = (key, value, ...children) => {
    const made = element(
      "button",
      { type: "button", onclick: () => selection.toggle(key, value) },
      ...children,
    );
    pressed.push(() => made.setAttribute("aria-pressed", String(selection.isChosen(key, value))));
    return made;
  };
  for (const item of document.querySelectorAll("#verdicts li")) {
    item.append(select(verdict.key, item.querySelector(".badge").textContent, ...item.childNodes));
  }
  fillCauses(selection, select);
  fillLaunches(selection, select);
  const draw = () => {
    for (const press of pressed) press();
  };
  selection.listeners.push(draw);
  draw();
}

function fillCauses(selection, select) {
  const { causes } = selection.data;
  if (!causes.length) return;
  const cause = selection.kind("cause");
  const items = causes.map(([text, number]) =>
    element(
      "li",
      {},
      select(
        cause.key,
        text,
        element("span", { className: "count" }, String(number)),
        " ",
        element("span", {}, text),
      ),
    ),
  );
  const list = (some) => element("ul", {}, ...some);
  const more =
    items.length > 5
      ? element(
          "details",
          {},
          element("summary", {}, `${items.length - 5} more causes`),
          list(items.slice(5)),
        )
      : null;
  byId("causes").append(
    element("h2", {}, "What went wrong"),
    list(items.slice(0, 5)),
    ...(more ? [more] : []),
  );
  byId("causes").hidden = false;
}

function fillLaunches(selection, select) {
  const { launches, tones } = selection.data;
  const column = selection.kind("launch");
  if (launches.length < 2 && !launches.some(({ href }) => href)) return;
  const items = launches.map((one) =>
    element(
      "li",
      {},
      column.levels.includes(one.id) ? select(column.key, one.id, one.id) : element("span", {}, one.id),
      one.href ? link("open", one.href) : null,
      element("span", {}, one.when),
      element("code", {}, one.base),
      ...one.counts.map(([word, number]) => element("span", {}, badge(word, tones), ` ${number}`)),
    ),
  );
  byId("launches").append(
    element(
      "details",
      {},
      element("summary", {}, plural(launches.length, "launch").replace("launchs", "launches")),
      element("ul", {}, ...items),
    ),
  );
  byId("launches").hidden = false;
}
