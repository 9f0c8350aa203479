// What a row opens to: its reason, patch, log, outputs and pictures; unpacked when first asked for.

function detailsReader() {
  const { size, chunks } = readJson("details-data");
  const read = new Map();
  return async (index) => {
    const place = Math.floor(index / size);
    if (!read.has(place)) read.set(place, unpack(chunks[place]).then(JSON.parse));
    return (await read.get(place))[index % size];
  };
}

function detailsView(one) {
  return element(
    "div",
    { className: "details" },
    part("Reason", one.reason, () => element("pre", { tabIndex: 0 }, one.reason)),
    part("Pictures", one.images.length, () => pictures(one.images)),
    part("Patch", one.diff, () => diffView(one.diff)),
    part("End of the log", one.log, () => element("pre", { tabIndex: 0 }, one.log)),
    part("Outputs", one.outputs.length, () => outputs(one.outputs)),
    identity(one),
  );
}

function part(title, content, view) {
  return content ? element("section", {}, element("h3", {}, title), view()) : null;
}

function pictures(images) {
  const views = images.filter(([, href]) => href).map(([name, href]) =>
    element("figure", {},
      element("a", { href }, element("img", { src: href, alt: name, loading: "lazy" })),
      element("figcaption", {}, name)));
  return element("div", { className: "pictures" }, ...views);
}

function outputs(links) {
  return element("ul", { className: "outputs" }, ...links.map((one) => element("li", {}, link(...one))));
}

function identity(one) {
  const facts = [
    ["Experiment", one.node],
    ["Commit", one.commit],
    ["Parent", one.parent],
    ["Run directory", one.directory],
  ];
  const views = facts.filter(([, fact]) => fact).map(([name, fact]) =>
    element("div", {}, element("dt", {}, name), element("dd", {}, element("code", {}, fact))));
  return element("dl", { className: "facts" }, ...views);
}
