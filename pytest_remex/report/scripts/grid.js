// The whole grid at once: as a heat map over two columns, or with all columns side by side.

function heatView(selection, place, show) {
  return figureView(
    selection,
    place,
    (chart) => {
      chart.after = () => chart.brushing();
      chart.on("click", ({ data }) => heatClick(selection, data?.value ?? data, show));
      chart.on("brushEnd", ({ areas }) => brushHeat(selection, areas));
    },
    {
      names: ["x", "by", "y", "slice"],
      controls: (chosen) => {
        const { x, by } = heatAxes(selection, chosen);
        return [
          columnChooser(selection, "Colour", "y", chosen.y),
          columnChooser(selection, "Across", "x", x),
          columnChooser(selection, "Up", "by", by),
          slicer(selection, "slice", chosen.slice),
        ];
      },
      tall: (chosen) => Math.min(700, Math.max(440, heatAxes(selection, chosen).by.levels.length * 16 + 120)),
      build: (chosen, theme, total) =>
        heatOption(selection, { ...chosen, ...heatAxes(selection, chosen) }, theme, total),
    },
  );
}

// A heat map lies over two different columns: of the grid, unless others were chosen.
function heatAxes(selection, { x, by }) {
  const [first, second] = gridColumns(selection).sort((a, b) => b.levels.length - a.levels.length);
  const across = x ?? first;
  const up = by && by !== across ? by : ([second, first].find((one) => one && one !== across) ?? across);
  return { x: across, by: up };
}

const PLACES = new WeakMap();

// Where every row lies among the levels of a column.
function placesIn(column) {
  if (!PLACES.has(column)) {
    const places = new Map(column.levels.map((value, place) => [value, place]));
    PLACES.set(
      column,
      Int32Array.from(column.values, (value) => places.get(value) ?? -1),
    );
  }
  return PLACES.get(column);
}

// The cells of the map that hold experiments: how many are selected, their mean, one to open.
function heatCells(selection, { x, by }, at) {
  const [across, up] = [placesIn(x), placesIn(by)];
  const cells = new Map();
  for (let row = 0; row < selection.size; row += 1) {
    if (across[row] < 0 || up[row] < 0) continue;
    const key = up[row] * x.levels.length + across[row];
    let cell = cells.get(key);
    if (!cell) {
      cell = { column: across[row], line: up[row], selected: 0, known: 0, sum: 0, row, bad: false };
      cells.set(key, cell);
    }
    if (!selection.has(row)) continue;
    const value = at(row);
    if (!cell.selected || (!cell.known && value !== null)) cell.row = row;
    cell.selected += 1;
    cell.bad ||= selection.tone[row] === "bad";
    if (value !== null) {
      cell.known += 1;
      cell.sum += value;
    }
  }
  return [...cells.values()];
}

// Thousands of cells, drawn in one go for each colour.
function bulkCells(cells, [low, high], size) {
  const bins = Array.from({ length: 2 * BINS }, () => []);
  for (const cell of cells)
    bins[Math.min(bins.length - 1, Math.floor(((cell[2] - low) / (high - low || 1)) * bins.length))].push(
      cell,
    );
  return bins.map((data, bin) => bulkSeries(data, size, mixed(bin / (bins.length - 1))));
}

function bulkSeries(data, [width, height], color, opacity = 1) {
  return {
    type: "scatter",
    data,
    symbol: "rect",
    symbolSize: [width + 0.5, height + 0.5],
    itemStyle: { color, opacity },
    large: true,
    largeThreshold: 0,
  };
}

