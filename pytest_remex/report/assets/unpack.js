// Compressed text of the page: the libraries, and the details of rows.

async function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

// Runs a packed library; the page's policy admits it by its hash.
async function runLibrary(name) {
  const script = document.createElement("script");
  script.textContent = await unpack(document.getElementById(`${name}-code`).textContent);
  document.head.append(script);
}

function readJson(id) {
  return JSON.parse(document.getElementById(id).textContent);
}
