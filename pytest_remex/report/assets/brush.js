// Parallel coordinates lead to the table: by their ranges, and by the line that is pointed at.

function startBrush(place, data, show, narrow) {
  let pointed = null;
  const lines = () => (place.data[0].type === "parcoords" ? place.data[0] : null);
  place.on("plotly_hover", (event) => {
    pointed = lines()?.customdata[event.curveNumber] ?? null;
  });
  place.on("plotly_unhover", () => {
    pointed = null;
  });
  place.addEventListener("click", () => {
    if (pointed !== null) show(pointed);
  });
  place.on("plotly_restyle", () => {
    if (lines()) narrow(brushed(data, lines()));
  });
}

// The experiments that lie in every range marked on the axes; null where none is marked.
function brushed(data, trace) {
  const marked = trace.dimensions.flatMap(({ constraintrange }, at) =>
    (constraintrange ? [[trace.meta[at], [constraintrange].flat(Infinity)]] : []));
  if (marked.length === 0) return null;
  const tests = marked.map(([place, ends]) => inRanges(scaleOf(columnValues(data, place)).numbers, ends));
  return new Set(data.rows.map((_, index) => index).filter((index) => tests.every((test) => test(index))));
}

function inRanges(numbers, ends) {
  return (index) => numbers[index] !== null && ends.some((low, at) =>
    at % 2 === 0 && low <= numbers[index] && numbers[index] <= ends[at + 1]);
}
