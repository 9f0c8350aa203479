// All columns side by side.

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
      build: ({ y }, theme, total) => parallelOption(selection, y, theme, total.width < NARROW),
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
function showMarks(selection, chart) {
  for (const { id, key } of chart.option.parallelAxis) {
    const column = selection.byKey.get(key);
    const filter = selection.state.f[key];
    if (!filter || !column.numeric || (filter.min === undefined && filter.max === undefined)) continue;
    const ends = [numberOf(column.levels[0]), numberOf(column.levels.at(-1))];
    const interval = [Math.max(filter.min ?? ends[0], ends[0]), Math.min(filter.max ?? ends[1], ends[1])];
    chart.chart.dispatchAction(
      { type: "axisAreaSelect", parallelAxisId: id, intervals: [interval] },
      { silent: true, flush: true },
    );
  }
}

function parallelOption(selection, y, theme, narrow) {
  const columns = parallelColumns(selection, y);
  const scales = columns.map(scaleOf);
  const colour = colourScale(y);
  const all = Array.from(selection.kept.keys());
  const complete = all.filter((row) => scales.every(({ at }) => at(row) !== null));
  const drawn = complete.length > MOST_LINES ? sample(complete, MOST_LINES) : complete;
  const line = (row) => ({ value: [...scales.map(({ at }) => at(row)), colour.at(row)], row });
  const [chosen, others] = [
    drawn.filter((row) => selection.has(row)),
    drawn.filter((row) => !selection.has(row)),
  ];
  const left = selection.rows().length - chosen.length;
  return {
    option: {
      parallel: {
        ...(narrow
          ? { layout: "vertical", left: 90, right: 40, top: 10, bottom: 70 }
          : { left: 70, right: 220, top: 50, bottom: 30 }),
        parallelAxisDefault: {
          realtime: false,
          areaSelectStyle: { width: 22, borderColor: theme.accent, color: theme.accent, opacity: 0.25 },
        },
      },
      parallelAxis: columns.map((column, dim) => ({
        ...axisOption(column, { log: wantsLog(column), theme, scale: true }),
        dim,
        id: `axis-${dim}`,
        key: column.key,
        nameLocation: narrow ? "start" : "end",
        nameGap: 16,
        nameTextStyle: { color: theme.ink, fontSize: 13, width: 120, overflow: "break" },
        ...bounds(selection, column, {}, wantsLog(column)),
        axisLabel: {
          color: theme.faint,
          hideOverlap: true,
          width: 110,
          overflow: "break",
          textBorderColor: theme.paper,
          textBorderWidth: 3,
          ...(column.numeric
            ? {
                formatter: tickText(column),
                showMinLabel: false,
                showMaxLabel: false,
                ...ownTicks(column, wantsLog(column)),
              }
            : {}),
        },
      })),
      visualMap: colourBar(y, theme, colour, { dimension: columns.length, seriesIndex: 0, narrow }),
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
          data: others.map(line),
          silent: true,
          lineStyle: { width: 1, opacity: 0.12, color: theme.faint },
          progressive: 0,
          z: 1,
        },
      ],
    },
    told: [
      complete.length > drawn.length
        ? `${drawn.length.toLocaleString("en")} of ${complete.length.toLocaleString("en")} lines are drawn; what you mark selects from all.`
        : "",
      left && complete.length === drawn.length
        ? `${plural(left, "experiment")} lack a value and have no line.`
        : "",
      "Drag along an axis to select; click a line to tick and open.",
    ]
      .filter(Boolean)
      .join(" "),
    label: `${columns.map(({ title }) => title).join(", ")} as parallel coordinates.`,
  };
}

// A part of a grid that leaves out no level of a parameter, as every n-th experiment would.
function sample(rows, size) {
  const scattered = (row) => Math.imul(row + 1, 2654435761) >>> 0;
  return [...rows]
    .sort((a, b) => scattered(a) - scattered(b))
    .slice(0, size)
    .sort((a, b) => a - b);
}
