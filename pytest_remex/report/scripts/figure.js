// Figures of the selection, drawn by ECharts on a canvas: points, heat map, parallel coordinates.

const PALETTE = ["#3b74af", "#d1733a", "#4c9a5b", "#a8557f", "#7b6cb5", "#8a6d3b", "#3a9a9c", "#777777"];
const VIRIDIS = ["#440154", "#46327e", "#365c8d", "#277f8e", "#1fa187", "#4ac16d", "#a0da39", "#fde725"];
const SYMBOLS = ["circle", "rect", "triangle", "diamond", "pin", "arrow"];
const CROSS = "path://M0,1L1,0L5,4L9,0L10,1L6,5L10,9L9,10L5,6L1,10L0,9L4,5Z";
const MOST_PANELS = 12;
const MOST_LINES = 1500;
const MANY = 2000; // points from which on they are drawn in bulk, without lines
const BINS = 24; // colours of a scale in bulk

// The page's colours, for a figure on its background.
function colours() {
  const style = getComputedStyle(document.documentElement);
  const probe = element("span");
  document.body.append(probe);
  const colour = (name) => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };
  const found = Object.fromEntries(["ink", "faint", "rule", "paper", "bad", "accent"].map((name) => [name, colour(name)]));
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
    this.observer = new ResizeObserver(() => this.chart.resize());
    this.observer.observe(place);
    Chart.shown = this;
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
    this.chart.dispatchAction({ type: "takeGlobalCursor", key: "brush", brushOption: { brushType: "rect", brushMode: "single" } });
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
    saveFile(name, "image/png", Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0)));
    return;
  }
  const drawn = echarts.init(null, null, { renderer: "svg", ssr: true, width: chart.getWidth(), height: chart.getHeight() });
  drawn.setOption({ ...option, backgroundColor, brush: undefined });
  saveFile(name, "image/svg+xml", drawn.renderToSVGString());
  drawn.dispose();
}

// How a column lies along an axis: numbers as they are, words by their order.
function scaleOf(column) {
  if (column.numeric) return { at: (row) => finite(column.numbers[row]), words: null };
  const places = new Map(column.levels.map((value, place) => [value, place]));
  return { at: (row) => places.get(column.values[row]) ?? null, words: column.levels.map((value) => column.label(value)) };
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
      color: theme.faint, hideOverlap: true,
      ...(words ? { width: 140, overflow: "break" } : { formatter: tickText(column), showMinLabel: false, showMaxLabel: false, ...ownTicks(column, log) }),
    },
    ...(words ? {} : { axisTick: ownTicks(column, log), splitLine: { lineStyle: { color: theme.rule, opacity: 0.6 } } }),
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
    return long ? Number(value.toPrecision(4)).toExponential().replace("e+", "e") : String(Number(value.toPrecision(Math.max(6, column?.digits ?? 0))));
  };
}

function tipNode(selection, row, more = []) {
  const told = [...new Set([...selection.varied, ...more])];
  const lines = told.map((column) => element("div", {}, element("span", { className: "faint" }, `${column.title} `), column.text(row) || "none"));
  return element("div", { className: "tip" }, badge(selection.data.rows[row][0], selection.data.tones), ...lines);
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
  const across = [...axes].sort((a, b) => (b.numeric - a.numeric) || (wantsLog(b) - wantsLog(a)) || (b.levels.length - a.levels.length));
  const measures = [...selection.ofKind("measure"), ...selection.ofKind("elapsed")].filter((one) => one.numeric && one.levels.length > 1);
  const deviation = measures.find(({ title }) => /err|resid|norm|loss|deviat|(^|_)l(1|2|inf)(_|$)/i.test(title));
  const y = deviation ?? measures[0] ?? selection.kind("verdict");
  const [x, ...rest] = across;
  const words = rest.filter((one) => !one.numeric);
  const [by, panels, slice] = [...words, ...rest.filter((one) => one.numeric)];
  return { x: x?.key, y: y.key, colour: by?.key ?? "", panels: panels && panels.levels.length <= MOST_PANELS ? panels.key : "", slice: slice?.key ?? "" };
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
  return Object.fromEntries(Object.entries(chosen).map(([name, key]) => [name, selection.byKey.get(key) ?? null]));
}

function columnChooser(selection, title, name, column, none) {
  const options = figureColumns(selection).map(({ key, title: text }) => [key, text]);
  return chooser(title, [...(none ? [["", none]] : []), ...options], column?.key ?? "", (key) => selection.set({ [name]: key, ...(name === "x" ? { logx: null } : {}), ...(name === "y" ? { logy: null } : {}) }));
}

