// The table of experiments: DataTables sorts, filters, searches and pages.

function startTable(data) {
  const columns = data.columns.map((column, place) => columnOptions(data, column, place));
  document.getElementById("table").append(tableHead(data.columns));
  return new remexTables.default("#table", {
    data: data.rows,
    columns: [openerColumn(data), ...columns],
    order: [],
    autoWidth: false,
    pageLength: 25,
    lengthMenu: [25, 100, 500, { label: "All", value: -1 }],
    columnControl: ["searchDropdown"],
    layout: {
      topStart: "search",
      topEnd: { buttons: tableButtons() },
      bottomStart: ["info", "pageLength"],
      bottomEnd: "paging",
    },
    language: {
      search: "Search ",
      lengthMenu: "_MENU_ a page",
      entries: { _: "experiments", 1: "experiment" },
      emptyTable: "No experiments",
      zeroRecords: "No experiment matches",
    },
  });
}

function tableHead(columns) {
  const opener = element("th", { scope: "col" }, element("span", { className: "unseen" }, "Details"));
  const titles = columns.map(({ title }) => element("th", { scope: "col" }, title));
  return element("thead", {}, element("tr", {}, opener, ...titles));
}

function tableButtons() {
  return [
    { text: "Clear filters", action: (_, table) => clearFilters(table) },
    { extend: "colvis", text: "Columns", columns: ":gt(0)" },
  ];
}

// Every way to narrow the table down, undone; those who narrow listen for `remex-clear`.
function clearFilters(table) {
  table.table().node().dispatchEvent(new CustomEvent("remex-clear"));
  table.search("").columns().search("");
  table.columns().columnControl.searchClear();
  table.draw();
}