function heatOption(selection, { x, by, y }, theme, total) {
  const { at, format, log } = colourScale(y);
  const cells = heatCells(selection, { x, by }, at);
  const filled = cells
    .filter((cell) => cell.known)
    .map((cell) => [cell.column, cell.line, cell.sum / cell.known, cell.row]);
  const many = cells.length > MANY;
  const ends = extent(filled.map(([, , value]) => value));
  const narrow = total.width < NARROW;
  const room = narrow ? FLAT_ROOM : 0;
  const frame = heatFrame(many, narrow);
  const inner = [total.width - frame.left - frame.right, total.height - frame.top - frame.bottom];
  const size = [inner[0] / x.levels.length, inner[1] / by.levels.length];
  const axis = (column, pixels, label, nameGap) =>
    axisOption(column, {
      theme,
      type: "category",
      data: column.levels.map((value) => column.label(value)),
      scale: undefined,
      splitLine: { show: false },
      nameGap,
      axisLabel: {
        color: theme.faint,
        width: 140,
        overflow: "break",
        hideOverlap: true,
        ...(column.numeric ? { interval: labelStep(column, pixels, label) - 1 } : {}),
      },
    });
  const widest = Math.max(...x.levels.map((value) => textWidth(x.label(value))));
  const bar = colourBar(y, theme, { ...ends, format }, { dimension: 2, seriesIndex: many ? 999 : 0 });
  return {
    option: {
      grid: { ...frame, bottom: frame.bottom + room },
      xAxis: axis(x, inner[0], widest + 14, 28),
      yAxis: axis(by, inner[1], 15, 44),
      visualMap: narrow ? { ...bar, ...flatBar(total.height) } : bar,
      tooltip: tooltip(selection, theme, [x, by, y], rowOfCell),
      brush: brushOption(theme, [0], [0]),
      series: [
        ...(many ? bulkCells(filled, [ends.low, ends.high], size) : [cellSeries(filled, theme)]),
        ...markedCells(cells, { many, size, theme }),
      ].filter(({ type, data }) => type === "heatmap" || data.length),
    },
    caption: heatNote(cells, y, { many, log }),
    label: `${y.title} over ${x.title} and ${by.title}, as a heat map.`,
    room,
  };
}

// Where the cells lie: in bulk their size has to be known.
function heatFrame(many, narrow) {
  const right = narrow ? 10 : 120;
  return many
    ? { left: 90, right, top: 12, bottom: 62, outerBoundsMode: "none" }
    : { left: 10, right, top: 12, bottom: 10, outerBoundsMode: "same", outerBoundsContain: "all" };
}

function cellSeries(data, theme) {
  return {
    type: "heatmap",
    data,
    itemStyle: { borderColor: theme.paper, borderWidth: 1 },
    emphasis: { itemStyle: { borderColor: theme.ink, borderWidth: 1 } },
  };
}

// What is not selected, as dots; what failed with a value, as rings; what has none, as crosses. In
// bulk these are spots and whole cells.
function markedCells(cells, { many, size, theme }) {
  const pointsOf = (some) => some.map((cell) => [cell.column, cell.line, 0, cell.row]);
  const mark = Math.max(4, Math.min(10, size[0] * 0.6));
  const lacking = (bad) => pointsOf(cells.filter((one) => one.selected && !one.known && one.bad === bad));
  const failed = pointsOf(cells.filter((one) => one.known && one.bad));
  const ground = {
    type: "scatter",
    data: pointsOf(cells.filter((cell) => !cell.selected)),
    symbol: "rect",
    symbolSize: mark / 2,
    itemStyle: { color: theme.rule },
    silent: true,
    large: many,
    largeThreshold: 0,
  };
  if (many)
    return [
      ground,
      bulkSeries(
        failed,
        size.map((side) => side / 3),
        theme.bad,
      ),
      bulkSeries(lacking(true), size, theme.bad, 0.8),
      bulkSeries(lacking(false), size, theme.rule),
    ];
  const ring = { color: theme.paper, borderColor: theme.bad, borderWidth: 2 };
  return [
    ground,
    { type: "scatter", data: failed, symbol: "circle", symbolSize: mark, itemStyle: ring },
    { type: "scatter", data: lacking(true), ...crossLook(theme.bad, many, mark) },
    { type: "scatter", data: lacking(false), ...crossLook(theme.faint, many, mark) },
  ];
}

function heatNote(cells, y, { many, log }) {
  const lacking = cells.some((cell) => cell.selected && !cell.known);
  const shared = cells.filter((cell) => cell.known > 1).length;
  const failed = cells.some((cell) => cell.known && cell.bad);
  return [
    failed ? `Red ${many ? "spots" : "rings"}: failed.` : "",
    lacking && many ? `Without ${y.title}: red where it failed, grey where it has not ended.` : "",
    lacking && !many ? `Crosses: without ${y.title}, red where it failed.` : "",
    shared
      ? `${plural(shared, "cell")} hold several experiments and show their ${log ? "geometric " : ""}mean; slice to tell them apart.`
      : "",
    "Drag to select; click a cell to tick and open.",
  ]
    .filter(Boolean)
    .join(" ");
}

