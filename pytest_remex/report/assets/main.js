// The page, from its data: first the table, then, once that is seen, the figures.

async function start() {
  let redraw = () => {};
  startTheme(() => redraw());
  const data = readJson("table-data");
  await runLibrary("tables");
  const table = startTable(data);
  const reader = detailsReader();
  startOpening(table, reader);
  startVerdicts(table);
  startPrinting(table);
  if (data.rows.length === 1) await openRow(table.row(0), reader);
  reached("table");
  await runLibrary("charts");
  redraw = startFigure(data, (index) => reveal(table, index, reader), narrowing(table));
  drawOwnFigures();
  reached("figures");
}

// For whoever measures or waits for the page.
function reached(stage) {
  document.documentElement.dataset.ready = stage;
  performance.mark(stage);
}

// Without what the page needs of a browser, the plain table that it carries is shown.
start().catch((problem) => {
  document.getElementById("main").innerHTML = document.getElementById("plain").textContent;
  throw problem;
});