// A slider over the levels of a further dimension: it filters, so the table follows.
function slicer(selection, name, column) {
  const choices = gridColumns(selection);
  const parts = [chooser("Slice", [["", "none"], ...choices.map(({ key, title }) => [key, title])], column?.key ?? "", (key) => {
    if (column) delete selection.state.f[column.key];
    selection.set({ [name]: key });
  })];
  if (column) {
    const { levels } = column;
    const at = levels.indexOf(selection.state.f[column.key]?.in?.[0]) + 1;
    const told = element("output", {}, at ? column.label(levels[at - 1]) : "all");
    const slider = element("input", { type: "range", min: 0, max: levels.length, value: at, "aria-label": `${column.title}: 0 is all` });
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
    if (box.style.height !== `${tall(chosen)}px`) {
      box.style.height = `${tall(chosen)}px`;
      chart.chart.resize();
    }
    const { option, told = "", label } = build(chosen, colours(), { width: box.clientWidth, height: box.clientHeight });
    box.setAttribute("aria-label", `${label} The table below holds the numbers.`);
    note.textContent = told;
    chart.draw(option);
    chart.after?.();
  };
  go(chart);
  update();
  return { update, close: () => chart.close() };
}

// Points.

function pointsView(selection, place, show) {
  const { v } = selection.state;
  const log = (column, name) => (typeof v[name] === "boolean" ? v[name] : wantsLog(column));
  const flags = ({ x, y }) => ({ logx: log(x, "logx"), logy: log(y, "logy"), fit: v.fit === true, lines: v.lines !== false });
  return figureView(selection, place, (chart) => {
    chart.after = () => chart.brushing();
    chart.on("click", (point) => Number.isInteger(rowOfPoint(point)) && show(rowOfPoint(point)));
    chart.on("brushEnd", ({ areas }) => brushPoints(selection, areas));
  }, {
    names: ["x", "y", "colour", "symbol", "panels", "slice"],
    tall: ({ panels }) => 440 + (panelLevels(panels).length > 4 ? 200 : 0),
    controls: (chosen) => {
      const { logx, logy, fit, lines } = flags(chosen);
      const choose = (title, name, none) => columnChooser(selection, title, name, chosen[name], none);
      return [
        choose("Across", "x"), checkbox("log", logx, (on) => selection.set({ logx: on })),
        choose("Up", "y"), checkbox("log", logy, (on) => selection.set({ logy: on })),
        choose("Colour", "colour", "none"), choose("Symbol", "symbol", "none"), choose("Panels", "panels", "none"),
        slicer(selection, "slice", chosen.slice),
        checkbox("lines", lines, (on) => selection.set({ lines: on })),
        checkbox("zoom to the selection", fit, (on) => selection.set({ fit: on })),
      ];
    },
    build: (chosen, theme, total) => pointsOption(selection, chosen, flags(chosen), theme, total),
  });
}

function panelLevels(panels) {
  return panels ? panels.levels.slice(0, MOST_PANELS) : [null];
}

function rowOfPoint({ data }) {
  return (data?.value ?? data)?.[2];
}

// A brush is a range of both axes, and the level of its panel.
function brushPoints(selection, areas) {
  const { x, y, panels } = settings(selection, ["x", "y", "panels"]);
  const [area] = areas;
  if (!area?.coordRange) return;
  const panel = panels ? panelLevels(panels)[Number(/\d+$/.exec(area.panelId)?.[0] ?? 0)] : null;
  selection.filter({
    [x.key]: rangeOf(x, area.coordRange[0]),
    [y.key]: rangeOf(y, area.coordRange[1]),
    ...(panel === null ? {} : { [panels.key]: { in: [panel] } }),
  });
}

// A range as a filter, its ends rounded outwards to what a person would write.
function rangeOf(column, [low, high]) {
  if (!column.numeric) return { in: column.levels.slice(Math.max(0, Math.ceil(low)), Math.floor(high) + 1) };
  return { min: Number(low.toPrecision(4)), max: Number(high.toPrecision(4)) };
}

