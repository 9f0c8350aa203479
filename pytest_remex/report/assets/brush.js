// Parallel coordinates lead to the table: by their ranges, and by the line that is pointed at.

const NEAR = 5; // pixels: a line is one wide, which no hand can hold

function startBrush(place, data, show, narrow) {
  let pointed = null;
  const lines = () => (place.data[0].type === "parcoords" ? place.data[0] : null);
  place.on("plotly_hover", (event) => {
    if (lines()) pointed = event;
  });
  place.addEventListener("click", ({ clientX, clientY }) => {
    const near = pointed && Math.hypot(clientX - pointed.clientX, clientY - pointed.clientY) <= NEAR;
    if (near && lines()) show(lines().customdata[pointed.curveNumber]);
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
