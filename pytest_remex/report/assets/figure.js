// The figure of the grid, of the measure and view chosen above it; a click in it leads to the row.

// Nothing that would send a figure away.
const FIGURE_CONFIG = {
  displaylogo: false,
  displayModeBar: true,
  modeBarButtonsToRemove: ["lasso2d", "select2d"],
  plotlyServerURL: "",
  responsive: true,
  showSendToCloud: false,
};

function startFigure(data, show, narrow) {
  const axes = axisPlaces(data);
  const measures = measurePlaces(data);
  if (axes.length === 0 || measures.length === 0) return () => {};
  const views = viewsOf(data, axes);
  const choice = () => ({ ...views[view.chosen()], measure: measures[measure.chosen()], told: told(data) });
  const draw = () => drawFigure(data, choice());
  const measure = chooser("Measure", measures.map((place) => data.columns[place].title), draw);
  const view = chooser("View", views.map((one) => one.name), draw);
  document.getElementById("choices").append(measure.label, ...(views.length > 1 ? [view.label] : []));
  document.getElementById("figures").hidden = false;
  draw();
  listen(document.getElementById("figure"), show);
  startBrush(document.getElementById("figure"), data, show, narrow);
  return draw;
}

// The parameters that vary: what tells one point from another.
function told(data) {
  const parameters = placesOf(data, "dimension");
  return data.axes.flat().map((axis) => parameters[axis]);
}

function drawFigure(data, choice) {
  const { traces, layout, note = "" } = choice.draw(data, { ...choice, told: [...choice.told, choice.measure, 0] });
  const missing = data.rows.filter((row) => row[choice.measure] === null || row[choice.measure] === "").length;
  const title = data.columns[choice.measure].title;
  const lacking = missing ? `${missing} of ${data.rows.length} experiments have no ${title}. ` : "";
  const description = `${title}, ${choice.name}. The table below holds the numbers.`;
  document.getElementById("figure-note").textContent = lacking + note;
  document.getElementById("figure").setAttribute("aria-label", description);
  Plotly.react("figure", traces, themed(layout), FIGURE_CONFIG);
}

// The page's colours, for a figure on its background.
function themed(layout) {
  const { color: ink, borderTopColor: rule, fontFamily } = getComputedStyle(document.getElementById("figures"));
  const { color: faint } = getComputedStyle(document.getElementById("figure-note"));
  const axis = { gridcolor: rule, zerolinecolor: rule, linecolor: rule, automargin: true };
  return {
    margin: { l: 70, r: 20, t: 20, b: 60 },
    paper_bgcolor: "transparent",
    plot_bgcolor: "transparent",
    colorway: ["#3b74af", "#d1733a", "#4c9a5b", "#a8557f", "#7b6cb5", "#8a6d3b", "#3a9a9c", "#777777"],
    modebar: { bgcolor: "transparent", color: faint, activecolor: ink },
    ...layout,
    font: { family: fontFamily, size: 13, color: ink },
    xaxis: { ...axis, ...layout.xaxis },
    yaxis: { ...axis, ...layout.yaxis },
  };
}

function listen(place, show) {
  place.on("plotly_click", ({ points: [point] }) => {
    if (Number.isInteger(point.customdata)) show(point.customdata);
  });
}