function pointsOption(selection, chosen, flags, theme, total) {
  const { x, y, panels } = chosen;
  const levels = panelLevels(panels);
  const width = Math.min(levels.length, levels.length === 4 ? 2 : 4);
  const height = Math.ceil(levels.length / width);
  const axis = (column, log, also) => axisOption(column, { log, theme, ...also });
  const drawn = pointGroups(selection, chosen, flags, theme);
  const numericColour = chosen.colour && isScale(chosen.colour);
  const room = drawn.names.length > 1 || numericColour ? 170 : 0;
  const frames = levels.map((_, place) => panelFrame(place, [width, height], total, room));
  return {
    option: {
      grid: frames,
      title: levels.map((level, place) => ({
        show: level !== null, text: panels ? `${panels.title}: ${panels.label(level)}` : "", left: frames[place].titleLeft, top: frames[place].titleTop,
        textStyle: { fontSize: 12, fontWeight: 500, color: theme.faint, width: 220, overflow: "truncate" },
      })),
      xAxis: levels.flatMap((_, place) => [axis(x, flags.logx && positive(x), { gridIndex: place, nameGap: 28, ...bounds(selection, x, flags, flags.logx && positive(x)) })]),
      yAxis: [
        ...levels.map((_, place) => axis(y, flags.logy && positive(y), { gridIndex: place, nameGap: 44, ...bounds(selection, y, flags, flags.logy && positive(y)) })),
        ...levels.map((_, place) => ({ gridIndex: place, min: 0, max: 1, show: false })),
      ],
      legend: legendOption(drawn.names, theme, [chosen.colour, chosen.symbol]),
      visualMap: numericColour ? colourBar(chosen.colour, theme, drawn.series) : undefined,
      tooltip: tooltip(selection, theme, [x, y, chosen.colour, chosen.symbol].filter(Boolean), rowOfPoint),
      brush: brushOption(theme, levels.map((_, place) => place), levels.map((_, place) => place)),
      series: [...drawn.series, ...laidOver(selection, chosen, levels.length, theme)],
    },
    told: pointsNote(selection, chosen),
    label: `${y.title} against ${x.title}${chosen.colour ? `, coloured by ${chosen.colour.title}` : ""}.`,
  };
}

// A rectangle that selects; the points are told apart by the selection, not by the brush.
function brushOption(theme, xAxisIndex, yAxisIndex) {
  return {
    toolbox: [], xAxisIndex, yAxisIndex, brushLink: "none", seriesIndex: [], transformable: false,
    brushStyle: { color: "rgba(127,127,127,.15)", borderColor: theme.accent, borderWidth: 1 },
  };
}

function isScale(column) {
  return column.numeric && column.levels.length > 8;
}

function positive(column) {
  return column.numeric && numberOf(column.levels[0]) > 0;
}

// The ends of an axis: of all experiments, so that it stays while one selects, or of the selection.
function bounds(selection, column, { fit }, log) {
  if (!column.numeric) return {};
  let [low, high] = [Infinity, -Infinity];
  for (let row = 0; row < selection.size; row += 1) {
    const number = column.numbers[row];
    if (number === null || !Number.isFinite(number) || (fit && !selection.has(row))) continue;
    low = Math.min(low, number);
    high = Math.max(high, number);
  }
  if (low > high) return {};
  if (log) return { min: low / (high / low || 2) ** 0.05, max: high * (high / low || 2) ** 0.05 };
  const pad = (high - low) * 0.05 || Math.abs(high) * 0.05 || 1;
  return { min: low - pad, max: high + pad };
}

// Where a panel lies: `room` is left at the right for a legend.
function panelFrame(place, [width, height], total, room) {
  const [column, line] = [place % width, Math.floor(place / width)];
  const head = width * height > 1 ? 22 : 10;
  const [across, up] = [(total.width - room) / width, total.height / height];
  return {
    id: `panel-${place}`, left: column * across + 4, top: line * up + head, width: across - 14, height: up - head - 6,
    outerBoundsMode: "same", outerBoundsContain: "all", titleLeft: column * across + 40, titleTop: line * up,
  };
}

function legendOption(names, theme, columns) {
  if (names.length < 2) return { show: false };
  const title = [...new Set(columns.filter((one) => one && !isScale(one)).map((one) => one.title))].join(", ");
  return {
    type: "scroll", orient: "vertical", right: 0, top: 24, width: 170, bottom: 20, data: names, name: title,
    itemWidth: 18, textStyle: { color: theme.ink, width: 130, overflow: "break", lineHeight: 15 }, pageTextStyle: { color: theme.faint }, pageIconColor: theme.ink,
    selectedMode: true,
  };
}

