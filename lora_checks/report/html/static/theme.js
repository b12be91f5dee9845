// Light, dark, or the system's theme.
const THEMES = ["auto", "light", "dark"];
const THEME_KEY = "lora_checks theme";
let theme = "auto";
try {
  theme = THEMES.find((name) => `"${name}"` === localStorage.getItem(THEME_KEY)) ?? "auto";
} catch { /* storage may be off */ }

function wear(name) {
  theme = name;
  if (name === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
  byId("theme").textContent = `Theme: ${name}`;
  keep(THEME_KEY, name, "localStorage");
  dispatchEvent(new Event("themechange"));
}
byId("theme").addEventListener("click", () => wear(THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length]));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => dispatchEvent(new Event("themechange")));
wear(theme);
// Paper is white, and a canvas keeps the colours it was drawn with.
addEventListener("beforeprint", () => {
  document.documentElement.dataset.theme = "light";
  dispatchEvent(new Event("themechange"));
});
addEventListener("afterprint", () => wear(theme));
