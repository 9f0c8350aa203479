// Ranges marked in a figure narrow the table down to the experiments in them.

function narrowing(table) {
  const narrow = (kept) => table.search.fixed("figure", kept ? (_, __, index) => kept.has(index) : null).draw();
  table.table().node().addEventListener("remex-clear", () => table.search.fixed("figure", null));
  return narrow;
}
