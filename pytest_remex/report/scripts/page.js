// The page: the elements and numbers that every part of it uses, its head, its views, its start.

// The one way to make an element here: text stays text.
function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name in made && !name.includes("-")) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

function byId(id) {
  return document.getElementById(id);
}

function button(text, onclick, properties = {}) {
  return element("button", { type: "button", onclick, ...properties }, text);
}

function badge(word, tones) {
  return element("span", { className: `badge ${tones[word] ?? "unknown"}` }, word);
}

function link(name, href) {
  return href ? element("a", { href }, name) : element("span", {}, name);
}

// A labelled select: `options` are pairs of value and text.
function chooser(title, options, chosen, changed) {
  const select = element("select", { onchange: () => changed(select.value) });
  select.append(...options.map(([value, text]) => element("option", { value }, text)));
  select.value = options.some(([value]) => value === chosen) ? chosen : options[0][0];
  return element("label", {}, `${title} `, select);
}

function checkbox(title, checked, changed) {
  const box = element("input", { type: "checkbox", checked, onchange: () => changed(box.checked) });
  return element("label", { className: "check" }, box, ` ${title}`);
}

// What stays on one line.
function pair(...parts) {
  return element("span", { className: "pair" }, ...parts);
}

// A menu of buttons that closes when one is pressed, on Escape, and when the reader goes elsewhere.
function menu(title, ...items) {
  const made = element("details", { className: "menu" }, element("summary", {}, title));
  made.append(element("div", { className: "menu-items" }, ...items));
  const close = () => {
    made.open = false;
  };
  made.addEventListener("click", (event) => {
    if (event.target.closest(".menu-items button")) close();
  });
  made.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      close();
      made.firstChild.focus();
    }
  });
  document.addEventListener("pointerdown", (event) => {
    if (!made.contains(event.target)) close();
  });
  return made;
}

// Tells a screen reader, and shows for a moment, what has been done.
function say(text) {
  byId("said").textContent = text;
  const toast = element("div", { className: "toast", "aria-hidden": "true" }, text);
  document.body.append(toast);
  setTimeout(() => toast.remove(), 2500);
}

function readJson(id) {
  return JSON.parse(byId(`${id}-data`).textContent);
}

async function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

const LOADING = new Map();

// Runs a packed library, once; the page's policy admits it by its hash.
function library(name) {
  if (!LOADING.has(name)) {
    const run = unpack(byId(`${name}-code`).textContent).then((code) =>
      withoutMapStyles(() => {
        document.head.append(element("script", { textContent: code }));
      }),
    );
    LOADING.set(name, run);
  }
  return LOADING.get(name);
}

// Plotly adds the styles of its maps, which the policy refuses and which need a network anyway,
// unless an element of their id is there: while it loads, one is.
function withoutMapStyles(run) {
  const find = document.getElementById.bind(document);
  document.getElementById = (id) => find(id) ?? document.createElement("template");
  try {
    run();
  } finally {
    delete document.getElementById;
  }
}

function saveFile(name, type, content) {
  const address = URL.createObjectURL(new Blob([content], { type }));
  element("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

async function copyText(text, what) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = element("textarea", { value: text, className: "unseen" });
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  say(`Copied ${what}`);
}

function thousands(number) {
  return number.toLocaleString("en");
}

function plural(number, word) {
  return `${thousands(number)} ${word}${number === 1 ? "" : "s"}`;
}

function digits(value, count) {
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value !== "number" || Number.isInteger(value)) return value === null ? "" : String(value);
  return String(Number(value.toPrecision(count))).replace("e+", "e");
}

function duration(seconds) {
  if (seconds === null) return "";
  const whole = Math.round(seconds);
  const two = (number) => String(number).padStart(2, "0");
  if (whole < 60) return `${Number(seconds.toPrecision(3))} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`;
  return `${Math.floor(whole / 86400)} d ${two(Math.floor((whole % 86400) / 3600))} h`;
}

function isEmpty(value) {
  return value === null || value === "" || value === undefined;
}

// Numbers as such, also those that came as text; null for what is none.
function numberOf(value) {
  const words = { inf: Infinity, "-inf": -Infinity };
  if (isEmpty(value) || value === "nan") return null;
  const number = typeof value === "string" ? (words[value] ?? Number(value)) : Number(value);
  return Number.isNaN(number) ? null : number;
}

const SYSTEM_DARK = matchMedia("(prefers-color-scheme: dark)");

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : SYSTEM_DARK.matches;
}

// Light or dark: the system's choice until the button is pressed; always light on paper.
function startTheme(changed) {
  const choose = (theme) => {
    document.documentElement.dataset.theme = theme;
    document.documentElement.classList.toggle("dark", isDark());
    byId("theme").textContent = isDark() ? "Light" : "Dark";
    changed();
  };
  byId("theme").hidden = false;
  byId("theme").addEventListener("click", () => choose(isDark() ? "light" : "dark"));
  SYSTEM_DARK.addEventListener("change", () => choose(""));
  whilePrinting(() => {
    const before = document.documentElement.dataset.theme;
    if (isDark()) choose("light");
    return () => choose(before);
  });
  choose("");
}

