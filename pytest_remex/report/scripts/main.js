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
