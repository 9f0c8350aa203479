// From a point in a figure to its row: on its page, open, in view, with the focus.

async function reveal(table, index, reader) {
  const visible = () => table.rows({ search: "applied", order: "applied" }).indexes().toArray();
  if (!visible().includes(index)) clearFilters(table);
  const length = table.page.len();
  table.page(length > 0 ? Math.floor(visible().indexOf(index) / length) : 0).draw("page");
  const row = table.row(index);
  await openRow(row, reader);
  row.node().scrollIntoView({ block: "center" });
  row.node().querySelector(".opener button").focus({ preventScroll: true });
}
