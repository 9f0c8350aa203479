// What figures share beside their points: legends, colour bars, marks and the brush.

// Beside the figure, or on a phone below it.
function legendOption(names, theme, narrow) {
  if (names.length < 2) return { show: false };
  return {
    type: "scroll",
    data: names,
    pageTextStyle: { color: theme.faint },
    pageIconColor: theme.ink,
    itemWidth: 18,
    textStyle: { color: theme.ink, width: 130, overflow: "break", lineHeight: 15 },
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

function colourBar(column, theme, series) {
  return {
    type: "continuous",
    dimension: 3,
    calculable: false,
    right: 10,
    top: "middle",
    itemHeight: 180,
    min: finite(numberOf(column.levels[0])) ?? 0,
    max: finite(numberOf(column.levels.at(-1))) ?? 1,
    ...barLook(
      theme,
      column.unit,
      digits(numberOf(column.levels.at(-1)), 4),
      digits(numberOf(column.levels[0]), 4),
    ),
    seriesIndex: series.some((one) => one.coloured)
      ? series.flatMap((one, place) => (one.coloured ? [place] : []))
      : [series.length + 99],
  };
}

function barLook(theme, title, high, low) {
  return {
    text: [`${title}\n${high}`, low],
    textGap: 14,
    inRange: { color: VIRIDIS },
    textStyle: { color: theme.ink, width: 130, overflow: "break", lineHeight: 15 },
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
