// What every figure is made of: a chart, its axes, colours and settings, drawn by ECharts on a canvas.

const PALETTE = ["#3b74af", "#d1733a", "#4c9a5b", "#a8557f", "#7b6cb5", "#8a6d3b", "#3a9a9c", "#777777"];
// Viridis, without the end that the page's background swallows.
const LIGHT_RAMP = ["#440154", "#46327e", "#365c8d", "#277f8e", "#1fa187", "#4ac16d", "#9bd13c", "#d5d62a"];
const DARK_RAMP = ["#6a5fb8", "#4f7cb8", "#3a93a8", "#2aa890", "#4ac16d", "#a0da39", "#fde725"];
const SYMBOLS = ["circle", "rect", "triangle", "diamond", "pin", "arrow"];
const CROSS = "path://M0,1L1,0L5,4L9,0L10,1L6,5L10,9L9,10L5,6L1,10L0,9L4,5Z";
const MOST_PANELS = 12;
const MOST_LINES = 1500;
const MANY = 2000; // points from which on they are drawn in bulk, without lines
const NARROW = 640; // pixels below which legends lie under the figure
const BINS = 24; // colours of a scale in bulk

function ramp() {
  return isDark() ? DARK_RAMP : LIGHT_RAMP;
}

// The page's colours, for a figure on its background.
function colours() {
  const style = getComputedStyle(document.documentElement);
  const probe = element("span");
  document.body.append(probe);
  const colour = (name) => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };
  const found = Object.fromEntries(
    ["ink", "faint", "rule", "paper", "bad", "accent"].map((name) => [name, colour(name)]),
  );
  probe.remove();
  return { ...found, family: style.fontFamily };
}

// A chart in a place: `option` is drawn anew at each call, `on` listens.
class Chart {
  constructor(place, label) {
    place.setAttribute("role", "img");
    place.setAttribute("aria-label", label);
    this.place = place;
    this.chart = echarts.init(place, null, { renderer: "canvas" });
    this.resized = () => {};
    this.observer = new ResizeObserver(() => this.follow());
    this.observer.observe(place);
    Chart.shown = this;
  }

  // Fits the chart to its place where that has changed.
  follow() {
    const { clientWidth: wide, clientHeight: high } = this.place;
    if (wide === this.chart.getWidth() && high === this.chart.getHeight()) return;
    this.chart.resize();
    this.resized();
  }

  draw(option) {
    const theme = colours();
    this.option = {
      animation: false,
      toolbox: { show: false },
      color: PALETTE,
      textStyle: { fontFamily: theme.family, color: theme.ink },
      backgroundColor: "transparent",
      ...option,
    };
    this.chart.setOption(this.option, { notMerge: true });
    this.chart.getZr().flush();
  }

  on(name, listener) {
    this.chart.on(name, listener);
  }

  brushing() {
    this.chart.dispatchAction({
      type: "takeGlobalCursor",
      key: "brush",
      brushOption: { brushType: "rect", brushMode: "single" },
    });
  }

  close() {
    this.observer.disconnect();
    this.chart.dispose();
    if (Chart.shown === this) Chart.shown = null;
  }
}
Chart.shown = null;

// The figure that is shown, as a file; on white paper where the page is dark.
function saveFigure(name, kind) {
  if (!Chart.shown) {
    say("No figure is shown that can be saved");
    return;
  }
  const { chart, option } = Chart.shown;
  const backgroundColor = colours().paper;
  if (kind === "png") {
    const [, data] = chart.getDataURL({ type: "png", pixelRatio: 2, backgroundColor }).split(",");
    saveFile(
      name,
      "image/png",
      Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0)),
    );
    return;
  }
  const drawn = echarts.init(null, null, {
    renderer: "svg",
    ssr: true,
    width: chart.getWidth(),
    height: chart.getHeight(),
  });
  drawn.setOption({ ...option, backgroundColor, brush: undefined });
  saveFile(name, "image/svg+xml", drawn.renderToSVGString());
  drawn.dispose();
}

// How a column lies along an axis: numbers as they are, words by their order.
function scaleOf(column) {
  if (column.numeric) return { at: (row) => finite(column.numbers[row]), words: null };
  const places = new Map(column.levels.map((value, place) => [value, place]));
  return {
    at: (row) => places.get(column.values[row]) ?? null,
    words: column.levels.map((value) => column.label(value)),
  };
}

