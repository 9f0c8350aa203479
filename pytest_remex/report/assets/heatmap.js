// A measure over two parameters.

function heatmapView(data, choice) {
  const [across, up] = [choice.x, choice.by].map((place) => levels(columnValues(data, place)));
  const measure = scaleOf(columnValues(data, choice.measure));
  const grid = (fill) => up.map(() => across.map(() => fill));
  const [numbers, indexes, texts] = [grid(null), grid(null), grid("")];
  const placeOf = (values) => new Map(values.map((value, place) => [value, place]));
  const [columns, lines] = [placeOf(across), placeOf(up)];
  let hidden = 0;
  data.rows.forEach((row, index) => {
    const [line, column] = [lines.get(row[choice.by]), columns.get(row[choice.x])];
    if (indexes[line][column] !== null) hidden += 1;
    numbers[line][column] = measure.numbers[index];
    indexes[line][column] = index;
    texts[line][column] = hoverText(data, index, choice.told);
  });
  return {
    traces: [{
      type: "heatmap",
      x: labels(across),
      y: labels(up),
      z: numbers,
      customdata: indexes,
      text: texts,
      hoverinfo: "text",
      hoverongaps: true,
      xgap: 1,
      ygap: 1,
      colorscale: "Viridis",
      colorbar: { title: axisTitle(data.columns[choice.measure]), outlinewidth: 0, ...measure.ticks },
    }],
    layout: {
      xaxis: { type: "category", title: axisTitle(data.columns[choice.x]), showgrid: false },
      yaxis: { type: "category", title: axisTitle(data.columns[choice.by]), showgrid: false },
    },
    note: hidden ? `${hidden} experiments lie under another of the same parameters.` : "",
  };
}
