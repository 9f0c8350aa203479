// Light or dark: the system's choice until the button is pressed; always light on paper.

const SYSTEM_DARK = matchMedia("(prefers-color-scheme: dark)");

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : SYSTEM_DARK.matches;
}

// Calls `changed` whenever the page turns light or dark.
function startTheme(changed) {
  const button = document.getElementById("theme");
  const choose = (theme) => {
    document.documentElement.dataset.theme = theme;
    document.documentElement.classList.toggle("dark", isDark());
    button.textContent = isDark() ? "Light" : "Dark";
    changed();
  };
  button.hidden = false;
  button.addEventListener("click", () => choose(isDark() ? "light" : "dark"));
  SYSTEM_DARK.addEventListener("change", () => choose(""));
  whilePrinting(() => {
    const before = document.documentElement.dataset.theme;
    if (isDark()) choose("light");
    return () => choose(before);
  });
  choose("");
}
