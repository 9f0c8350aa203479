// The selected experiments' curves over each other, coloured by a parameter.

const MOST_CURVES = 200;
const MOST_NAMED = 40; // curves, at most, of which each has a name in the legend
const CURVES = new Map();
const DASHES = [
  { type: "solid", icon: "roundRect" },
  { type: "dashed", icon: "path://M0,0h7v4h-7z M9,0h7v4h-7z" },
  { type: "dotted", icon: "path://M0,0h4v4h-4z M6,0h4v4h-4z M12,0h4v4h-4z" },
];

// The curves of a name, unpacked once: {row, x, y} each.
function curvesOf(described) {
  if (!CURVES.has(described.name)) CURVES.set(described.name, unpack(described.curves).then(JSON.parse));
  return CURVES.get(described.name);
}

// The curves of all names, each with what describes it.
function allCurves() {
  return Promise.all(readJson("curves").map(async (described) => [described, await curvesOf(described)]));
}

// What names an experiment: the parameters that vary.
function pointText(selection, row, columns = selection.varied) {
  const pairs = columns.map((column) => `${column.title}=${column.text(row) || "none"}`);
  return pairs.join(", ") || selection.kind("node").values[row];
}

// What names an experiment among others: the parameters in which they differ; where they differ in
// none, as replicates and runs on several bases do, what else tells them apart.
function differing(selection, row, rows) {
  const differ = (column) => new Set(rows.map((other) => column.values[other])).size > 1;
  const parameters = selection.varied.filter(differ);
  if (parameters.length) return pointText(selection, row, parameters);
  if (rows.length < 2) return pointText(selection, row);
  const others = ["base", "launch", "job"].map((kind) => selection.kind(kind)).filter(differ);
  return pointText(selection, row, others.slice(0, 1));
}

// The colours of curves by a column, and their scale where they lie on one.
function shades(column, rows) {
  if (!column) return { of: (_, place) => PALETTE[place % PALETTE.length], bar: null };
  if (!column.numeric || column.levels.length <= 2)
    return {
      of: (row) => PALETTE[Math.max(column.levels.indexOf(column.values[row]), 0) % PALETTE.length],
      bar: null,
    };
  const scale = colourScale(column);
  const { low, high } = extent(rows.map(scale.at).filter((value) => value !== null));
  const part = (row) => (high > low ? (scale.at(row) - low) / (high - low) : 0.5);
  return { of: (row) => mixed(part(row)), bar: { ...scale, low, high } };
}

// The lines of curves by a column: solid, dashed or dotted.
function dashesOf(column) {
  return (row) => DASHES[column ? Math.max(column.levels.indexOf(column.values[row]), 0) % DASHES.length : 0];
}

async function curvesView(selection, place) {
  const described = readJson("curves");
  const overlays = readJson("figures").overlays;
  let all = [];
  const one = () => described.find(({ name }) => name === selection.state.v.curve) ?? described[0];
  all = await curvesOf(one());
  let loaded = one();
  const view = figureView(selection, place, () => {}, {
    names: ["tint", "dashes"],
    controls: ({ tint, dashes }) => [
      chooser(
        "Curve",
        described.map(({ name }) => [name, name]),
        one().name,
        (name) => selection.set({ curve: name }),
      ),
      chooser(
        "Colour",
        [["", "each its own"], ...figureColumns(selection).map(({ key, title }) => [key, title])],
        (tint ?? firstTint(selection))?.key ?? "",
        (key) => selection.set({ tint: key || "none" }),
      ),
      chooser(
        "Dashes",
        [["", "none"], ...dashColumns(selection).map(({ key, title }) => [key, title])],
        dashesChosen(selection, dashes)?.key ?? "",
        (key) => selection.set({ dashes: key || "none" }),
      ),
      checkbox("log x", selection.state.v.curvelogx === true, (on) => selection.set({ curvelogx: on })),
      checkbox("log y", selection.state.v.curvelogy === true, (on) => selection.set({ curvelogy: on })),
      checkbox("only ticked", selection.state.v.curveticked === true, (on) =>
        selection.set({ curveticked: on }),
      ),
    ],
    build: ({ tint, dashes }, theme, total) => {
      const by = selection.state.v.tint === "none" ? null : (tint ?? firstTint(selection));
      const dashed = dashesChosen(selection, dashes);
      const shown = { described: one(), all, overlays, tint: by, chosen: Boolean(tint), dashes: dashed };
      return curvesOption(selection, shown, theme, total);
    },
  });
  const update = () => {
    if (one() === loaded) return view.update();
    loaded = one();
    return curvesOf(loaded).then((curves) => {
      all = curves;
      view.update();
    });
  };
  return { ...view, update };
}

// The parameter with the most values: its colours show the order.
function firstTint(selection) {
  return selection.byKey.get(firstFigure(selection).x) ?? null;
}

// The columns with so few values that the lines of each can differ.
function dashColumns(selection) {
  return figureColumns(selection).filter(({ levels }) => levels.length <= DASHES.length);
}

// The column that is chosen for dashes; at first a parameter of words, such as a version.
function dashesChosen(selection, chosen) {
  if (selection.state.v.dashes === "none") return null;
  const words = dashColumns(selection).filter((one) => one.kind === "dimension" && !one.numeric);
  return chosen ?? words[0] ?? null;
}

