// The button at the start of a row, and the details that it opens.

function openerColumn(data) {
  return {
    data: null,
    orderable: false,
    searchable: false,
    columnControl: [],
    className: "opener",
    render: (_, type, row) => (type === "display" ? openerButton(row[1]) : ""),
  };
}

function openerButton(name) {
  return element("button", { type: "button", "aria-expanded": "false", "aria-label": `Details of ${name}` });
}

function startOpening(table, reader) {
  table.on("click", "tbody tr", (event) => {
    const row = table.row(event.target.closest("tr"));
    if (row.index() === undefined || isBusy(event.target)) return;
    if (row.child.isShown()) closeRow(row);
    else openRow(row, reader);
  });
}

// Links keep their meaning, and text can be selected without the row closing.
function isBusy(target) {
  return target.closest("a, .details") !== null || getSelection().toString() !== "";
}

async function openRow(row, reader) {
  if (row.child.isShown()) return;
  row.child(detailsView(await reader(row.index())), "child").show();
  expanded(row, true);
}

function closeRow(row) {
  row.child(false);
  expanded(row, false);
}

function expanded(row, state) {
  row.node().querySelector(".opener button").setAttribute("aria-expanded", String(state));
}
