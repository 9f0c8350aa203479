// Ticked experiments side by side.

// What the ticked differ in: parameters, measures with their difference from the first, provenance,
// curves and their residual, images, and the patches' difference.
async function compareView(selection, place, reader) {
  await library("extras");
  const charts = [];
  const close = () => {
    for (const chart of charts.splice(0)) chart.close();
  };
  let shown = "";
  const update = async () => {
    const rows = [...selection.ticked];
    const signature = `${rows} ${isDark()}`;
    if (signature === shown) return;
    shown = signature;
    close();
    if (rows.length < 2) {
      place.replaceChildren(
        element(
          "p",
          { className: "note" },
          "Tick two or more experiments in the table, or click their points in a figure, to compare them.",
        ),
      );
      return;
    }
    const details = await Promise.all(rows.map(reader));
    place.replaceChildren(
      compareTable(selection, rows, details),
      comparedImages(selection, rows, details),
      element("div", { id: "compared-curves" }),
      patches(selection, rows, details),
    );
    charts.push(...(await compareCurves(selection, rows, byId("compared-curves"))));
  };
  await update();
  return { update, close };
}

function compareTable(selection, rows, details) {
  const differ = (column) => new Set(rows.map((row) => column.values[row])).size > 1;
  const parameters = selection.ofKind("dimension").filter(differ);
  const measures = [...selection.ofKind("measure"), ...selection.ofKind("elapsed")].filter(
    ({ empty }) => !empty,
  );
  const rest = ["verdict", "state", "cause", "launch"]
    .map((kind) => selection.kind(kind))
    .filter((column) => !column.empty && (column.kind === "verdict" || differ(column)));
  const line = (column) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, column.title),
      ...rows.map((row, at) =>
        element(
          "td",
          { className: column.numeric ? "number" : "" },
          column.text(row) || "–",
          difference(column, rows, at),
        ),
      ),
    );
  const bases =
    new Set(details.map(({ parent }) => parent)).size > 1
      ? [
          element(
            "tr",
            {},
            element("th", { scope: "row" }, "Base"),
            ...details.map(({ parent }) => element("td", {}, element("code", {}, parent.slice(0, 12)))),
          ),
        ]
      : [];
  const group = (title, lines) =>
    lines.length
      ? [
          element(
            "tr",
            { className: "group" },
            element("th", { colSpan: rows.length + 1, scope: "rowgroup" }, title),
          ),
          ...lines,
        ]
      : [];
  const same = selection
    .ofKind("dimension")
    .filter((column) => !differ(column) && !column.constant && !column.empty);
  return element(
    "div",
    { className: "wide", tabIndex: 0 },
    element(
      "table",
      { className: "plain compare" },
      element(
        "caption",
        {},
        same.length
          ? `Equal in all: ${same.map((column) => `${column.title}=${column.text(rows[0])}`).join(", ")}`
          : "Ticked experiments",
      ),
      element(
        "thead",
        {},
        element(
          "tr",
          {},
          element("th", { scope: "col" }, element("span", { className: "unseen" }, "Column")),
          ...rows.map((row) =>
            element(
              "th",
              { scope: "col" },
              pointText(selection, row),
              " ",
              button("×", () => selection.tick(row, false), {
                "aria-label": `Untick ${selection.kind("node").values[row]}`,
              }),
            ),
          ),
        ),
      ),
      element(
        "tbody",
        {},
        ...group("Parameters that differ", parameters.map(line)),
        ...group("Measures", measures.map(line)),
        ...group("Outcome", [...rest.map(line), ...bases]),
      ),
    ),
  );
}

// How much a number differs from the first experiment's.
function difference(column, rows, at) {
  if (!column.numeric || at === 0 || column.kind === "dimension") return null;
  const [first, own] = [rows[0], rows[at]].map((row) => column.numbers[row]);
  if (!Number.isFinite(first) || !Number.isFinite(own)) return null;
  const by = own - first;
  const part =
    first === 0 || by === 0 ? "" : ` (${by > 0 ? "+" : ""}${digits((100 * by) / Math.abs(first), 3)} %)`;
  const told =
    column.kind === "elapsed"
      ? `${by < 0 ? "-" : "+"}${duration(Math.abs(by))}`
      : `${by > 0 ? "+" : ""}${digits(by, 4)}`;
  return element("div", { className: "difference" }, by === 0 ? "equal" : told + part);
}

