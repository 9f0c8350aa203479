// The one way to make an element here: text stays text.

function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in made && !name.includes("-")) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

function badge(word, tones) {
  return element("span", { className: `badge ${tones[word]}` }, word);
}

function link(name, href) {
  return href ? element("a", { href }, name) : element("span", {}, name);
}

// Text for the libraries that take HTML.
function escaped(text) {
  const entities = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
  return String(text).replace(/[&<>"]/g, (letter) => entities[letter]);
}
