// A heat map over two columns.

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

const BULK_GRID = { left: 90, right: 120, top: 12, bottom: 62 };

// Thousands of cells, drawn in one go for each colour.
function bulkCells(cells, [low, high], [width, height]) {
  const bins = Array.from({ length: 2 * BINS }, () => []);
  for (const cell of cells)
    bins[Math.min(bins.length - 1, Math.floor(((cell[2] - low) / (high - low || 1)) * bins.length))].push(
      cell,
    );
  return bins.map((data, bin) => ({
    type: "scatter",
    data,
    symbol: "rect",
    symbolSize: [width + 0.5, height + 0.5],
    itemStyle: { color: mixed(bin / (bins.length - 1)), opacity: 1 },
    large: true,
    largeThreshold: 0,
  }));
}

function heatOption(selection, { x, by, y }, theme, total) {
  const { at, told, log } = colourScale(y);
  const cells = heatCells(selection, { x, by }, at);
  const filled = cells
    .filter((cell) => cell.known)
    .map((cell) => [cell.column, cell.line, cell.sum / cell.known, cell.row]);
  const lacking = cells.filter((cell) => cell.selected && !cell.known);
  const ground = cells.filter((cell) => !cell.selected);
  const shared = cells.filter((cell) => cell.known > 1).length;
  const pointsOf = (some) => some.map((cell) => [cell.column, cell.line, 0, cell.row]);
  const many = cells.length > MANY;
  const values = filled.map(([, , value]) => value);
  const { low, high } = extent(values);
  const axis = (column) =>
    axisOption(column, {
      theme,
      type: "category",
      data: column.levels.map((value) => column.label(value)),
      scale: undefined,
      splitLine: { show: false },
      nameGap: column === x ? 28 : 44,
      axisLabel: { color: theme.faint, hideOverlap: true, width: 140, overflow: "break" },
    });
  const size = Math.max(4, Math.min(10, 600 / Math.max(x.levels.length, 1)));
  return {
    option: {
      grid: many
        ? { ...BULK_GRID, outerBoundsMode: "none" }
        : {
            left: 10,
            right: total.width < NARROW ? 10 : 120,
            top: 12,
            bottom: total.width < NARROW ? 60 : 10,
            outerBoundsMode: "same",
            outerBoundsContain: "all",
          },
      xAxis: axis(x),
      yAxis: axis(by),
      visualMap: colourBar(
        y,
        theme,
        { low, high, told },
        { dimension: 2, seriesIndex: many ? 999 : 0, narrow: total.width < NARROW && !many },
      ),
      tooltip: tooltip(selection, theme, [x, by, y], rowOfCell),
      brush: brushOption(theme, [0], [0]),
      series: [
        ...(many
          ? bulkCells(
              filled,
              [low, high],
              [
                (total.width - BULK_GRID.left - BULK_GRID.right) / x.levels.length,
                (total.height - BULK_GRID.top - BULK_GRID.bottom) / by.levels.length,
              ],
            )
          : [
              {
                type: "heatmap",
                data: filled,
                itemStyle: { borderColor: theme.paper, borderWidth: 1 },
                emphasis: { itemStyle: { borderColor: theme.ink, borderWidth: 1 } },
              },
            ]),
        {
          type: "scatter",
          data: pointsOf(ground),
          symbol: "rect",
          symbolSize: size / 2,
          itemStyle: { color: theme.rule },
          silent: true,
          large: many,
          largeThreshold: 0,
        },
        ...[true, false].map((bad) => ({
          type: "scatter",
          data: pointsOf(lacking.filter((cell) => cell.bad === bad)),
          ...crossLook(bad ? theme.bad : theme.faint, many, size),
        })),
      ].filter(({ type, data }) => type === "heatmap" || data.length),
    },
    told: [
      lacking.length ? `${many ? "Triangles" : "Crosses"}: without ${y.title}, red where it failed.` : "",
      shared
        ? `${plural(shared, "cell")} hold several experiments and show their ${log ? "geometric " : ""}mean; slice to tell them apart.`
        : "",
      "Drag to select; click a cell to tick and open.",
    ]
      .filter(Boolean)
      .join(" "),
    label: `${y.title} over ${x.title} and ${by.title}, as a heat map.`,
  };
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