function curvesOption(selection, { described, all, overlays, tint, chosen, dashes }, theme, total) {
  const { v } = selection.state;
  const wanted = all.filter(({ row }) => selection.has(row) && (!v.curveticked || selection.ticked.has(row)));
  const drawn = wanted.length > MOST_CURVES ? sample(wanted, MOST_CURVES) : wanted;
  const rows = drawn.map(({ row }) => row);
  // a colour that nobody chose is to tell curves apart
  const alike = !chosen && tint && new Set(rows.map((row) => tint.values[row])).size === 1;
  const { of, bar } = shades(alike ? null : tint, rows);
  const lineOf = dashesOf(dashes);
  const lines = drawn.map(({ row, x, y }, place) =>
    lineSeries(differing(selection, row, rows), x, y, {
      color: of(row, place),
      row,
      width: selection.ticked.has(row) ? 3 : 1.5,
      type: lineOf(row).type,
    }),
  );
  const laid = overlays
    .filter(({ curve }) => curve === described.name)
    .map((one) => overlaySeries(one, theme));
  const named = lines.length <= MOST_NAMED ? [...lines, ...laid] : laid;
  const names = [...new Set(named.map(({ name }) => name))];
  const icons = new Map(lines.map(({ name }, place) => [name, lineOf(rows[place]).icon]));
  const scale = bar && lines.length > MOST_NAMED;
  const beside = curvesLegend(names, theme, total, scale);
  const dimension = { dimension: 3, seriesIndex: lines.length + laid.length };
  return {
    option: {
      grid: {
        left: 10,
        right: beside.right,
        top: 16,
        bottom: 10 + beside.room,
        outerBoundsMode: "same",
        outerBoundsContain: "all",
      },
      xAxis: curveAxis(described.xLabel, {
        log: v.curvelogx === true,
        inverse: described.reversed,
        theme,
        gap: 28,
      }),
      yAxis: curveAxis(described.yLabel, { log: v.curvelogy === true, theme, gap: 48 }),
      legend: {
        ...beside.legend,
        ...LINES,
        data: names.map((name) => ({ name, icon: icons.get(name) ?? LINES.icon })),
      },
      visualMap: scale ? { ...colourBar(tint, theme, bar, dimension), ...beside.bar } : undefined,
      tooltip: tooltip(selection, theme, [], ({ seriesIndex }) => drawn[seriesIndex]?.row),
      series: [...lines, ...laid, { type: "scatter", data: [], silent: true }],
    },
    caption: [
      wanted.length > drawn.length ? `${drawn.length} of ${wanted.length} curves are drawn.` : "",
      described.thinned
        ? `Curves are thinned to ${described.most} points; no peak is lost. The full ones lie beside the outputs.`
        : "",
      wanted.length ? "" : "No selected experiment has this curve.",
    ]
      .filter(Boolean)
      .join(" "),
    label: `${described.name} of ${plural(drawn.length, "experiment")}.`,
    room: beside.room,
  };
}

// The legend beside the curves, or on a phone below them, where the bar of a scale is too.
function curvesLegend(names, theme, { width, height }, scale) {
  if (width >= NARROW)
    return { legend: legendBeside(names, theme, 230), right: 240, room: 0, bar: names.length ? LOW_BAR : {} };
  const top = height + (scale ? FLAT_ROOM : 0);
  const { legend, room } = legendBelow(names, theme, { width, top });
  return { legend, right: 12, room: top - height + room, bar: flatBar(height) };
}

function lineSeries(name, x, y, { color, row, width = 1.5, type = "solid" }) {
  return {
    type: "line",
    name,
    data: x.map((across, place) => [across, y[place], row]),
    showSymbol: false,
    connectNulls: false,
    color,
    lineStyle: { width, color, type },
    itemStyle: { color },
    emphasis: { focus: "series" },
    triggerLineEvent: true,
  };
}

// Observed data: points, or a broken line.
function overlaySeries({ name, xs, ys, line }, theme) {
  const data = xs.map((across, place) => [across, ys[place]]);
  const look = { name, data, color: theme.ink, itemStyle: { color: theme.ink }, silent: true, z: 5 };
  return line
    ? {
        ...look,
        type: "line",
        showSymbol: false,
        lineStyle: { color: theme.ink, type: "dashed", width: 1.5 },
      }
    : { ...look, type: "scatter", symbol: "diamond", symbolSize: 8 };
}

function curveAxis(name, { log = false, inverse = false, theme, gap }) {
  return {
    type: log ? "log" : "value",
    scale: true,
    inverse,
    name,
    nameLocation: "middle",
    nameGap: gap,
    nameTextStyle: { color: theme.ink, fontSize: 13 },
    axisLabel: { color: theme.faint, hideOverlap: true, formatter: tickText(null) },
    axisLine: { lineStyle: { color: theme.rule } },
    splitLine: { lineStyle: { color: theme.rule, opacity: 0.6 } },
  };
}

// A curve's height at the places of another; null beyond its ends, or where it runs back.
function interpolated(curve, places) {
  const points = curve.x.map((x, at) => [x, curve.y[at]]).filter(([x, y]) => x !== null && y !== null);
  const rising = points.every(([x], at) => at === 0 || x >= points[at - 1][0]);
  const falling = points.every(([x], at) => at === 0 || x <= points[at - 1][0]);
  if (!points.length || !(rising || falling)) return null;
  if (falling && !rising) points.reverse();
  return places.map((x) => heightAt(points, x));
}

function heightAt(points, x) {
  if (x === null || x < points[0][0] || x > points.at(-1)[0]) return null;
  let [low, high] = [0, points.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (points[middle][0] <= x) low = middle;
    else high = middle;
  }
  const [[x0, y0], [x1, y1]] = [points[low], points[high]];
  return x1 === x0 ? y0 : y0 + ((y1 - y0) * (x - x0)) / (x1 - x0);
}