function colourBar(column, theme, series) {
  return {
    type: "continuous", dimension: 3, calculable: false, right: 10, top: "middle", itemHeight: 180,
    min: finite(numberOf(column.levels[0])) ?? 0, max: finite(numberOf(column.levels.at(-1))) ?? 1,
    ...barLook(theme, column.unit, digits(numberOf(column.levels.at(-1)), 4), digits(numberOf(column.levels[0]), 4)),
    seriesIndex: series.some((one) => one.coloured) ? series.flatMap((one, place) => (one.coloured ? [place] : [])) : [series.length + 99],
  };
}

function barLook(theme, title, high, low) {
  return { text: [`${title}\n${high}`, low], textGap: 14, inRange: { color: VIRIDIS }, textStyle: { color: theme.ink, width: 130, overflow: "break", lineHeight: 15 } };
}

// The selection's points by panel, colour and symbol; the others as a faint ground.
function pointGroups(selection, chosen, flags, theme) {
  const [x, y] = [scaleOf(chosen.x), scaleOf(chosen.y)];
  const colour = chosen.colour && !isScale(chosen.colour) ? chosen.colour : null;
  const scale = chosen.colour && !colour ? chosen.colour : null;
  const levels = panelLevels(chosen.panels);
  const panelOf = new Map(levels.map((level, place) => [level, place]));
  const others = flags.lines && selection.rows().length <= MANY ? selection.varied.filter((one) => one !== chosen.x) : [];
  const [groups, ground, foot] = [new Map(), levels.map(() => []), levels.map(() => ({ bad: [], faint: [] }))];
  for (let row = 0; row < selection.size; row += 1) {
    const panel = chosen.panels ? panelOf.get(chosen.panels.values[row]) : 0;
    const [across, up] = [x.at(row), y.at(row)];
    if (panel === undefined || across === null) continue;
    const point = [across, up, row, scale ? scale.numbers[row] : 0];
    if (up === null) {
      if (selection.has(row)) foot[panel][selection.tone[row] === "bad" ? "bad" : "faint"].push([across, 0, row]);
    } else if (selection.has(row)) {
      const key = others.reduce((text, one) => `${text}\n${one.values[row]}`, `${panel}\n${colour?.values[row]}\n${chosen.symbol?.values[row]}`);
      if (!groups.has(key)) groups.set(key, { panel, row, points: [] });
      groups.get(key).points.push(point);
    } else if (!flags.fit) ground[panel].push(point);
  }
  return pointSeries(selection, chosen, { groups: joined(groups, flags, chosen, colour), ground, foot, theme, colour, scale });
}

// Lines need at most one point at each place across, and few enough of them to be told apart.
function joined(groups, flags, chosen, colour) {
  const all = [...groups.values()];
  const lines = flags.lines && all.reduce((sum, { points }) => sum + points.length, 0) <= MANY && chosen.x.kind === "dimension" && chosen.x.numeric && all.length <= 200
    && all.some(({ points }) => points.length > 1)
    && all.every(({ points }) => new Set(points.map(([across]) => across)).size === points.length);
  if (lines) return all.map((group) => ({ ...group, line: true, points: group.points.sort((a, b) => a[0] - b[0]) }));
  const merged = new Map();
  for (const group of all) {
    const key = [group.panel, colour?.values[group.row], chosen.symbol?.values[group.row]].join("\n");
    if (!merged.has(key)) merged.set(key, { ...group, points: [] });
    merged.get(key).points.push(...group.points);
  }
  return [...merged.values()];
}

