// Every parameter and the measure side by side, one line an experiment, coloured by the measure.

const MOST_LINES = 1000;

function parallelView(data, choice) {
  const measure = scaleOf(columnValues(data, choice.measure));
  const known = data.rows.map((_, index) => index).filter((index) => measure.numbers[index] !== null);
  const drawn = known.length > MOST_LINES ? sample(known, MOST_LINES) : known;
  const places = [...choice.axes, choice.measure];
  return {
    traces: [{
      type: "parcoords",
      dimensions: places.map((place) => parallelAxis(data, place, drawn)),
      meta: places,
      customdata: drawn,
      line: { color: drawn.map((index) => measure.numbers[index]), colorscale: "Viridis", showscale: false },
    }],
    layout: { margin: { l: 60, r: 60, t: 60, b: 30 } },
    note: drawn.length < known.length ? `${drawn.length} of ${known.length} lines are drawn.` : "",
  };
}

// A part of a grid that leaves out no level of a parameter, as every n-th experiment would.
function sample(indexes, size) {
  const scattered = (index) => Math.imul(index + 1, 2654435761) >>> 0;
  return [...indexes].sort((a, b) => scattered(a) - scattered(b)).slice(0, size).sort((a, b) => a - b);
}

// An axis of few levels has a tick at each.
function parallelAxis(data, place, drawn) {
  const { numbers, ticks } = scaleOf(columnValues(data, place));
  const distinct = [...new Set(numbers)].filter((number) => number !== null);
  const few = ticks.tickvals || distinct.length > 12 ? {} : { tickvals: distinct, ticktext: distinct.map(label) };
  return {
    label: axisTitle(data.columns[place]).text,
    values: drawn.map((index) => numbers[index]),
    range: [Math.min(...distinct), Math.max(...distinct)],
    ...ticks,
    ...few,
  };
}
