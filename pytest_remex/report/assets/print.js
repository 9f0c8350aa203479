// On paper there are no pages to turn: every row that the filters leave is printed.

function startPrinting(table, length = null) {
  addEventListener("beforeprint", () => {
    length = table.page.len();
    table.page.len(-1).draw();
  });
  addEventListener("afterprint", () => table.page.len(length).draw());
}
