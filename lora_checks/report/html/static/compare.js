// One image next to the base's and its nearest references, with its values. Arrow keys move, Esc closes.
let current = -1; // place in `order`
const dialog = byId("compare");

function compare(at, extra = null) {
  if (at < 0 || at >= order.length) return;
  current = at;
  const image = order[at], prompt = DATA.prompts[image.prompt];
  const lora = DATA.loras[image.which].title;
  byId("compare-title").textContent = SEVERAL ? `${lora}, ${image.name}` : image.name;
  byId("compare-place").textContent = `${at + 1} of ${order.length}`;
  byId("previous").disabled = at === 0;
  byId("next").disabled = at === order.length - 1;
  byId("compare-body").replaceChildren(
    make("p", { class: "text" }, prompt?.text ?? "", make("span", { class: "tags" }, ...(prompt?.tags ?? []).map((tag) => make("span", {}, tag)))),
    make("div", { class: "figures" }, ...figures(image, lora, extra)),
    values(image),
    make("p", { class: "quiet" }, image.recipe ? make("small", {}, "recipe ", make("code", {}, image.recipe)) : ""));
  if (!dialog.open) dialog.showModal();
}

function figures(image, lora, extra) {
  const made = [figure(image.picture, lora, `${image.name}${counting(image).length ? "" : ": nothing counts against it"}`)];
  if (image.base !== null) made.push(figure(image.base, "base", "the same prompt and noise without the LoRA"));
  if (image.approved !== null) made.push(figure(image.approved, "approved release", "the same prompt and seed"));
  const seen = new Map(); // a picture that is nearest in several rows is shown once
  image.nearest.forEach((found, at) => {
    if (!found) return;
    const [picture, name] = found, about = `${DATA.checks[at].name} ${image.shown[at]}`;
    seen.set(name, { picture, about: [...(seen.get(name)?.about ?? []), about] });
  });
  if (extra && !seen.has(extra.name)) seen.set(extra.name, { picture: extra.picture, about: [extra.about] });
  for (const [name, { picture, about }] of seen) made.push(figure(picture, name, `${extra?.name === name ? "" : "nearest: "}${about.join(", ")}`));
  return made;
}

function figure(picture, title, words) {
  const link = picture === null ? "" : DATA.links[picture];
  const frame = shot(picture, "", `${title}: ${words}`, true);
  const framed = link ? make("a", { href: link, target: "_blank", rel: "noopener", title: "Full size" }, frame) : frame;
  return make("figure", {}, framed, make("figcaption", {}, make("b", {}, title), words));
}

function values(image) {
  const head = ["Row", "Measures", "Value", "Limits", "This image"].map((text) => make("th", { scope: "col" }, text));
  const rows = DATA.checks.map((check, at) => {
    if (image.values[at] === undefined || (image.values[at] === null && !missing(image, at))) return null;
    const why = missing(image, at);
    return make("tr", {}, make("th", { scope: "row" }, check.name), make("td", {}, [check.question, check.label].filter(Boolean).join(" ")),
      make("td", { class: "number" }, image.values[at] === null ? "none" : image.shown[at]), make("td", {}, limits(check)),
      make("td", { class: why ? (counts(image, check) ? "bad" : "low") : "quiet" },
        why ? `${counts(image, check) ? "✕" : "↓"} ${why}` : limits(check) ? "✓ inside" : ""));
  }).filter(Boolean);
  return make("table", { class: "values" }, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...rows));
}

const counts = (image, check) => counting(image).some(([name]) => name === check.name);

function limits(check) {
  const parts = [check.min === null ? "" : `min ${number(check.min)}`, check.max === null ? "" : `max ${number(check.max)}`];
  return parts.filter(Boolean).join(", ");
}

// Up and down: the same prompt and seed of another LoRA.
function otherLora(step) {
  const image = order[current], count = DATA.loras.length;
  for (let away = 1; away < count; away++) {
    const which = (image.which + step * away + count * away) % count;
    const at = order.findIndex((other) => other.which === which && other.name === image.name);
    if (at >= 0) return compare(at);
  }
}

byId("previous").addEventListener("click", () => compare(current - 1));
byId("next").addEventListener("click", () => compare(current + 1));
byId("close").addEventListener("click", () => dialog.close());
dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
dialog.addEventListener("keydown", (event) => {
  const steps = { ArrowLeft: () => compare(current - 1), ArrowRight: () => compare(current + 1), Home: () => compare(0),
    End: () => compare(order.length - 1), ArrowUp: () => otherLora(-1), ArrowDown: () => otherLora(1) };
  const step = steps[event.key];
  if (!step || (!SEVERAL && event.key.match(/Up|Down/))) return;
  event.preventDefault();
  step();
});
// Return the focus to the card shown last, not to the one opened first.
dialog.addEventListener("close", () => {
  const cards = [...byId("sheet").querySelectorAll(".card")];
  (cards.find((one) => one.image === order[current]) ?? cards.at(-1))?.focus();
});

// Called from a chart: the filters may hide the image, so reset them.
function compareImage(image, extra = null) {
  let at = order.findIndex((other) => other.which === image.which && other.name === image.name);
  if (at < 0) {
    Object.assign(state, { which: -1, find: "", failing: false });
    show();
    draw();
    at = order.findIndex((other) => other.which === image.which && other.name === image.name);
  }
  compare(at, extra);
}
