// Everyone's images on the grid, enlarged by PhotoSwipe.

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
  const update = () => {
    const name = names.includes(v.image) ? v.image : names[0];
    const { slice } = settings(selection, ["slice"]);
    if (!forms.contains(document.activeElement)) {
      forms.replaceChildren(
        chooser(
          "Image",
          names.map((one) => [one, one]),
          name,
          (one) => selection.set({ image: one }),
        ),
        ...slicer(selection, "slice", slice),
      );
    }
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
  return [
    ...note,
    element(
      "table",
      { className: "matrix" },
      element(
        "thead",
        {},
        element(
          "tr",
          {},
          element("th", { scope: "col" }, `${down.title} \\ ${across.title}`),
          ...columns.map((value) => element("th", { scope: "col" }, across.label(value))),
        ),
      ),
      element(
        "tbody",
        {},
        ...lines.map((line) =>
          element(
            "tr",
            {},
            element("th", { scope: "row" }, down.label(line)),
            ...columns.map((column) => cell(line, column)),
          ),
        ),
      ),
    ),
  ];
}

// A small image each, enlarged on click; next and previous by key, as PhotoSwipe has it.
function galleryFigures(selection, items, told = selection.varied) {
  const present = items.filter(({ href }) => href);
  return items.map((item) => {
    const text = pointText(selection, item.row);
    const caption = element("figcaption", {}, told.length ? pointText(selection, item.row, told) : "");
    if (!item.href)
      return element(
        "figure",
        { className: "none" },
        badge(selection.data.rows[item.row][0], selection.data.tones),
        caption,
      );
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
