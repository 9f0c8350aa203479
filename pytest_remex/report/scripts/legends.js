// What figures share beside their points: legends, colour bars, marks and the brush.

// Beside the figure, or on a phone below it.
function legendOption(names, theme, { narrow, plain }) {
  if (names.length < 2) return { show: false };
  const short = names.every((name) => name.length <= 16);
  return {
    type: "scroll",
    data: plain ? names.map((name) => ({ name, itemStyle: { color: theme.faint } })) : names,
    pageTextStyle: { color: theme.faint },
    pageIconColor: theme.ink,
    itemWidth: 18,
    textStyle: { color: theme.ink, ...(short ? {} : { width: 130, overflow: "break" }), lineHeight: 15 },
    ...(narrow
      ? { bottom: 0, left: 0, right: 0 }
      : { orient: "vertical", right: 0, top: 24, width: 170, bottom: 20 }),
  };
}

const FLAT_BAR = {
  orient: "horizontal",
  left: "center",
  right: undefined,
  top: undefined,
  bottom: 0,
  itemHeight: 120,
  itemWidth: 10,
};

// A column as colours: by its logarithm where a person would take that.
function colourScale(column) {
  const { at: plain, words } = scaleOf(column);
  const log = wantsLog(column);
  const at = log ? (row) => (plain(row) > 0 ? Math.log10(plain(row)) : null) : plain;
  const told = (number) =>
    Number.isFinite(number) ? (words?.[number] ?? digits(log ? 10 ** number : number, 4)) : "";
  const values = column.values.map((_, row) => at(row)).filter((value) => value !== null);
  return { at, told, log, ...extent(values) };
}

function extent(values) {
  const low = values.reduce((a, b) => Math.min(a, b), Infinity);
  const high = values.reduce((a, b) => Math.max(a, b), -Infinity);
  return { low, high };
}

// The bar of a colour scale, for these series, by a dimension of their points.
function colourBar(column, theme, { low, high, told }, { dimension, seriesIndex, narrow }) {
  const known = low <= high;
  return {
    type: "continuous",
    dimension,
    seriesIndex,
    calculable: false,
    right: 10,
    top: "middle",
    itemHeight: 200,
    min: known ? low : 0,
    max: known ? (high > low ? high : low + 1) : 1,
    text: [`${column.unit}\n${told(high)}`, told(low)],
    textGap: 14,
    inRange: { color: ramp() },
    textStyle: { color: theme.ink, width: 120, overflow: "break", lineHeight: 15 },
    ...(narrow ? FLAT_BAR : {}),
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
