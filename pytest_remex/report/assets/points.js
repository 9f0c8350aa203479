// A measure against one parameter; a second one, if it has few values, makes a line for each.

const MOST_GROUPS = 8;

function pointsView(data, choice) {
  const x = scaleOf(columnValues(data, choice.x));
  const y = scaleOf(columnValues(data, choice.measure));
  const groups = pointGroups(data, choice.by);
  return {
    traces: [
      ...groups.map(([name, indexes]) => pointTrace(data, choice, x, y, name, indexes)),
      missingTrace(data, choice, x, y),
    ],
    layout: {
      xaxis: { title: axisTitle(data.columns[choice.x]), ...x.ticks },
      yaxis: { title: axisTitle(data.columns[choice.measure]), ...y.ticks },
      yaxis2: { overlaying: "y", range: [0, 1], visible: false, fixedrange: true },
      showlegend: groups.length > 1,
      legend: { title: { text: choice.by === null ? "" : label(data.columns[choice.by].title) } },
      hovermode: "closest",
    },
  };
}

function pointGroups(data, by) {
  const all = data.rows.map((_, index) => index);
  if (by === null) return [["", all]];
  const values = levels(columnValues(data, by));
  if (values.length > MOST_GROUPS) return [["", all]];
  return values.map((value) => [label(value), all.filter((index) => data.rows[index][by] === value)]);
}

function pointTrace(data, choice, x, y, name, indexes) {
  const known = indexes.filter((index) => x.numbers[index] !== null && y.numbers[index] !== null);
  known.sort((a, b) => x.numbers[a] - x.numbers[b]);
  const single = new Set(known.map((index) => x.numbers[index])).size === known.length;
  return {
    type: "scatter",
    mode: single && known.length <= 200 ? "lines+markers" : single ? "lines" : "markers",
    name,
    x: known.map((index) => x.numbers[index]),
    y: known.map((index) => y.numbers[index]),
    customdata: known,
    text: known.map((index) => hoverText(data, index, choice.told)),
    hoverinfo: "text",
    marker: { size: 8 },
  };
}

// Experiments without the measure, as crosses along the foot of the figure.
function missingTrace(data, choice, x, y) {
  const missing = data.rows.map((_, index) => index).filter((index) =>
    x.numbers[index] !== null && y.numbers[index] === null);
  const colour = missing.map((index) => missingColour(data, index));
  return {
    type: "scatter",
    mode: "markers",
    name: "no value",
    yaxis: "y2",
    x: missing.map((index) => x.numbers[index]),
    y: missing.map(() => 0),
    cliponaxis: false,
    customdata: missing,
    text: missing.map((index) => hoverText(data, index, choice.told)),
    hoverinfo: "text",
    marker: { size: 7, symbol: "x-thin", line: { width: 2, color: colour } },
  };
}

function missingColour(data, index) {
  return data.tones[data.rows[index][0]] === "bad" ? "#c0392b" : "#8a939c";
}
