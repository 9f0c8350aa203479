// What every part of the page uses: elements, packed data, numbers as a person reads them.

// The one way to make an element here: text stays text.
function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name in made && !name.includes("-")) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

function byId(id) {
  return document.getElementById(id);
}

function button(text, onclick, properties = {}) {
  return element("button", { type: "button", onclick, ...properties }, text);
}

function badge(word, tones) {
  return element("span", { className: `badge ${tones[word] ?? "unknown"}` }, word);
}

function link(name, href) {
  return href ? element("a", { href }, name) : element("span", {}, name);
}

// A labelled select: `options` are pairs of value and text.
function chooser(title, options, chosen, changed) {
  const select = element("select", { onchange: () => changed(select.value) });
  select.append(...options.map(([value, text]) => element("option", { value }, text)));
  select.value = options.some(([value]) => value === chosen) ? chosen : options[0][0];
  return element("label", {}, `${title} `, select);
}

function checkbox(title, checked, changed) {
  const box = element("input", { type: "checkbox", checked, onchange: () => changed(box.checked) });
  return element("label", { className: "check" }, box, ` ${title}`);
}

// A menu of buttons that closes when one is pressed, on Escape, and when the reader goes elsewhere.
function menu(title, ...items) {
  const made = element("details", { className: "menu" }, element("summary", {}, title));
  made.append(element("div", { className: "menu-items" }, ...items));
  const close = () => {
    made.open = false;
  };
  made.addEventListener("click", (event) => {
    if (event.target.closest(".menu-items button")) close();
  });
  made.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      close();
      made.firstChild.focus();
    }
  });
  document.addEventListener("pointerdown", (event) => {
    if (!made.contains(event.target)) close();
  });
  return made;
}

// Tells a screen reader, and shows for a moment, what has been done.
function say(text) {
  byId("said").textContent = text;
  const toast = element("div", { className: "toast", "aria-hidden": "true" }, text);
  document.body.append(toast);
  setTimeout(() => toast.remove(), 2500);
}

function readJson(id) {
  return JSON.parse(byId(`${id}-data`).textContent);
}

async function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

const LOADING = new Map();

// Runs a packed library, once; the page's policy admits it by its hash.
function library(name) {
  if (!LOADING.has(name)) {
    const run = unpack(byId(`${name}-code`).textContent).then((code) =>
      withoutMapStyles(() => {
        document.head.append(element("script", { textContent: code }));
      }),
    );
    LOADING.set(name, run);
  }
  return LOADING.get(name);
}

// Plotly adds the styles of its maps, which the policy refuses and which need a network anyway,
// unless an element of their id is there: while it loads, one is.
function withoutMapStyles(run) {
  const find = document.getElementById.bind(document);
  document.getElementById = (id) => find(id) ?? document.createElement("template");
  try {
    run();
  } finally {
    delete document.getElementById;
  }
}

function saveFile(name, type, content) {
  const address = URL.createObjectURL(new Blob([content], { type }));
  element("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

async function copyText(text, what) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = element("textarea", { value: text, className: "unseen" });
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  say(`Copied ${what}`);
}

function plural(number, word) {
  return `${number.toLocaleString("en")} ${word}${number === 1 ? "" : "s"}`;
}

function digits(value, count) {
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value !== "number" || Number.isInteger(value)) return value === null ? "" : String(value);
  return String(Number(value.toPrecision(count))).replace("e+", "e");
}

function duration(seconds) {
  if (seconds === null) return "";
  const whole = Math.round(seconds);
  const two = (number) => String(number).padStart(2, "0");
  if (whole < 60) return `${Number(seconds.toPrecision(3))} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`;
  return `${Math.floor(whole / 86400)} d ${two(Math.floor((whole % 86400) / 3600))} h`;
}

function isEmpty(value) {
  return value === null || value === "" || value === undefined;
}

// Numbers as such, also those that came as text; null for what is none.
function numberOf(value) {
  const words = { inf: Infinity, "-inf": -Infinity };
  if (isEmpty(value) || value === "nan") return null;
  const number = typeof value === "string" ? (words[value] ?? Number(value)) : Number(value);
  return Number.isNaN(number) ? null : number;
}

const SYSTEM_DARK = matchMedia("(prefers-color-scheme: dark)");

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : SYSTEM_DARK.matches;
}

// Light or dark: the system's choice until the button is pressed; always light on paper.
function startTheme(changed) {
  const choose = (theme) => {
    document.documentElement.dataset.theme = theme;
    document.documentElement.classList.toggle("dark", isDark());
    byId("theme").textContent = isDark() ? "Light" : "Dark";
    changed();
  };
  byId("theme").hidden = false;
  byId("theme").addEventListener("click", () => choose(isDark() ? "light" : "dark"));
  SYSTEM_DARK.addEventListener("change", () => choose(""));
  whilePrinting(() => {
    const before = document.documentElement.dataset.theme;
    if (isDark()) choose("light");
    return () => choose(before);
  });
  choose("");
}

// Runs `prepare` before the page is printed, and what that returns afterwards.
function whilePrinting(prepare) {
  let restore = () => {};
  addEventListener("beforeprint", () => {
    restore = prepare();
  });
  addEventListener("afterprint", () => restore());
}