// Runs `prepare` before the page is printed, and what that returns afterwards.
function whilePrinting(prepare) {
  let restore = () => {};
  addEventListener("beforeprint", () => {
    restore = prepare();
  });
  addEventListener("afterprint", () => restore());
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
        element("span", { className: "count" }, thousands(number)),
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

// The page, from its data: first the table, then, once that is seen, the figures.

// The views that this page can show, in the order of their tabs.
function viewsOf(selection, show, reader) {
  const figures = readJson("figures");
  const plotted =
    selection.size > 1 && figureColumns(selection).length > 1 && gridColumns(selection).length > 0;
  const images = selection.ofKind("picture").some(({ empty }) => !empty);
  return [
    plotted && { name: "points", title: "Points", start: (place) => pointsView(selection, place, show) },
    plotted &&
      gridColumns(selection).length > 1 && {
        name: "heat",
        title: "Heat map",
        start: (place) => heatView(selection, place, show),
      },
    plotted && {
      name: "parallel",
      title: "Parallel",
      start: (place) => parallelView(selection, place, show),
    },
    readJson("curves").length > 0 && {
      name: "curves",
      title: "Curves",
      start: (place) => curvesView(selection, place),
    },
    images && { name: "images", title: "Images", start: (place) => galleryView(selection, place) },
    figures.own.length > 0 && {
      name: "own",
      title: "Own figures",
      start: (place) => ownView(figures.own, place),
    },
    selection.size > 1 && {
      name: "compare",
      title: "Compare",
      start: (place) => compareView(selection, place, reader),
    },
  ].filter(Boolean);
}

// Figures that the sweep's own hook made: drawn as they came, on the page's background.
async function ownView(items, place) {
  const boxes = items.map(({ problem }) =>
    problem ? element("p", { className: "note" }, problem) : element("div", { className: "figure" }),
  );
  place.append(...boxes);
  if (items.some(({ figure }) => figure)) await library("plotly");
  items.forEach(({ figure }, at) => {
    if (figure) Plotly.newPlot(boxes[at], figure.data, themed(figure.layout ?? {}), PLOTLY);
  });
  const close = () => {
    for (const box of boxes) globalThis.Plotly?.purge(box);
  };
  return { update: () => {}, close };
}

// Nothing that would send a figure away.
const PLOTLY = { displaylogo: false, plotlyServerURL: "", responsive: true, showSendToCloud: false };

function themed(layout) {
  const { ink, rule, family } = colours();
  const axis = { gridcolor: rule, zerolinecolor: rule, linecolor: rule, automargin: true };
  return {
    margin: { l: 70, r: 20, t: 40, b: 60 },
    paper_bgcolor: "transparent",
    plot_bgcolor: "transparent",
    colorway: PALETTE,
    ...layout,
    font: { family, size: 13, color: ink },
    xaxis: { ...axis, ...layout.xaxis },
    yaxis: { ...axis, ...layout.yaxis },
  };
}

// One view at a time; the arrow keys go from tab to tab.
function startViews(selection, views) {
  let [current, live] = ["", null];
  const tabs = views.map(({ name, title }) =>
    element(
      "button",
      {
        type: "button",
        role: "tab",
        id: `tab-${name}`,
        "aria-controls": "view",
        onclick: () => selection.set({ tab: name }),
      },
      title,
    ),
  );
  byId("tabs").append(...tabs);
  byId("tabs").addEventListener("keydown", ({ key }) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
    if (!step) return;
    const next = tabs[(tabs.indexOf(document.activeElement) + step + tabs.length) % tabs.length];
    next.focus();
    next.click();
  });
  byId("figures").hidden = views.length === 0;
  const fitting = () =>
    views.find(({ name }) => name === selection.state.v.tab) ??
    views.find(({ name }) => name === firstTab(selection)) ??
    views[0];
  const open = async (again = false) => {
    const view = fitting();
    if (!view) return;
    if (view.name === current && !again) {
      live?.update();
      return;
    }
    current = view.name;
    live?.close();
    live = null;
    tabs.forEach((tab, at) => {
      tab.setAttribute("aria-selected", String(views[at] === view));
      tab.tabIndex = views[at] === view ? 0 : -1;
    });
    const place = element("div");
    byId("view").replaceChildren(place);
    byId("view").setAttribute("aria-labelledby", `tab-${view.name}`);
    const made = await view.start(place);
    if (current === view.name) live = made;
    byId("view").dataset.shown = view.name;
  };
  selection.listeners.push(() => open());
  return open;
}

async function start() {
  let redraw = () => {};
  startTheme(() => redraw());
  await library("tables");
  const selection = new Selection(readJson("table"));
  const reader = detailsReader();
  startBar(selection);
  startPills(selection);
  const table = startTable(selection);
  startOpening(table, reader);
  if (selection.size === 1) await openRow(table.row(0), reader);
  reached("table");
  await library("charts");
  const show = (row) => {
    selection.tick(row);
    if (selection.ticked.has(row)) reveal(selection, table, row, reader);
  };
  const open = startViews(selection, viewsOf(selection, show, reader));
  redraw = () => open(true);
  await open();
  addEventListener("hashchange", () => location.reload());
  reached("figures");
}

// For whoever measures or waits for the page.
function reached(stage) {
  document.documentElement.dataset.ready = stage;
  performance.mark(stage);
}

// Without what the page needs of a browser, the plain table that it carries is shown.
start().catch((problem) => {
  byId("main").innerHTML = byId("plain").textContent;
  throw problem;
});
