// The selected experiments' curves over each other, coloured by a parameter.

const MOST_CURVES = 200;
const CURVES = new Map();

// The curves of a name, unpacked once: {row, x, y} each.
function curvesOf(described) {
  if (!CURVES.has(described.name)) CURVES.set(described.name, unpack(described.curves).then(JSON.parse));
  return CURVES.get(described.name);
}

// What a legend says of an experiment: the parameters that vary.
function pointText(selection, row, columns = selection.varied) {
  const told = columns.map((column) => `${column.title}=${column.text(row) || "none"}`);
  return told.join(", ") || selection.kind("node").values[row];
}

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

// A colour of the scale, by ECharts' own mixing.
function mixed(part) {
  return Number.isFinite(part) ? echarts.color.lerp(part, ramp()) : "#888888";
}

async function curvesView(selection, place) {
  const described = readJson("curves");
  const overlays = readJson("figures").overlays;
  let all = [];
  const one = () => described.find(({ name }) => name === selection.state.v.curve) ?? described[0];
  all = await curvesOf(one());
  let loaded = one();
  const view = figureView(selection, place, () => {}, {
    names: ["tint"],
    controls: ({ tint }) => [
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
      checkbox("log x", selection.state.v.curvelogx === true, (on) => selection.set({ curvelogx: on })),
      checkbox("log y", selection.state.v.curvelogy === true, (on) => selection.set({ curvelogy: on })),
      checkbox("only ticked", selection.state.v.curveticked === true, (on) =>
        selection.set({ curveticked: on }),
      ),
    ],
    build: ({ tint }, theme, total) =>
      curvesOption(
        selection,
        {
          narrow: total.width < NARROW,
          described: one(),
          all,
          tint: selection.state.v.tint === "none" ? null : (tint ?? firstTint(selection)),
          overlays,
        },
        theme,
      ),
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

function curvesOption(selection, { narrow, described, all, tint, overlays }, theme) {
  const { v } = selection.state;
  const wanted = all.filter(({ row }) => selection.has(row) && (!v.curveticked || selection.ticked.has(row)));
  const drawn =
    wanted.length > MOST_CURVES
      ? sample(
          wanted.map((_, place) => place),
          MOST_CURVES,
        ).map((place) => wanted[place])
      : wanted;
  const { of, bar } = shades(
    tint,
    drawn.map(({ row }) => row),
  );
  const differ = selection.varied.filter(
    (column) => new Set(drawn.map(({ row }) => column.values[row])).size > 1,
  );
  const lines = drawn.map(({ row, x, y }, place) =>
    lineSeries(pointText(selection, row, differ), x, y, {
      color: of(row, place),
      row,
      width: selection.ticked.has(row) ? 3 : 1.5,
    }),
  );
  const laid = overlays
    .filter(({ curve }) => curve === described.name)
    .map((one) => overlaySeries(one, theme));
  return {
    option: {
      grid: {
        left: 10,
        right: narrow ? 12 : 240,
        top: 16,
        bottom: narrow ? 60 : 10,
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
      legend: curveLegend(lines.length <= 40 ? [...lines, ...laid] : laid, theme, narrow),
      visualMap:
        bar && lines.length > 40
          ? colourBar(tint, theme, bar, { dimension: 3, seriesIndex: lines.length + laid.length, narrow })
          : undefined,
      tooltip: tooltip(selection, theme, [], ({ seriesIndex }) => drawn[seriesIndex]?.row),
      series: [...lines, ...laid, { type: "scatter", data: [], silent: true }],
    },
    told: [
      wanted.length > drawn.length ? `${drawn.length} of ${wanted.length} curves are drawn.` : "",
      described.thinned
        ? `Curves are thinned to ${described.most} points; no peak is lost. The full ones lie beside the outputs.`
        : "",
      wanted.length ? "" : "No selected experiment has this curve.",
    ]
      .filter(Boolean)
      .join(" "),
    label: `${described.name} of ${plural(drawn.length, "experiment")}.`,
  };
}

function lineSeries(name, x, y, { color, row, width = 1.5, dashed = false }) {
  return {
    type: "line",
    name,
    data: x.map((across, place) => [across, y[place], row]),
    showSymbol: false,
    connectNulls: false,
    color,
    lineStyle: { width, color, type: dashed ? "dashed" : "solid" },
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

function curveLegend(series, theme, narrow) {
  return {
    type: "scroll",
    ...(narrow
      ? { bottom: 0, left: 0, right: 0 }
      : { orient: "vertical", right: 0, top: 16, bottom: 16, width: 230 }),
    data: [...new Set(series.map(({ name }) => name))],
    icon: "roundRect",
    itemWidth: 16,
    itemHeight: 4,
    textStyle: { color: theme.ink, width: 185, overflow: "break", lineHeight: 15 },
    pageTextStyle: { color: theme.faint },
    pageIconColor: theme.ink,
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