function pointSeries(selection, chosen, { groups, ground, foot, theme, colour, scale }) {
  const panels = foot.length;
  const names = new Map();
  const many = selection.rows().length > MANY;
  const binned = many && scale ? groups.flatMap((group) => inBins(group, scale)) : groups;
  const main = binned.map(({ panel, row, points, line, shade: own }) => {
    const at = colour ? colour.levels.indexOf(colour.values[row]) : 0;
    const symbolAt = chosen.symbol ? chosen.symbol.levels.indexOf(chosen.symbol.values[row]) : 0;
    const parts = [colour, chosen.symbol === colour ? null : chosen.symbol].filter(Boolean);
    const name = parts.map((one) => one.text(row) || "nothing").join(", ") || chosen.y.title;
    const shade = own ?? (at < 0 ? theme.faint : PALETTE[at % PALETTE.length]);
    names.set(name, [at, symbolAt]);
    return {
      type: line ? "line" : "scatter", name, xAxisIndex: panel, yAxisIndex: panel, data: points, coloured: Boolean(scale) && !own, showSymbol: true, large: many, largeThreshold: 0,
      symbol: SYMBOLS[Math.max(symbolAt, 0) % SYMBOLS.length], symbolSize: many ? 5 : 9, encode: { x: 0, y: 1 },
      itemStyle: { opacity: many ? 0.75 : 1, ...(scale && !own ? {} : { color: shade }) }, lineStyle: { width: 1.5, ...(scale ? { color: theme.faint } : { color: shade }) },
      emphasis: { disabled: many }, z: 3,
    };
  });
  const ordered = [...names].sort(([, a], [, b]) => a[0] - b[0] || a[1] - b[1]).map(([name]) => name);
  const extra = { silent: true, tooltip: { show: false }, encode: { x: 0, y: 1 } };
  const ringed = (keep) => groups.flatMap(({ panel, points }) => points.filter(([, , row]) => keep(row)).map((point) => [panel, point]));
  const rings = (keep, size, ring, wide) => panelled(ringed(keep), panels).map((points, panel) => ({
    type: "scatter", ...extra, xAxisIndex: panel, yAxisIndex: panel, data: points, symbol: "circle", symbolSize: size,
    itemStyle: { color: "transparent", borderColor: ring, borderWidth: wide }, z: 4,
  }));
  const faint = ground.map((points, panel) => ({
    type: "scatter", ...extra, xAxisIndex: panel, yAxisIndex: panel, data: points, symbolSize: 4, itemStyle: { color: theme.faint, opacity: 0.25 }, z: 1, large: true, largeThreshold: 500,
  }));
  const crosses = foot.flatMap((kinds, panel) => Object.entries(kinds).filter(([, points]) => points.length).map(([kind, data]) => ({
    type: "scatter", xAxisIndex: panel, yAxisIndex: panels + panel, data, ...crossLook(theme[kind], many, 9), symbolOffset: [0, -6], encode: { x: 0, y: 1 }, name: "no value", z: 3,
  })));
  return {
    names: ordered,
    series: [...main, ...faint, ...rings((row) => selection.tone[row] === "bad", 15, theme.bad, 1.5), ...rings((row) => selection.ticked.has(row), 20, theme.accent, 2), ...crosses],
  };
}

// Reference data of the sweep's hook, over each panel.
function laidOver(selection, { x, y }, panels, theme) {
  const fitting = readJson("figures").overlays.filter((one) => one.x === x.key && one.y === y.key);
  return fitting.flatMap((one) => Array.from({ length: panels }, (_, panel) => ({ ...overlaySeries(one, theme), xAxisIndex: panel, yAxisIndex: panel, tooltip: { show: false } })));
}

// A mark of what has no value; in bulk a simpler one.
function crossLook(color, many, size) {
  return { symbol: many ? "triangle" : CROSS, symbolSize: many ? Math.max(size / 2, 4) : size, itemStyle: { color }, large: many, largeThreshold: 0 };
}

// A group's points by the colours of a scale.
function inBins(group, scale) {
  const [low, high] = [numberOf(scale.levels[0]), numberOf(scale.levels.at(-1))];
  const bins = Array.from({ length: BINS }, (_, bin) => ({ ...group, points: [], shade: mixed(bin / (BINS - 1)) }));
  for (const point of group.points) bins[Math.max(0, Math.min(BINS - 1, Math.floor(((point[3] - low) / (high - low)) * BINS)))].points.push(point);
  return bins.filter(({ points }) => points.length);
}

function panelled(pairs, panels) {
  const found = Array.from({ length: panels }, () => []);
  for (const [panel, point] of pairs) found[panel].push(point);
  return found;
}

function pointsNote(selection, { x, y, panels }) {
  const rows = selection.rows();
  const lacking = rows.filter((row) => isEmpty(y.values[row]));
  const failed = lacking.filter((row) => selection.tone[row] === "bad").length;
  const ringed = rows.some((row) => selection.tone[row] === "bad" && !isEmpty(y.values[row]));
  return [
    ringed ? "Red rings: failed." : "",
    failed ? `Red crosses: ${failed} failed without ${y.title}.` : "",
    lacking.length > failed ? `Grey crosses: ${lacking.length - failed} without ${y.title} yet.` : "",
    panels && panels.levels.length > MOST_PANELS ? `The first ${MOST_PANELS} of ${panels.levels.length} values of ${panels.title} have a panel.` : "",
    rows.length ? `Drag to select; click to tick and open.` : "",
  ].filter(Boolean).join(" ");
}