function comparedImages(selection, rows, details) {
  const names = [...new Set(details.flatMap(({ images }) => images.map(([name]) => name)))];
  const find = ({ images }, name) => images.find(([other]) => other === name)?.[1];
  return element(
    "div",
    {},
    ...names.map((name) => {
      const items = rows.map((row, at) => ({ row, href: find(details[at], name), name }));
      return element(
        "section",
        {},
        element("h3", {}, name),
        element("div", { className: "strip" }, ...galleryFigures(selection, items)),
      );
    }),
  );
}

async function compareCurves(selection, rows, place) {
  const charts = [];
  for (const described of readJson("curves")) {
    const all = await curvesOf(described);
    const chosen = rows.map((row) => all.find((curve) => curve.row === row)).filter(Boolean);
    if (!chosen.length) continue;
    const boxes = [
      element("div", { className: "figure half" }),
      element("div", { className: "figure half" }),
    ];
    place.append(element("h3", {}, described.name), element("div", { className: "halves" }, ...boxes));
    charts.push(compareChart(selection, described, chosen, boxes[0]));
    const residual = residualChart(selection, described, chosen, boxes[1]);
    if (residual) charts.push(residual);
    else
      boxes[1].replaceWith(
        element(
          "p",
          { className: "note" },
          chosen.length < 2
            ? "Only one of them has this curve."
            : "No residual: x does not run one way in every curve.",
        ),
      );
  }
  return charts;
}

function compareChart(selection, described, chosen, box) {
  const theme = colours();
  const chart = new Chart(box, `${described.name} of the ticked experiments.`);
  const lines = chosen.map(({ row, x, y }, at) =>
    lineSeries(pointText(selection, row), x, y, { color: PALETTE[at % PALETTE.length], row }),
  );
  chart.draw(pairOption(described, described.yLabel, lines, theme));
  return chart;
}

function pairOption(described, yLabel, lines, theme) {
  return {
    grid: { left: 10, right: 16, top: 16, bottom: 44, outerBoundsMode: "same", outerBoundsContain: "all" },
    xAxis: curveAxis(described.xLabel, { inverse: described.reversed, theme, gap: 28 }),
    yAxis: curveAxis(yLabel, { theme, gap: 48 }),
    legend: {
      type: "scroll",
      bottom: 0,
      textStyle: { color: theme.ink },
      pageTextStyle: { color: theme.faint },
      pageIconColor: theme.ink,
    },
    series: lines,
  };
}

// Each curve less the first, at the first one's places.
function residualChart(selection, described, chosen, box) {
  const theme = colours();
  const [first, ...others] = chosen;
  const lines = others.map((curve, at) => {
    const heights = interpolated(first, first.x) && interpolated(curve, first.x);
    if (!heights) return null;
    const left = heights.map((height, place) =>
      height === null || first.y[place] === null ? null : height - first.y[place],
    );
    return lineSeries(pointText(selection, curve.row), first.x, left, {
      color: PALETTE[(at + 1) % PALETTE.length],
      row: curve.row,
    });
  });
  if (!lines.length || lines.includes(null)) return null;
  const chart = new Chart(box, `${described.name}: difference from the first experiment.`);
  chart.draw(pairOption(described, "difference from the first", lines, theme));
  return chart;
}

// The difference of each patch from the first one's.
function patches(selection, rows, details) {
  if (!details.some(({ diff }) => diff)) return element("div");
  return element(
    "section",
    {},
    element("h3", {}, "Between their patches"),
    ...rows.slice(1).map((row, at) => {
      const [own, first] = [details[at + 1].diff, details[0].diff];
      const name = (place) => pointText(selection, place);
      const text =
        own === first
          ? "The patches are equal."
          : Diff.createTwoFilesPatch(name(rows[0]), name(row), first, own, "", "", { context: 2 }).replace(
              /^=+\n/,
              "",
            );
      return diffView(text);
    }),
  );
}