function finite(number) {
  return Number.isFinite(number) ? number : null;
}

function axisOption(column, { log = false, theme, ...also }) {
  const { words } = scaleOf(column);
  return {
    type: words ? "category" : log ? "log" : "value",
    ...(words ? { data: words } : { scale: true }),
    name: column.unit,
    nameLocation: "middle",
    nameTextStyle: { color: theme.ink, fontSize: 13 },
    axisLabel: {
      color: theme.faint,
      hideOverlap: true,
      ...(words
        ? { width: 140, overflow: "break" }
        : {
            formatter: tickText(column),
            showMinLabel: false,
            showMaxLabel: false,
            ...ownTicks(column, log),
          }),
    },
    ...(words
      ? {}
      : { axisTick: ownTicks(column, log), splitLine: { lineStyle: { color: theme.rule, opacity: 0.6 } } }),
    axisLine: { lineStyle: { color: theme.rule } },
    ...also,
  };
}

// A dimension of few values on a log axis has its ticks there.
function ownTicks(column, log) {
  const few = log && column.kind === "dimension" && column.levels.length <= 10;
  return few ? { customValues: column.levels.map(numberOf), showMinLabel: true, showMaxLabel: true } : {};
}

// Ticks with as many digits as tell them apart.
function tickText(column) {
  return (value) => {
    const size = Math.abs(value);
    const long = size !== 0 && (size < 1e-3 || size >= 1e6);
    return long
      ? Number(value.toPrecision(4)).toExponential().replace("e+", "e")
      : String(Number(value.toPrecision(Math.max(6, column?.digits ?? 0))));
  };
}

function tipNode(selection, row, more = []) {
  const told = [...new Set([...selection.varied, ...more])];
  const lines = told.map((column) =>
    element(
      "div",
      {},
      element("span", { className: "faint" }, `${column.title} `),
      column.text(row) || "none",
    ),
  );
  return element(
    "div",
    { className: "tip" },
    badge(selection.data.rows[row][0], selection.data.tones),
    ...lines,
  );
}

function tooltip(selection, theme, more, rowOf) {
  return {
    confine: true,
    backgroundColor: theme.paper,
    borderColor: theme.rule,
    textStyle: { color: theme.ink, fontSize: 13 },
    formatter: (params) => {
      const row = rowOf(params);
      return Number.isInteger(row) ? tipNode(selection, row, more) : "";
    },
  };
}

// The columns that a figure can show.
function figureColumns(selection) {
  const kinds = ["dimension", "measure", "elapsed", "verdict", "state", "cause", "base", "launch", "job"];
  return selection.columns.filter((column) => kinds.includes(column.kind) && column.levels.length > 1);
}

// The grid's own axes, of those that vary together the first.
function gridColumns(selection) {
  const parameters = selection.ofKind("dimension");
  return selection.data.axes.map(([first]) => parameters[first]);
}

// Log where a person would: positive, and evenly spaced by factors, or over two decades.
function wantsLog(column) {
  if (!column.numeric) return false;
  const numbers = column.levels.map(numberOf).filter(Number.isFinite);
  if (numbers.length < 3 || numbers[0] <= 0) return false;
  const span = numbers.at(-1) / numbers[0];
  const ratios = numbers.slice(1).map((number, place) => number / numbers[place]);
  const even = column.kind === "dimension" && Math.max(...ratios) / Math.min(...ratios) < 1.05;
  return span >= 100 || (even && span >= 4) || (column.kind === "measure" && span >= 30);
}

// What a person would have plotted first: the measure that is a deviation, else the first that
// varies, against the parameter with the most values, a line for each value of the next.
function firstFigure(selection) {
  const axes = gridColumns(selection);
  const across = [...axes].sort(
    (a, b) => b.numeric - a.numeric || wantsLog(b) - wantsLog(a) || b.levels.length - a.levels.length,
  );
  const measures = [...selection.ofKind("measure"), ...selection.ofKind("elapsed")].filter(
    (one) => one.numeric && one.levels.length > 1,
  );
  const deviation = measures.find(({ title }) =>
    /err|resid|norm|loss|deviat|(^|_)l(1|2|inf)(_|$)/i.test(title),
  );
  const y = deviation ?? measures[0] ?? selection.kind("verdict");
  const [x, ...rest] = across;
  const words = rest.filter((one) => !one.numeric);
  const [by, panels, slice] = [...words, ...rest.filter((one) => one.numeric)];
  return {
    x: x?.key,
    y: y.key,
    colour: by?.key ?? "",
    panels: panels && panels.levels.length <= MOST_PANELS ? panels.key : "",
    slice: slice?.key ?? "",
  };
}

