// Experiments beside each other: the ticked ones, number by number, and everyone's images.

const HALF = 300; // pixels of a chart's height, without its legend

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
    const [details, curves] = await Promise.all([Promise.all(rows.map(reader)), allCurves()]);
    if (signature !== shown) return;
    place.replaceChildren(
      compareTable(selection, rows, details),
      comparedImages(selection, rows, details),
      element("div", { id: "compared-curves" }),
      patches(selection, rows, details),
    );
    charts.push(...compareCurves(selection, rows, curves, byId("compared-curves")));
  };
  await update();
  return { update, close };
}

function compareTable(selection, rows, details) {
  const differ = (column) => new Set(rows.map((row) => column.values[row])).size > 1;
  const dimensions = selection.ofKind("dimension");
  const measures = [...selection.ofKind("measure"), ...selection.ofKind("elapsed")];
  const outcome = ["state", "cause", "launch"].map((kind) => selection.kind(kind));
  const line = (title, cells) => element("tr", {}, headCell("row", title), ...cells);
  const lineOf = (column) =>
    line(
      column.title,
      rows.map((row, at) =>
        element("td", {}, comparedValue(selection, column, row), difference(column, rows, at)),
      ),
    );
  const parents = details.map(({ parent }) => parent);
  const bases = parents.map((parent) => element("td", {}, element("code", {}, parent.slice(0, 12))));
  const same = dimensions.filter((column) => !differ(column) && !column.constant && !column.empty);
  const heads = rows.map((row) =>
    headCell(
      "col",
      differing(selection, row, rows),
      button("×", () => selection.tick(row, false), {
        "aria-label": `Untick ${selection.kind("node").values[row]}`,
      }),
    ),
  );
  return element(
    "div",
    { className: "wide", tabIndex: 0 },
    tableOf(
      "plain compare",
      same.length
        ? `Equal in all: ${same.map((column) => `${column.title}=${column.text(rows[0])}`).join(", ")}`
        : "Ticked experiments",
      [headCell("col", element("span", { className: "unseen" }, "Column")), ...heads],
      [
        ...lineGroup("Parameters that differ", rows, dimensions.filter(differ).map(lineOf)),
        ...lineGroup("Measures", rows, measures.filter(({ empty }) => !empty).map(lineOf)),
        ...lineGroup("Outcome", rows, [
          ...[selection.kind("verdict"), ...outcome.filter(differ)].map(lineOf),
          ...(new Set(parents).size > 1 ? [line("Base", bases)] : []),
        ]),
      ],
    ),
  );
}

function tableOf(className, caption, heads, lines) {
  return element(
    "table",
    { className },
    caption ? element("caption", {}, caption) : null,
    element("thead", {}, element("tr", {}, ...heads)),
    element("tbody", {}, ...lines),
  );
}

function headCell(scope, ...children) {
  return element("th", { scope }, ...children);
}

// Lines of a table under a heading of theirs.
function lineGroup(title, rows, lines) {
  if (!lines.length) return [];
  const head = element("th", { colSpan: rows.length + 1, scope: "rowgroup" }, title);
  return [element("tr", { className: "group" }, head), ...lines];
}

function comparedValue(selection, column, row) {
  if (column.kind === "verdict") return badge(column.values[row], selection.data.tones);
  return column.text(row) || "–";
}