function rowOfCell({ data }) {
  return (data?.value ?? data)?.[3];
}

// A cell of one experiment leads to it; one of several selects them.
function heatClick(selection, value, show) {
  if (!value) return;
  const { x, by } = heatAxes(selection, settings(selection, ["x", "by"]));
  const cell = heatCells(selection, { x, by }, () => null).find(
    ({ column, line }) => column === value[0] && line === value[1],
  );
  if (cell.selected === 1) show(cell.row);
  else
    selection.filter({ [x.key]: { in: [x.levels[cell.column]] }, [by.key]: { in: [by.levels[cell.line]] } });
}

function brushHeat(selection, areas) {
  const range = areas[0]?.coordRange;
  if (!range) return;
  const { x, by } = heatAxes(selection, settings(selection, ["x", "by"]));
  const part = (column, [low, high]) => {
    const chosen = column.levels.slice(Math.max(0, low), high + 1);
    return column.numeric && chosen.length > 1
      ? { min: numberOf(chosen[0]), max: numberOf(chosen.at(-1)) }
      : { in: chosen };
  };
  selection.filter({ [x.key]: part(x, range[0]), [by.key]: part(by, range[1]) });
}

// Parallel coordinates: a line an experiment; ranges marked on the axes filter.

function parallelView(selection, place, show) {
  return figureView(
    selection,
    place,
    (chart) => {
      chart.after = () => showMarks(selection, chart);
      chart.on("click", ({ data }) => Number.isInteger(data?.row) && show(data.row));
      chart.on("axisareaselected", ({ parallelAxisId, intervals }) =>
        markAxis(selection, chart, parallelAxisId, intervals),
      );
    },
    {
      names: ["y"],
      controls: ({ y }) => [
        columnChooser(selection, "Colour", "y", y),
        menu(
          "Axes",
          ...figureColumns(selection).map((column) =>
            checkbox(column.title, parallelColumns(selection, y).includes(column), (on) => {
              const keys = parallelColumns(selection, y)
                .map(({ key }) => key)
                .filter((key) => key !== column.key);
              selection.set({ axes: on ? [...keys, column.key] : keys });
            }),
          ),
        ),
      ],
      tall: () => 460,
      build: ({ y }, theme, total) => parallelOption(selection, y, theme, total),
    },
  );
}

function parallelColumns(selection, y) {
  const { axes } = selection.state.v;
  const chosen = Array.isArray(axes) ? axes.map((key) => selection.byKey.get(key)).filter(Boolean) : [];
  if (chosen.length > 1) return chosen;
  const measures = selection.ofKind("measure").filter((one) => one.numeric && one.levels.length > 1);
  return [...new Set([...gridColumns(selection), ...measures.slice(0, 4), y])];
}

function markAxis(selection, chart, id, intervals) {
  const key = chart.option.parallelAxis.find((axis) => axis.id === id)?.key;
  const column = selection.byKey.get(key);
  if (!column) return;
  const [interval] = intervals.filter(([low, high]) => high > low);
  selection.filter({ [key]: interval ? rangeOf(column, interval) : null });
}

// The marks on the axes, of the filters that there are.
function showMarks(selection, { chart, option }) {
  const mark = (parallelAxisId, intervals) =>
    chart.dispatchAction(
      { type: "axisAreaSelect", parallelAxisId, intervals },
      { silent: true, flush: true },
    );
  for (const { id, key } of option.parallelAxis) {
    const interval = markOf(selection.byKey.get(key), selection.state.f[key]);
    if (interval) mark(id, [interval]);
  }
  // ECharts draws a mark at an action for another axis only, and in a grey that hides what is below.
  mark("none", []);
  const { accent } = colours();
  for (const shape of chart.getZr().storage.getDisplayList(true))
    if (shape.name === "main")
      shape.setStyle({ fill: accent, stroke: accent, fillOpacity: 0.25, lineWidth: 1 });
  chart.getZr().flush();
}

// Where a filter lies on the axis of its column, if it is one range there.
function markOf(column, filter) {
  if (!filter) return null;
  if (!column.numeric) {
    const places = (filter.in ?? []).map((value) => column.levels.indexOf(value)).sort((a, b) => a - b);
    const [first, last] = [places[0], places.at(-1)];
    return first >= 0 && last - first === places.length - 1 ? [first - 0.4, last + 0.4] : null;
  }
  if (filter.min === undefined && filter.max === undefined) return null;
  const ends = [numberOf(column.levels[0]), numberOf(column.levels.at(-1))];
  return [Math.max(filter.min ?? ends[0], ends[0]), Math.min(filter.max ?? ends[1], ends[1])];
}

