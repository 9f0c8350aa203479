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
    Chart.shown.add(this);
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
    Chart.shown.delete(this);
  }
}
Chart.shown = new Set();

// The figures that are shown, each as a file, on the page's own background.
function saveFigures(name, kind) {
  const shown = [...Chart.shown];
  if (!shown.length) say("No figure is shown that can be saved");
  shown.forEach((one, at) => saveFigure(one, `${name}${at ? `-${at + 1}` : ""}.${kind}`, kind));
}

function saveFigure({ chart, option }, name, kind) {
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

function axisOption(column, { log = false, theme, ends = {}, labels = {}, ...also }) {
  const { words } = scaleOf(column);
  const looks = {
    name: column.unit,
    nameLocation: "middle",
    nameTextStyle: { color: theme.ink, fontSize: 13 },
    axisLine: { lineStyle: { color: theme.rule } },
  };
  const faint = { color: theme.faint, hideOverlap: true };
  if (words)
    return {
      type: "category",
      data: words,
      ...looks,
      axisLabel: { ...faint, width: 140, overflow: "break", ...labels },
      ...also,
    };
  const ticks = log ? logTicks(column, ends) : {};
  return {
    type: log ? "log" : "value",
    scale: true,
    ...ends,
    ...looks,
    axisLabel: {
      ...faint,
      formatter: tickText(column),
      showMinLabel: false,
      showMaxLabel: false,
      ...labels,
      ...ticks,
    },
    axisTick: ticks,
    splitLine: { lineStyle: { color: theme.rule, opacity: 0.6 } },
    ...also,
  };
}

const LOG_STEPS = [[1], [1, 3], [1, 2, 5], [1, 2, 3, 5, 7], [1, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9]];

// A dimension of few values has its ticks on a log axis there; of others three at least are seen.
function logTicks(column, { min, max }) {
  const at = (values) => ({ customValues: values, showMinLabel: true, showMaxLabel: true });
  if (column.kind === "dimension" && column.levels.length <= 10) return at(column.levels.map(numberOf));
  if (!(min > 0 && max > min) || max / min >= 1e3) return {};
  const decades = [];
  for (let power = Math.floor(Math.log10(min)); power <= Math.log10(max); power += 1) decades.push(power);
  const ticks = LOG_STEPS.map((steps) =>
    decades
      .flatMap((power) => steps.map((step) => Number(`${step}e${power}`)))
      .filter((value) => min <= value && value <= max),
  );
  return at(ticks.find((some) => some.length >= 3) ?? ticks.at(-1));
}

let PEN = null;

// The width of text in pixels, as a figure writes it.
function textWidth(text) {
  if (!PEN) {
    PEN = document.createElement("canvas").getContext("2d");
    PEN.font = `12px ${getComputedStyle(document.documentElement).fontFamily}`;
  }
  return PEN.measureText(text).width;
}

// Every how many levels have a label, so that all of them lie evenly and none overlaps another.
function labelStep(column, pixels, size) {
  const needed = (size * column.levels.length) / pixels;
  return [1, 2, 5, 10, 20, 25, 50, 100, 250, 500, 1000].find((step) => step >= needed) ?? 5000;
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
  const columns = [...new Set([...selection.varied, ...more])];
  const lines = columns.map((column) =>
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
  // what is drawn can be chosen, even if it has one value in all rows
  const columns = new Set([...figureColumns(selection), ...(column ? [column] : [])]);
  const options = [...columns].map(({ key, title: text }) => [key, text]);
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
    const chosen = element("output", {}, at ? column.label(levels[at - 1]) : "all");
    const slider = element("input", {
      type: "range",
      min: 0,
      max: levels.length,
      value: at,
      "aria-label": `${column.title}: 0 is all`,
    });
    slider.addEventListener("input", () => {
      const value = Number(slider.value);
      chosen.textContent = value ? column.label(levels[value - 1]) : "all";
      selection.filter({ [column.key]: value ? { in: [levels[value - 1]] } : null });
    });
    parts.push(element("label", { className: "slider" }, slider, ` ${column.title}: `, chosen));
  }
  return parts;
}

// Returns what fills a form anew when the state has changed, but not while its slider is moved.
function formFiller(selection, form) {
  let shown = "";
  return (controls) => {
    const signature = JSON.stringify([selection.state.v, selection.state.f]);
    if (signature === shown || form.contains(document.activeElement?.closest("[type=range]"))) return;
    const focus = [...form.querySelectorAll("select, input")].indexOf(document.activeElement);
    form.replaceChildren(...controls());
    if (focus >= 0) form.querySelectorAll("select, input")[focus]?.focus();
    shown = signature;
  };
}

// A view is made once in a place; `update` follows the selection, `controls` its settings. What
// `build` returns has its option, its caption, and the room of a legend there.
function figureView(selection, place, go, { names, controls, build, tall = () => 440 }) {
  const forms = element("form", { className: "choices", onsubmit: (event) => event.preventDefault() });
  const box = element("div", { className: "figure" });
  const note = element("p", { className: "note", role: "status" });
  place.append(forms, box, note);
  const chart = new Chart(box, "");
  const refill = formFiller(selection, forms);
  const update = () => {
    const chosen = settings(selection, names);
    refill(() => controls(chosen).flat());
    const total = { width: box.clientWidth, height: tall(chosen, box.clientWidth) };
    const { option, caption = "", label, room = 0 } = build(chosen, colours(), total);
    const height = `${total.height + room}px`;
    if (box.style.height !== height) {
      box.style.height = height;
      chart.chart.resize();
    }
    box.setAttribute("aria-label", `${label} The table below holds the numbers.`);
    note.textContent = caption;
    chart.draw(option);
    chart.after?.();
  };
  go(chart);
  chart.resized = update;
  update();
  return { update, close: () => chart.close() };
}

// What figures share beside their points: legends, colour bars, marks and the brush.

const LINES = { icon: "roundRect", itemWidth: 16, itemHeight: 4 };

function legendOption(names, theme, place) {
  return {
    data: names,
    itemWidth: 18,
    orient: "vertical",
    textStyle: { color: theme.ink, lineHeight: 15, overflow: "break", width: place.width - 30 },
    pageTextStyle: { color: theme.faint },
    pageIconColor: theme.ink,
    ...place,
  };
}

// A legend beside its figure; it turns pages where it is long.
function legendBeside(names, theme, width) {
  return legendOption(names, theme, { type: "scroll", right: 0, top: 16, bottom: 16, width });
}

// A legend below its figure, in full: its top, and the room that it takes, a line each or more.
function legendBelow(names, theme, { width, top }) {
  const lines = names.map((name) => Math.ceil((textWidth(name) * 1.05) / (width - 40)) || 1);
  const room = lines.reduce((sum, many) => sum + many * 15 + 10, 0) + 10;
  return { legend: legendOption(names, theme, { left: 0, top, width: width - 10 }), room };
}

const FLAT_ROOM = 56;
const LOW_BAR = { top: undefined, bottom: 20 };

// What lays a colour bar below its figure.
function flatBar(top) {
  const flat = { orient: "horizontal", left: "center", right: undefined, itemHeight: 120, itemWidth: 10 };
  return { ...flat, top: top + 4 };
}

// A column as colours: by its logarithm where a person would take that.
function colourScale(column) {
  const { at: plain, words } = scaleOf(column);
  const log = wantsLog(column);
  const at = log ? (row) => (plain(row) > 0 ? Math.log10(plain(row)) : null) : plain;
  const format = (number) =>
    Number.isFinite(number) ? (words?.[number] ?? digits(log ? 10 ** number : number, 4)) : "";
  const { low, high } = extent(column.values.map((_, row) => at(row)).filter((value) => value !== null));
  const part = (value) => (high > low ? (value - low) / (high - low) : 0.5);
  const shade = (row) => mixed(at(row) === null ? NaN : part(at(row)));
  return { at, format, log, low, high, shade };
}

// A colour of the scale, by ECharts' own mixing.
function mixed(part) {
  return Number.isFinite(part) ? echarts.color.lerp(part, ramp()) : "#888888";
}

function extent(values) {
  const low = values.reduce((a, b) => Math.min(a, b), Infinity);
  const high = values.reduce((a, b) => Math.max(a, b), -Infinity);
  return { low, high };
}

// The bar of a colour scale, for these series, by a dimension of their points.
function colourBar(column, theme, { low, high, format }, { dimension, seriesIndex }) {
  const known = low <= high;
  return {
    type: "continuous",
    dimension,
    seriesIndex,
    calculable: false,
    right: 10,
    top: "middle",
    itemHeight: 200,
    itemWidth: 16,
    min: known ? low : 0,
    max: known ? (high > low ? high : low + 1) : 1,
    text: [`${column.unit}\n${format(high)}`, format(low)],
    textGap: 14,
    inRange: { color: ramp() },
    textStyle: { color: theme.ink, width: 120, overflow: "break", lineHeight: 15 },
  };
}

// A mark of what has no value; in bulk a simpler one.
function crossLook(color, many, size) {
  return {
    symbol: many ? "triangle" : CROSS,
    symbolSize: many ? Math.max(size / 2, 4) : size,
    itemStyle: { color },
    large: many,
    largeThreshold: 0,
  };
}

// A rectangle that selects; the points are told apart by the selection, not by the brush.
function brushOption(theme, xAxisIndex, yAxisIndex) {
  return {
    toolbox: [],
    xAxisIndex,
    yAxisIndex,
    brushLink: "none",
    seriesIndex: [],
    transformable: false,
    brushStyle: { color: "rgba(127,127,127,.15)", borderColor: theme.accent, borderWidth: 1 },
  };
}

function isScale(column) {
  return column.numeric && column.levels.length > 8;
}
