// The counts per verdict, made buttons that narrow the table down to their verdicts.

function startVerdicts(table, chosen = new Set()) {
  const column = table.column(".verdict");
  const buttons = [...document.querySelectorAll("#verdicts li")].map((item) => {
    const word = item.querySelector(".badge").textContent;
    const button = element("button", { type: "button", "aria-pressed": "false" }, ...item.childNodes);
    item.append(button);
    button.addEventListener("click", () => {
      if (!chosen.delete(word)) chosen.add(word);
      apply();
      table.draw();
    });
    return [word, button];
  });
  const apply = () => {
    for (const [word, button] of buttons) button.setAttribute("aria-pressed", String(chosen.has(word)));
    column.search.fixed("verdict", chosen.size ? (_, row) => chosen.has(row[0]) : null);
  };
  table.table().node().addEventListener("remex-clear", () => {
    chosen.clear();
    apply();
  });
}