function parallelOption(selection, y, theme, total) {
  const columns = parallelColumns(selection, y);
  const scales = columns.map(scaleOf);
  const colour = colourScale(y);
  const all = Array.from(selection.kept.keys());
  const complete = all.filter((row) => scales.every(({ at }) => at(row) !== null));
  const drawn = complete.length > MOST_LINES ? sample(complete, MOST_LINES) : complete;
  const line = (row) => ({ value: [...scales.map(({ at }) => at(row)), colour.at(row)], row });
  const chosen = drawn.filter((row) => selection.has(row));
  const narrow = total.width < NARROW;
  const bar = colourBar(y, theme, colour, { dimension: columns.length, seriesIndex: 0 });
  return {
    option: {
      parallel: {
        ...parallelFrame(columns, narrow),
        parallelAxisDefault: {
          realtime: false,
          areaSelectStyle: { width: 22, borderColor: theme.accent, color: theme.accent, opacity: 0.25 },
        },
      },
      parallelAxis: columns.map((column, dim) => ({
        ...parallelAxis(selection, column, theme, narrow),
        dim,
        id: `axis-${dim}`,
        key: column.key,
      })),
      visualMap: narrow ? { ...bar, ...flatBar(total.height) } : bar,
      tooltip: tooltip(selection, theme, columns, ({ data }) => data?.row),
      series: [
        {
          type: "parallel",
          data: chosen.map(line),
          lineStyle: { width: 1.5, opacity: chosen.length > 300 ? 0.35 : 0.75 },
          inactiveOpacity: 0.1,
          activeOpacity: 0.75,
          progressive: 0,
          z: 3,
        },
        {
          type: "parallel",
          data: drawn.filter((row) => !selection.has(row)).map(line),
          silent: true,
          lineStyle: { width: 1, opacity: 0.12, color: theme.faint },
          progressive: 0,
          z: 1,
        },
      ],
    },
    caption: parallelNote(selection, new Set(complete), drawn.length),
    label: `${columns.map(({ title }) => title).join(", ")} as parallel coordinates.`,
    room: narrow ? FLAT_ROOM : 0,
  };
}

const AXIS_NAME = 120; // pixels of an axis's name, at most, before it takes another line

function parallelFrame(columns, narrow) {
  const widest = Math.min(AXIS_NAME, Math.max(...columns.map(({ unit }) => textWidth(unit) * 1.15)));
  return narrow
    ? { layout: "vertical", left: widest + 26, right: 40, top: 14, bottom: 30 + FLAT_ROOM }
    : { left: 70, right: 220, top: 50, bottom: 30 };
}

function parallelAxis(selection, column, theme, narrow) {
  const log = wantsLog(column);
  return axisOption(column, {
    log,
    theme,
    ends: bounds(selection, column, {}, log),
    labels: { width: 110, overflow: "break", textBorderColor: theme.paper, textBorderWidth: 3 },
    scale: true,
    nameLocation: narrow ? "start" : "end",
    nameGap: 16,
    nameTextStyle: { color: theme.ink, fontSize: 13, width: AXIS_NAME, overflow: "break" },
  });
}

function parallelNote(selection, complete, drawn) {
  const left = selection.rows().filter((row) => !complete.has(row));
  const failed = left.filter((row) => selection.tone[row] === "bad").length;
  return [
    complete.size > drawn
      ? `${thousands(drawn)} of ${thousands(complete.size)} lines are drawn; what you mark selects from all.`
      : "",
    left.length
      ? `Not drawn, because a value is missing: ${thousands(failed)} failed, ${thousands(left.length - failed)} others.`
      : "",
    "Drag along an axis to select; click a line to tick and open.",
  ]
    .filter(Boolean)
    .join(" ");
}

// A part of what lies in a grid that leaves out no level of a parameter, as every n-th would.
function sample(items, size) {
  const scattered = (place) => Math.imul(place + 1, 2654435761) >>> 0;
  return items
    .map((_, place) => place)
    .sort((a, b) => scattered(a) - scattered(b))
    .slice(0, size)
    .sort((a, b) => a - b)
    .map((place) => items[place]);
}
