// On paper there are no pages to turn: every row that the filters leave is printed.

function startPrinting(table) {
  whilePrinting(() => {
    const length = table.page.len();
    table.page.len(-1).draw();
    return () => table.page.len(length).draw();
  });
}

// Runs `prepare` before the page is printed, and what that gives afterwards.
function whilePrinting(prepare) {
  let restore = () => {};
  addEventListener("beforeprint", () => {
    restore = prepare();
  });
  addEventListener("afterprint", () => restore());
}