// The view that a page opens with.
function firstTab(selection) {
  const axes = gridColumns(selection);
  const fine = axes.length === 2 && axes.every((column) => column.numeric && column.levels.length > 3);
  return fine ? "heat" : "points";
}

// The figure's settings: those of the address, where this page can follow them, else the first.
function settings(selection, names) {
  const first = firstFigure(selection);
  const known = (key, none) => (selection.byKey.has(key) || (none && key === "") ? key : undefined);
  const { v } = selection.state;
  const chosen = {};
  for (const name of names) chosen[name] = known(v[name], !["x", "y"].includes(name)) ?? first[name] ?? "";
  return Object.fromEntries(
    Object.entries(chosen).map(([name, key]) => [name, selection.byKey.get(key) ?? null]),
  );
}

function columnChooser(selection, title, name, column, none) {
  const options = figureColumns(selection).map(({ key, title: text }) => [key, text]);
  return chooser(title, [...(none ? [["", none]] : []), ...options], column?.key ?? "", (key) =>
    selection.set({
      [name]: key,
      ...(name === "x" ? { logx: null } : {}),
      ...(name === "y" ? { logy: null } : {}),
    }),
  );
}

// A slider over the levels of a further dimension: it filters, so the table follows.
function slicer(selection, name, column) {
  const choices = gridColumns(selection);
  const parts = [
    chooser(
      "Slice",
      [["", "none"], ...choices.map(({ key, title }) => [key, title])],
      column?.key ?? "",
      (key) => {
        if (column) delete selection.state.f[column.key];
        selection.set({ [name]: key });
      },
    ),
  ];
  if (column) {
    const { levels } = column;
    const at = levels.indexOf(selection.state.f[column.key]?.in?.[0]) + 1;
    const told = element("output", {}, at ? column.label(levels[at - 1]) : "all");
    const slider = element("input", {
      type: "range",
      min: 0,
      max: levels.length,
      value: at,
      "aria-label": `${column.title}: 0 is all`,
    });
    slider.addEventListener("input", () => {
      const value = Number(slider.value);
      told.textContent = value ? column.label(levels[value - 1]) : "all";
      selection.filter({ [column.key]: value ? { in: [levels[value - 1]] } : null });
    });
    parts.push(element("label", { className: "slider" }, slider, ` ${column.title}: `, told));
  }
  return parts;
}

// A view is made once in a place; `update` follows the selection, `controls` its settings.
function figureView(selection, place, go, { names, controls, build, tall = () => 440 }) {
  const forms = element("form", { className: "choices", onsubmit: (event) => event.preventDefault() });
  const box = element("div", { className: "figure" });
  const note = element("p", { className: "note", role: "status" });
  place.append(forms, box, note);
  const chart = new Chart(box, "");
  let shownControls = "";
  const update = () => {
    const chosen = settings(selection, names);
    const signature = JSON.stringify(selection.state.v);
    if (signature !== shownControls && !forms.contains(document.activeElement?.closest("[type=range]"))) {
      const focus = [...forms.querySelectorAll("select, input")].indexOf(document.activeElement);
      forms.replaceChildren(...controls(chosen).flat());
      if (focus >= 0) forms.querySelectorAll("select, input")[focus]?.focus();
      shownControls = signature;
    }
    const height = `${tall(chosen, box.clientWidth)}px`;
    if (box.style.height !== height) {
      box.style.height = height;
      chart.chart.resize();
    }
    const {
      option,
      told = "",
      label,
    } = build(chosen, colours(), { width: box.clientWidth, height: box.clientHeight });
    box.setAttribute("aria-label", `${label} The table below holds the numbers.`);
    note.textContent = told;
    chart.draw(option);
    chart.after?.();
  };
  go(chart);
  chart.resized = update;
  update();
  return { update, close: () => chart.close() };
}
