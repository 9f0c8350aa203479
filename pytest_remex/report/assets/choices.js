// What a figure can show: which measure, and which view of the grid.

// The parameters that stand for the grid's axes: the first of those that vary together.
function axisPlaces(data) {
  const parameters = placesOf(data, "dimension");
  return data.axes.map(([first]) => parameters[first]);
}

function placesOf(data, kind) {
  return data.columns.flatMap((column, place) => (column.kind === kind ? [place] : []));
}

function measurePlaces(data) {
  return ["measure", "elapsed", "verdict"].flatMap((kind) => placesOf(data, kind)).filter((place) =>
    data.rows.some((row) => row[place] !== null && row[place] !== ""));
}

// The views of a grid by its number of axes, the most fitting first.
function viewsOf(data, axes) {
  const name = (place) => data.columns[place].title;
  const along = (x, by) => ({ name: `Against ${name(x)}`, draw: pointsView, x, by });
  if (axes.length === 1) return [along(axes[0], null)];
  if (axes.length === 2) {
    const [x, by] = axes;
    return [{ name: "Heat map", draw: heatmapView, x, by }, along(x, by), along(by, x)];
  }
  const parallel = { name: "Parallel coordinates", draw: parallelView, axes };
  const single = axes.map((place) => along(place, null));
  return canDrawLines() ? [parallel, ...single] : single;
}

// Parallel coordinates are drawn by WebGL, which some browsers lack.
function canDrawLines() {
  return element("canvas").getContext("webgl") !== null;
}

function chooser(title, options, changed) {
  const select = element("select", {}, ...options.map((text, value) => element("option", { value }, text)));
  select.addEventListener("change", changed);
  return { label: element("label", {}, `${title} `, select), chosen: () => Number(select.value) };
}
