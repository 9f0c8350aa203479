// Points of any column against any other, in panels, joined by lines where they can be.

function pointsView(selection, place, show) {
  const { v } = selection.state;
  const log = (column, name) => (typeof v[name] === "boolean" ? v[name] : wantsLog(column));
  const flags = ({ x, y }) => ({
    logx: log(x, "logx"),
    logy: log(y, "logy"),
    fit: v.fit === true,
    lines: v.lines !== false,
  });
  return figureView(
    selection,
    place,
    (chart) => {
      chart.after = () => chart.brushing();
      chart.on("click", (point) => Number.isInteger(rowOfPoint(point)) && show(rowOfPoint(point)));
      chart.on("brushEnd", ({ areas }) => brushPoints(selection, areas));
    },
    {
      names: ["x", "y", "colour", "symbol", "panels", "slice"],
      tall: ({ panels }, wide) =>
        panelRows(panelLevels(panels).length, wide) *
        (panelLevels(panels).length > panelColumns(panelLevels(panels).length, wide) ? 300 : 440),
      controls: (chosen) => {
        const { logx, logy, fit, lines } = flags(chosen);
        const choose = (title, name, none) => columnChooser(selection, title, name, chosen[name], none);
        return [
          pair(
            choose("Across", "x"),
            checkbox("log", logx, (on) => selection.set({ logx: on })),
          ),
          pair(
            choose("Up", "y"),
            checkbox("log", logy, (on) => selection.set({ logy: on })),
          ),
          choose("Colour", "colour", "none"),
          choose("Symbol", "symbol", "none"),
          choose("Panels", "panels", "none"),
          slicer(selection, "slice", chosen.slice),
          checkbox("lines", lines, (on) => selection.set({ lines: on })),
          checkbox("zoom to the selection", fit, (on) => selection.set({ fit: on })),
        ];
      },
      build: (chosen, theme, total) => pointsOption(selection, chosen, flags(chosen), theme, total),
    },
  );
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
  const rounded = (number, way) => {
    const finest = Math.min(high - low, Math.abs(number) || high - low) / 1000;
    const step = 10 ** Math.floor(Math.log10(finest || 1));
    return Number((way(number / step) * step).toPrecision(15));
  };
  return { min: rounded(low, Math.floor), max: rounded(high, Math.ceil) };
}

function pointsOption(selection, chosen, flags, theme, total) {
  const { x, y, panels } = chosen;
  const levels = panelLevels(panels);
  const drawn = pointGroups(selection, chosen, flags, theme);
  const beside = pointsLegend(chosen, drawn, theme, total);
  const frames = panelFrames(panels, total, beside.right);
  const [logx, logy] = [flags.logx && positive(x), flags.logy && positive(y)];
  const axis = (column, log, gap) => {
    const ends = bounds(selection, column, flags, log);
    return levels.map((_, gridIndex) => axisOption(column, { log, theme, ends, gridIndex, nameGap: gap }));
  };
  const places = levels.map((_, place) => place);
  return {
    option: {
      grid: frames,
      title: [...frames.map(({ title }) => title), beside.title].map((title) => ({
        padding: 0,
        ...title,
        textStyle: { fontSize: 12, lineHeight: 15, fontWeight: 500, color: theme.faint, ...title.textStyle },
      })),
      xAxis: axis(x, logx, 28),
      yAxis: [
        ...axis(y, logy, 44),
        ...places.map((gridIndex) => ({ gridIndex, min: 0, max: 1, show: false })),
      ],
      legend: beside.legend,
      visualMap: beside.bar,
      tooltip: tooltip(selection, theme, [x, y, chosen.colour, chosen.symbol].filter(Boolean), rowOfPoint),
      brush: brushOption(theme, places, places),
      series: [...drawn.series, ...laidOver(chosen, levels.length, theme)],
    },
    caption: pointsNote(selection, chosen),
    label: `${y.title} against ${x.title}${chosen.colour ? `, coloured by ${chosen.colour.title}` : ""}.`,
    room: beside.room,
  };
}

