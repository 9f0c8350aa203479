// Light or dark: the system's choice until the button is pressed.

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

// Calls `changed` whenever the page turns light or dark, with what the libraries need to know.
function startTheme(changed) {
  const button = document.getElementById("theme");
  const apply = () => {
    document.documentElement.classList.toggle("dark", isDark());
    button.textContent = isDark() ? "Light" : "Dark";
    changed();
  };
  button.hidden = false;
  button.addEventListener("click", () => {
    document.documentElement.dataset.theme = isDark() ? "light" : "dark";
    apply();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", apply);
  apply();
}
