// Every parameter and the measure side by side, one line an experiment, coloured by the measure.

function parallelView(data, choice) {
  const measure = scaleOf(columnValues(data, choice.measure));
  const known = data.rows.map((_, index) => index).filter((index) => measure.numbers[index] !== null);
  const lines = [...choice.axes, choice.measure].map((place) => {
    const scale = scaleOf(columnValues(data, place));
    return {
      label: label(data.columns[place].title),
      values: known.map((index) => scale.numbers[index]),
      ...fewTicks(scale),
    };
  });
  return {
    traces: [{
      type: "parcoords",
      dimensions: lines,
      customdata: known,
      line: {
        color: known.map((index) => measure.numbers[index]),
        colorscale: "Viridis",
        showscale: false,
      },
    }],
    layout: { margin: { l: 60, r: 60, t: 60, b: 30 } },
  };
}

// An axis of few levels has a tick at each.
function fewTicks({ numbers, ticks }) {
  const distinct = [...new Set(numbers)].filter((number) => number !== null);
  return ticks.tickvals || distinct.length > 12 ? ticks : { tickvals: distinct, ticktext: distinct.map(label) };
}

// The experiments that pass through every range marked on the axes; null where none is marked.
function brushed(trace) {
  const marked = trace.dimensions.filter((line) => line.constraintrange);
  if (marked.length === 0) return null;
  const inside = (line, place) => [line.constraintrange].flat(Infinity).some((low, at, ends) =>
    at % 2 === 0 && low <= line.values[place] && line.values[place] <= ends[at + 1]);
  return new Set(trace.customdata.filter((_, place) => marked.every((line) => inside(line, place))));
}

// Lines report being pointed at, not being clicked: a click is on the line last pointed at.
function listenToLines(place, show, narrow) {
  let pointed = null;
  place.on("plotly_hover", (event) => {
    pointed = place.data[0].type === "parcoords" ? place.data[0].customdata[event.curveNumber] : null;
  });
  place.on("plotly_unhover", () => {
    pointed = null;
  });
  place.addEventListener("click", () => {
    if (Number.isInteger(pointed)) show(pointed);
  });
  place.on("plotly_restyle", () => {
    if (place.data[0].type === "parcoords") narrow(brushed(place.data[0]));
  });
}