// The legend of groups, by the columns that it tells, and the bar of a scale: beside the figure, or on
// a phone below it.
function pointsLegend({ colour, symbol }, { names, series }, theme, total) {
  const scale = colour && isScale(colour);
  const shown = scale ? names.map((name) => ({ name, itemStyle: { color: theme.faint } })) : names;
  const several = names.length > 1;
  const titles = [...new Set([scale ? null : colour, symbol])].filter(Boolean).map((column) => column.title);
  const title = { show: several, text: titles.join(", "), textStyle: { width: 160, overflow: "break" } };
  const bar = scale ? pointsBar(colour, theme, series) : undefined;
  if (total.width >= NARROW)
    return {
      legend: several ? { ...legendBeside(shown, theme, 165), top: 28 } : { show: false },
      title: { ...title, left: total.width - 165, top: 10 },
      bar: bar && several ? { ...bar, ...LOW_BAR } : bar,
      right: several || scale ? 170 : 0,
      room: 0,
    };
  const top = total.height + (scale ? FLAT_ROOM : 0);
  const { legend, room } = legendBelow(names, theme, { width: total.width, top: top + 18 });
  return {
    legend: several ? { ...legend, data: shown } : { show: false },
    title: { ...title, left: 6, top },
    bar: bar && { ...bar, ...flatBar(total.height) },
    right: 0,
    room: top - total.height + (several ? room + 18 : 0),
  };
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

function panelColumns(count, wide) {
  const fitting = Math.max(1, Math.floor(wide / 260));
  return Math.min(count, fitting, count === 4 ? 2 : 4);
}

function panelRows(count, wide) {
  return Math.ceil(count / panelColumns(count, wide));
}

// Where panels lie and what stands above each; `right` is left for a legend.
function panelFrames(panels, total, right) {
  const levels = panelLevels(panels);
  const [columns, lines] = [panelColumns(levels.length, total.width), panelRows(levels.length, total.width)];
  const [across, up] = [(total.width - right) / columns, total.height / lines];
  const texts = levels.map((level) => (panels ? `${panels.title}: ${panels.label(level)}` : ""));
  const room = across - 54;
  const most = Math.max(...texts.map((text) => Math.ceil((textWidth(text) * 1.1) / room)));
  const head = 10 + most * 14;
  return texts.map((text, place) => {
    const [left, top] = [(place % columns) * across, Math.floor(place / columns) * up];
    return {
      id: `panel-${place}`,
      left: left + 4,
      top: top + head,
      width: across - 14,
      height: up - head - 6,
      outerBoundsMode: "same",
      outerBoundsContain: "all",
      title: {
        show: text !== "",
        text,
        left: left + 40,
        top,
        textStyle: { width: room, overflow: "break" },
      },
    };
  });
}

// The selection's points by panel, colour and symbol; the others as a faint ground.
function pointGroups(selection, chosen, flags, theme) {
  const [x, y] = [scaleOf(chosen.x), scaleOf(chosen.y)];
  const colour = chosen.colour && !isScale(chosen.colour) ? chosen.colour : null;
  const scale = chosen.colour && !colour ? colourScale(chosen.colour) : null;
  const levels = panelLevels(chosen.panels);
  const panelOf = new Map(levels.map((level, place) => [level, place]));
  const others =
    flags.lines && selection.rows().length <= MANY ? selection.varied.filter((one) => one !== chosen.x) : [];
  const [groups, ground, foot] = [
    new Map(),
    levels.map(() => []),
    levels.map(() => ({ bad: [], faint: [] })),
  ];
  for (let row = 0; row < selection.size; row += 1) {
    const panel = chosen.panels ? panelOf.get(chosen.panels.values[row]) : 0;
    const [across, up] = [x.at(row), y.at(row)];
    if (panel === undefined || across === null) continue;
    const point = [across, up, row, scale ? scale.at(row) : 0];
    if (up === null) {
      if (selection.has(row))
        foot[panel][selection.tone[row] === "bad" ? "bad" : "faint"].push([across, 0, row]);
    } else if (selection.has(row)) {
      const key = others.reduce(
        (text, one) => `${text}\n${one.values[row]}`,
        `${panel}\n${colour?.values[row]}\n${chosen.symbol?.values[row]}`,
      );
      if (!groups.has(key)) groups.set(key, { panel, row, points: [] });
      groups.get(key).points.push(point);
    } else if (!flags.fit) ground[panel].push(point);
  }
  return pointSeries(selection, chosen, {
    groups: joined(groups, flags, chosen, colour),
    ground,
    foot,
    theme,
    colour,
    scale,
  });
}

// Lines need at most one point at each place across, and few enough of them to be told apart.
function joined(groups, flags, chosen, colour) {
  const all = [...groups.values()];
  const lines =
    flags.lines &&
    all.reduce((sum, { points }) => sum + points.length, 0) <= MANY &&
    chosen.x.kind === "dimension" &&
    chosen.x.numeric &&
    all.length <= 200 &&
    all.some(({ points }) => points.length > 1) &&
    all.every(({ points }) => new Set(points.map(([across]) => across)).size === points.length);
  if (lines)
    return all.map((group) => ({ ...group, line: true, points: group.points.sort((a, b) => a[0] - b[0]) }));
  const merged = new Map();
  for (const group of all) {
    const key = [group.panel, colour?.values[group.row], chosen.symbol?.values[group.row]].join("\n");
    if (!merged.has(key)) merged.set(key, { ...group, points: [] });
    merged.get(key).points.push(...group.points);
  }
  return [...merged.values()];
}

function pointSeries(selection, chosen, { groups, ground, foot, theme, colour, scale }) {
  const many = selection.rows().length > MANY;
  const binned = many && scale ? groups.flatMap((group) => inBins(group, scale)) : groups;
  const main = binned.map((group) => mainSeries(group, chosen, { many, theme, colour, scale }));
  const places = new Map(main.map(({ name, rank }) => [name, rank]));
  const ringed = (keep, size, ring, wide) =>
    panelled(groups, keep, foot.length).map((points, panel) => ({
      ...groundSeries(points, panel),
      symbolSize: size,
      itemStyle: { color: "transparent", borderColor: ring, borderWidth: wide },
      z: 4,
    }));
  return {
    names: [...places].sort(([, a], [, b]) => a[0] - b[0] || a[1] - b[1]).map(([name]) => name),
    series: [
      ...main,
      ...ground.map((points, panel) => ({
        ...groundSeries(points, panel),
        itemStyle: { color: theme.faint, opacity: 0.25 },
      })),
      ...ringed((row) => selection.tone[row] === "bad", 15, theme.bad, 1.5),
      ...ringed((row) => selection.ticked.has(row), 20, theme.accent, 2),
      ...crossSeries(foot, theme, many),
    ],
  };
}

// The selected points of a panel, colour and symbol; `rank` orders them in the legend.
function mainSeries({ panel, row, points, line, shade: own }, chosen, { many, theme, colour, scale }) {
  const rankOf = (column) => (column ? column.levels.indexOf(column.values[row]) : 0);
  const [at, symbolAt] = [rankOf(colour), rankOf(chosen.symbol)];
  const parts = [colour, chosen.symbol === colour ? null : chosen.symbol].filter(Boolean);
  const shade = own ?? (at < 0 ? theme.faint : PALETTE[at % PALETTE.length]);
  const alike = line && scale && chosen.colour.kind === "dimension" && chosen.colour !== chosen.x;
  const lineColour = alike ? scale.shade(row) : scale ? theme.faint : shade;
  return {
    type: line ? "line" : "scatter",
    name: parts.map((one) => one.text(row) || "nothing").join(", ") || chosen.y.title,
    rank: [at, symbolAt],
    xAxisIndex: panel,
    yAxisIndex: panel,
    data: points,
    coloured: Boolean(scale) && !own,
    showSymbol: true,
    large: many,
    largeThreshold: 0,
    symbol: SYMBOLS[Math.max(symbolAt, 0) % SYMBOLS.length],
    symbolSize: many ? 5 : 9,
    encode: { x: 0, y: 1 },
    itemStyle: { opacity: many ? 0.75 : 1, ...(scale && !own ? {} : { color: shade }) },
    lineStyle: { width: 1.5, color: lineColour },
    emphasis: { disabled: many },
    z: 3,
  };
}

// Points behind or around others, that nothing happens to.
function groundSeries(data, panel) {
  return {
    type: "scatter",
    data,
    xAxisIndex: panel,
    yAxisIndex: panel,
    silent: true,
    tooltip: { show: false },
    encode: { x: 0, y: 1 },
    symbol: "circle",
    symbolSize: 4,
    z: 1,
    large: true,
    largeThreshold: 500,
  };
}

// What has no value up, at the foot of its panel.
function crossSeries(foot, theme, many) {
  return foot.flatMap((kinds, panel) =>
    Object.entries(kinds)
      .filter(([, points]) => points.length)
      .map(([kind, data]) => ({
        type: "scatter",
        xAxisIndex: panel,
        yAxisIndex: foot.length + panel,
        data,
        ...crossLook(theme[kind], many, 9),
        symbolOffset: [0, -6],
        encode: { x: 0, y: 1 },
        name: "no value",
        z: 3,
      })),
  );
}

// Reference data of the sweep's hook, over each panel.
function laidOver({ x, y }, panels, theme) {
  const fitting = readJson("figures").overlays.filter((one) => one.x === x.key && one.y === y.key);
  return fitting.flatMap((one) =>
    Array.from({ length: panels }, (_, panel) => ({
      ...overlaySeries(one, theme),
      xAxisIndex: panel,
      yAxisIndex: panel,
      tooltip: { show: false },
    })),
  );
}

// The colour bar of the points; in bulk they have their colours already.
function pointsBar(column, theme, series) {
  const coloured = series.flatMap((one, place) => (one.coloured ? [place] : []));
  const seriesIndex = coloured.length ? coloured : [series.length + 99];
  return colourBar(column, theme, colourScale(column), { dimension: 3, seriesIndex });
}

// A group's points by the colours of a scale.
function inBins(group, scale) {
  const { low, high } = scale;
  const bins = Array.from({ length: BINS }, (_, bin) => ({
    ...group,
    points: [],
    shade: mixed(bin / (BINS - 1)),
  }));
  for (const point of group.points)
    bins[Math.max(0, Math.min(BINS - 1, Math.floor(((point[3] - low) / (high - low)) * BINS)))].points.push(
      point,
    );
  return bins.filter(({ points }) => points.length);
}

// The points of some rows, by panel.
function panelled(groups, keep, panels) {
  const found = Array.from({ length: panels }, () => []);
  for (const { panel, points } of groups) found[panel].push(...points.filter(([, , row]) => keep(row)));
  return found;
}

function pointsNote(selection, { y, panels }) {
  const rows = selection.rows();
  const lacking = rows.filter((row) => isEmpty(y.values[row]));
  const failed = lacking.filter((row) => selection.tone[row] === "bad").length;
  const ringed = rows.some((row) => selection.tone[row] === "bad" && !isEmpty(y.values[row]));
  const marks = rows.length > MANY ? "triangles" : "crosses";
  return [
    ringed ? "Red rings: failed." : "",
    failed ? `Red ${marks}: ${thousands(failed)} failed without ${y.title}.` : "",
    lacking.length > failed
      ? `Grey ${marks}: ${thousands(lacking.length - failed)} without ${y.title} yet.`
      : "",
    panels && panels.levels.length > MOST_PANELS
      ? `The first ${MOST_PANELS} of ${panels.levels.length} values of ${panels.title} have a panel.`
      : "",
    rows.length ? `Drag to select; click to tick and open.` : "",
  ]
    .filter(Boolean)
    .join(" ");
}
