// Figures that the sweep's own hook made: drawn as they came, on the page's background.

function drawOwnFigures() {
  const place = document.getElementById("own-figures");
  const items = readJson("figures-data");
  const views = items.map(({ problem }) =>
    (problem ? element("p", { className: "note" }, problem) : element("div", { className: "figure" })));
  place.append(...views);
  document.getElementById("figures").hidden &&= items.length === 0;
  items.forEach(({ figure }, index) => {
    if (figure) Plotly.newPlot(views[index], figure.data, themed(figure.layout ?? {}), FIGURE_CONFIG);
  });
}