// How much a number differs from the first experiment's.
function difference(column, rows, at) {
  if (!column.numeric || at === 0 || column.kind === "dimension") return null;
  const [first, own] = [rows[0], rows[at]].map((row) => column.numbers[row]);
  if (!Number.isFinite(first) || !Number.isFinite(own)) return null;
  const by = own - first;
  const part =
    first === 0 || by === 0 ? "" : ` (${by > 0 ? "+" : ""}${digits((100 * by) / Math.abs(first), 3)} %)`;
  const amount =
    column.kind === "elapsed"
      ? `${by < 0 ? "-" : "+"}${duration(Math.abs(by))}`
      : `${by > 0 ? "+" : ""}${digits(by, 4)}`;
  return element("div", { className: "difference" }, by === 0 ? "equal" : amount + part);
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

function compareCurves(selection, rows, curves, place) {
  const charts = [];
  for (const [described, all] of curves) {
    const chosen = rows.map((row) => all.find((curve) => curve.row === row)).filter(Boolean);
    if (!chosen.length) continue;
    const boxes = [element("div", { className: "figure" }), element("div", { className: "figure" })];
    place.append(element("h3", {}, described.name), element("div", { className: "halves" }, ...boxes));
    const named = (lines, label) => ({ described, lines, label });
    const lines = chosen.map((curve, at) => comparedLine(selection, rows, curve, curve.x, curve.y, at));
    charts.push(pairChart(boxes[0], named(lines, described.yLabel), "of the ticked experiments"));
    const residuals = residualLines(selection, rows, chosen);
    if (residuals.length)
      charts.push(pairChart(boxes[1], named(residuals, "difference from the first"), "less the first"));
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

function comparedLine(selection, rows, { row }, x, y, at) {
  return lineSeries(differing(selection, row, rows), x, y, { color: PALETTE[at % PALETTE.length], row });
}

// A chart of half the width, its legend below.
function pairChart(box, { described, lines, label }, title) {
  const theme = colours();
  const names = lines.map(({ name }) => name);
  const { legend, room } = legendBelow(names, theme, { width: box.clientWidth, top: HALF });
  box.style.height = `${HALF + room}px`;
  const chart = new Chart(box, `${described.name} ${title}.`);
  chart.draw({
    grid: {
      left: 10,
      right: 16,
      top: 16,
      bottom: 10 + room,
      outerBoundsMode: "same",
      outerBoundsContain: "all",
    },
    xAxis: curveAxis(described.xLabel, { inverse: described.reversed, theme, gap: 28 }),
    yAxis: curveAxis(label, { theme, gap: 48 }),
    legend: { ...legend, ...LINES },
    series: lines,
  });
  return chart;
}

// Each curve less the first, at the first one's places; none where one of them runs back.
function residualLines(selection, rows, [first, ...others]) {
  const lines = others.map((curve, at) => {
    const heights = interpolated(first, first.x) && interpolated(curve, first.x);
    const left = heights?.map((height, place) =>
      height === null || first.y[place] === null ? null : height - first.y[place],
    );
    return left && comparedLine(selection, rows, curve, first.x, left, at + 1);
  });
  return lines.every(Boolean) ? lines : [];
}

// The difference of each patch from the first one's.
function patches(selection, rows, details) {
  if (!details.some(({ diff }) => diff)) return element("div");
  const [first, ...others] = rows.map((row, at) => ({
    name: differing(selection, row, rows),
    diff: details[at].diff,
  }));
  return element(
    "section",
    { className: "patches" },
    element("h3", {}, "Between their patches"),
    ...others.map((one) => element("div", {}, patchBetween(first, one))),
  );
}

function patchBetween(first, other) {
  if (first.diff === other.diff)
    return element("p", { className: "note" }, `The patch of ${other.name} equals that of ${first.name}.`);
  const text = Diff.createTwoFilesPatch(first.name, other.name, first.diff, other.diff, "", "", {
    context: 2,
  });
  return diffView(text.replace(/^=+\n/, ""));
}

// The gallery: one image of every selected experiment, where the experiment lies in the grid.

async function galleryView(selection, place) {
  await library("extras");
  const images = JSON.parse(await unpack(readJson("images")));
  const names = [...new Set(images.flat().map(([name]) => name))];
  const { v } = selection.state;
  const forms = element("form", { className: "choices", onsubmit: (event) => event.preventDefault() });
  const box = element("div", {
    className: "gallery wide",
    tabIndex: 0,
    role: "group",
    "aria-label": "Images",
  });
  place.append(forms, box);
  const refill = formFiller(selection, forms);
  const update = () => {
    const name = names.includes(v.image) ? v.image : names[0];
    const { slice } = settings(selection, ["slice"]);
    refill(() => [
      chooser(
        "Image",
        names.map((one) => [one, one]),
        name,
        (one) => selection.set({ image: one }),
      ),
      ...slicer(selection, "slice", slice),
    ]);
    const items = selection
      .rows()
      .map((row) => ({ row, name, href: images[row].find(([other]) => other === name)?.[1] }));
    box.replaceChildren(...arranged(selection, items));
  };
  update();
  return { update, close: () => {} };
}

const MOST_IMAGES = 400;

// One dimension: a strip; two or more: a matrix over the first two that still vary.
function arranged(selection, items) {
  const some = items.slice(0, MOST_IMAGES);
  const note =
    items.length > some.length
      ? [element("p", { className: "note" }, `The first ${some.length} of ${items.length} are shown.`)]
      : [];
  const varies = (column) => new Set(some.map(({ row }) => column.values[row])).size > 1;
  const [across, down] = gridColumns(selection)
    .filter(varies)
    .sort((a, b) => b.levels.length - a.levels.length);
  if (!down) return [...note, element("div", { className: "strip" }, ...galleryFigures(selection, some))];
  const present = (column) =>
    column.levels.filter((value) => some.some(({ row }) => column.values[row] === value));
  const [columns, lines] = [present(across), present(down)];
  const rest = selection.varied.filter((column) => varies(column) && column !== across && column !== down);
  const figures = galleryFigures(selection, some, rest);
  const cell = (line, column) =>
    element(
      "td",
      {},
      ...figures.filter(
        (_, at) => down.values[some[at].row] === line && across.values[some[at].row] === column,
      ),
    );
  const heads = [`${down.title} ↓  ${across.title} →`, ...columns.map((value) => across.label(value))];
  const body = lines.map((line) =>
    element("tr", {}, headCell("row", down.label(line)), ...columns.map((column) => cell(line, column))),
  );
  return [
    ...note,
    tableOf(
      "matrix",
      "",
      heads.map((text) => headCell("col", text)),
      body,
    ),
  ];
}

// A small image each, enlarged on click; next and previous by key, as PhotoSwipe has it.
function galleryFigures(selection, items, columns = selection.varied) {
  const present = items.filter(({ href }) => href);
  return items.map((item) => {
    const text = pointText(selection, item.row);
    const name = columns.length ? pointText(selection, item.row, columns) : "";
    const good = selection.tone[item.row] === "good";
    const verdict = badge(selection.kind("verdict").values[item.row], selection.data.tones);
    const caption = element("figcaption", {}, name, good && item.href ? "" : verdict);
    if (!item.href) return element("figure", { className: "none" }, caption);
    const open = (event) => {
      event.preventDefault();
      enlarge(selection, present, present.indexOf(item));
    };
    return element(
      "figure",
      {},
      element(
        "a",
        { href: item.href, onclick: open },
        element("img", { src: smallImage(item.href), alt: `${item.name}, ${text}`, loading: "lazy" }),
      ),
      caption,
    );
  });
}

function enlarge(selection, items, index) {
  const swipe = new PhotoSwipe({
    dataSource: items.map(({ href, row, name }) => ({
      src: href,
      msrc: smallImage(href),
      alt: `${name}, ${pointText(selection, row)}`,
      width: 1200,
      height: 900,
      row,
    })),
    index,
    bgOpacity: 0.92,
    showHideAnimationType: "none",
    wheelToZoom: true,
  });
  swipe.on("loadComplete", ({ content, slide, isError }) => fit(swipe, content, slide, isError));
  swipe.on("uiRegister", () =>
    swipe.ui.registerElement({
      name: "caption",
      appendTo: "root",
      onInit: (node) =>
        swipe.on("change", () => {
          node.textContent = pointText(selection, swipe.currSlide.data.row);
        }),
    }),
  );
  swipe.init();
}

// An image's size is known once it is loaded; where its file is not beside the page, the small copy
// is shown.
function fit(swipe, content, slide, isError) {
  const image = content.element;
  if (isError && content.data.src !== content.data.msrc) {
    Object.assign(content.data, { src: content.data.msrc });
    swipe.refreshSlideContent(content.index);
    return;
  }
  if (!image?.naturalWidth) return;
  const scale = Math.max(1, 640 / image.naturalWidth);
  const [width, height] = [image.naturalWidth * scale, image.naturalHeight * scale];
  if (width === content.data.width && height === content.data.height) return;
  Object.assign(content.data, { width, height });
  if (slide) swipe.refreshSlideContent(content.index);
}
