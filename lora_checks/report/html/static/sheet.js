// The contact sheets.
const CHUNK = 240; // cards created at a time
let order = []; // the images in display order, which the arrow keys of the side-by-side view follow

function card(image, narrow = false) {
  const prompt = DATA.prompts[image.prompt];
  const lora = SEVERAL ? DATA.loras[image.which].title : "";
  const nearest = nearestOf(image);
  const at = checkOf(image);
  const said = at < 0 ? "" : image.values[at] === null ? missing(image, at) : image.shown[at];
  const beside = make("span", { class: "beside" });
  if (!narrow && image.base !== null) beside.append(shot(image.base, "base", `base: ${image.name}`));
  if (!narrow && nearest) beside.append(shot(nearest[0], "nearest", `nearest: ${nearest[1]}`));
  const made = make("button", { type: "button", class: counting(image).length ? "card marked" : "card" },
    make("span", { class: "shots" }, shot(image.picture, "", `${lora} ${image.name}: ${prompt?.text ?? ""}`), beside.children.length ? beside : null),
    make("span", { class: "caption" }, make("span", { class: narrow ? "unseen" : "name" }, image.name), make("span", { class: "own" }, said)),
    make("span", { class: "of" }, [narrow ? "" : lora, at < 0 ? "" : DATA.checks[at].question || DATA.checks[at].label].filter(Boolean).join(", ")),
    narrow ? null : answers(image, at),
    make("span", { class: "marks" }, ...(narrow ? rowsOnly(image) : reasons(image)).map(([words, weight, why]) => make("span", { class: weight }, make("b", {}, sign(why, weight)), words))));
  made.image = image; // finds the card again when the dialog closes
  made.addEventListener("click", () => compare(order.indexOf(image)));
  return made;
}

// "face-found, identity: no face": rows with the same reason share a line.
function reasons(image) {
  const groups = d3.group(image.marks, ([, why, weight]) => `${weight} ${why}`);
  return [...groups.values()].map((marks) => [`${marks.map(([check]) => check).join(", ")}: ${marks[0][1]}`, marks[0][2], marks[0][1]]);
}

// What a vision model said to the other questions; the number is the probability of the good answer.
function answers(image, shown) {
  const said = DATA.checks.map((check, at) => (check.question && at !== shown && image.shown[at] ? make("span", { title: check.question }, `${check.name} `, make("b", {}, image.shown[at])) : null)).filter(Boolean);
  return said.length ? make("span", { class: "answers" }, ...said) : null;
}

// Beside other LoRAs there is room for the rows alone; the numbers are a click away.
function rowsOnly(image) {
  return [...d3.group(image.marks, ([, why, weight]) => sign(why, weight)).values()]
    .map((marks) => [marks.map(([check]) => check).join(", "), marks[0][2], marks[0][1]]);
}

function missing(image, at) {
  const name = DATA.checks[at].name;
  return image.marks.find(([check]) => check === name)?.[1] ?? "";
}

// Create a screen or two of cards; add more when the end is near.
function grid(images) {
  const cards = make("div", { class: "cards" });
  let done = 0;
  const more = () => {
    cards.append(...images.slice(done, done + CHUNK).map((image) => card(image)));
    done += CHUNK;
    if (done < images.length) {
      const end = cards.lastElementChild;
      const observer = new IntersectionObserver((entries) => {
        if (!entries.some((entry) => entry.isIntersecting)) return;
        observer.disconnect();
        more();
      }, { rootMargin: "1500px" });
      observer.observe(end);
    }
  };
  more();
  addEventListener("beforeprint", () => { while (done < images.length) more(); });
  return cards;
}

// By prompt with several LoRAs: one column for the base and one for each LoRA, the same in every group.
function lineUp(images, columns) {
  const rows = make("div", { class: "line-up" });
  for (const [seed, own] of d3.group(images, (image) => image.seed)) {
    const cells = columns.map((which) => own.filter((image) => image.which === which));
    for (let at = 0; at < Math.max(...cells.map((cell) => cell.length)); at++) {
      const base = own.find((image) => image.base !== null);
      rows.append(make("span", { class: "seed" }, seed === null ? "" : `seed ${seed}`),
        make("span", { class: "cell" }, at || !base ? "" : shot(base.base, "base", `base: ${base.name}`)),
        ...cells.map((cell) => cell[at] ? card(cell[at], true) : make("span", { class: "cell none" }, "–")));
    }
  }
  return rows;
}

function lineUpHead(columns) {
  const names = columns.map((which) => make("span", { class: DATA.loras[which].outcome, title: DATA.loras[which].title }, DATA.loras[which].title));
  return make("div", { class: "line-up head" }, make("span", {}, ""), make("span", {}, "base"), ...names);
}

function lined(groups) {
  const columns = [...new Set(order.map((image) => image.which))].sort((a, b) => a - b);
  const sheet = make("div", { class: "lined", tabIndex: 0, role: "region", style: `--columns: ${columns.length + 1}` }, lineUpHead(columns));
  sheet.setAttribute("aria-label", "Pictures by prompt, a column for each LoRA");
  for (const [prompt, images] of groups) {
    const part = group(DATA.prompts[prompt], null);
    const seeds = new Set(images.map((image) => image.seed)).size;
    part.style.minHeight = `calc(${seeds} * (var(--tile) + 60px) + 60px)`; // scroll bars keep their place
    sheet.append(part);
    whenNear(part, () => { part.style.minHeight = ""; part.append(lineUp(images, columns)); });
  }
  return sheet;
}

function group(prompt, images) {
  const heading = make("h3", {}, prompt?.id ?? "other prompts",
    make("span", { class: "tags" }, ...(prompt?.tags ?? []).map((tag) => make("span", {}, tag))));
  const made = make("div", { class: "group" }, heading, make("p", { class: "text" }, prompt?.text ?? ""));
  if (images) made.append(grid(images));
  return made;
}

function draw() {
  const sheet = byId("sheet");
  order = inOrder(chosen());
  if (state.grouped) {
    const groups = [...d3.group(order, (image) => image.prompt)];
    for (const [, images] of groups) images.sort((a, b) => a.seed - b.seed || a.which - b.which);
    order = groups.flatMap(([, images]) => images);
    sheet.replaceChildren(...(SEVERAL ? [lined(groups)] : groups.map(([prompt, images]) => group(DATA.prompts[prompt], images))));
  } else sheet.replaceChildren(grid(order));
  if (!order.length) sheet.replaceChildren(make("p", { class: "empty" }, IMAGES.length ? "No picture matches." : "There are no pictures yet."));
  byId("shown").textContent = `${order.length} of ${IMAGES.length} images`;
  byId("direction").textContent = state.sort === AS_ASKED ? (state.worst ? "First to last" : "Last to first") : state.worst ? "Worst first" : "Best first";
  byId("direction").setAttribute("aria-pressed", String(state.worst));
  keep();
}

function option(value, text) {
  return make("option", { value }, text);
}

function setUp() {
  const sort = byId("sort"), which = byId("which");
  sort.append(option(OVERALL, "all rows"), option(AS_ASKED, "order of the prompts"));
  sort.append(...DATA.checks.map((check) => option(check.name, `${check.name}: ${check.label}`)));
  which.append(option("-1", "all"), option(String(PASSED), "those that passed"), option(String(STOPPED), "those that did not"), ...DATA.loras.map((lora, i) => option(String(i), lora.title)));
  byId("lora-choice").hidden = !SEVERAL;
  if (!DATA.checks.some((check) => check.name === state.sort) && state.sort !== AS_ASKED) state.sort = OVERALL;
  if (state.which >= DATA.loras.length) state.which = -1;
  show();
  const change = (id, event, take) => byId(id).addEventListener(event, () => { take(byId(id)); draw(); });
  change("sort", "change", (input) => { state.sort = input.value; });
  change("which", "change", (input) => { state.which = Number(input.value); });
  change("find", "input", (input) => { state.find = input.value; });
  change("failing", "change", (input) => { state.failing = input.checked; });
  change("grouped", "change", (input) => { state.grouped = input.checked; });
  change("direction", "click", () => { state.worst = !state.worst; });
  byId("size").addEventListener("input", () => { state.size = Number(byId("size").value); resize(); keep(); });
  byId("tools").addEventListener("submit", (event) => event.preventDefault());
  for (const link of document.querySelectorAll("button[data-check]")) link.addEventListener("click", () => jump(link));
}

// Set the controls from the state.
function show() {
  byId("sort").value = state.sort;
  byId("which").value = String(state.which);
  byId("find").value = state.find;
  byId("failing").checked = state.failing;
  byId("grouped").checked = state.grouped;
  byId("size").value = state.size;
  resize();
}

function resize() {
  byId("sheet").style.setProperty("--tile", `${state.size}px`);
}

// Jump from a row of a LoRA to its images, worst first.
function jump(link) {
  Object.assign(state, { sort: link.dataset.check, which: SEVERAL ? Number(link.dataset.lora) : -1, worst: true, find: "", failing: false, grouped: false });
  show();
  draw();
  byId("pictures").scrollIntoView();
  byId("sort").focus({ preventScroll: true });
}

// Arrow keys move between cards: left and right in reading order, up and down to the nearest of the next row.
function neighbour(card, key) {
  const cards = [...byId("sheet").querySelectorAll(".card")], at = cards.indexOf(card);
  if (key === "Home" || key === "End") return cards.at(key === "Home" ? 0 : -1);
  if (key === "ArrowLeft" || key === "ArrowRight") return cards[at + (key === "ArrowLeft" ? -1 : 1)];
  const own = card.getBoundingClientRect(), step = key === "ArrowUp" ? -1 : 1;
  let found = null, best = Infinity, row = null;
  for (let i = at + step; i >= 0 && i < cards.length; i += step) {
    const place = cards[i].getBoundingClientRect();
    if (Math.abs(place.top - own.top) < 1) continue;
    row ??= place.top;
    if (Math.abs(place.top - row) > 1) break;
    if (Math.abs(place.left - own.left) < best) [found, best] = [cards[i], Math.abs(place.left - own.left)];
  }
  return found;
}

byId("sheet").addEventListener("keydown", (event) => {
  if (!/^(Arrow|Home|End)/.test(event.key) || !event.target.classList.contains("card")) return;
  const next = neighbour(event.target, event.key);
  event.preventDefault();
  next?.focus();
});

setUp();
draw();

// The pictures at the top: in full size where they are beside the page, and opened like any other.
for (const picked of document.querySelectorAll("button.picked")) {
  const image = picked.querySelector("img"), thumbnail = image.src;
  if (image.dataset.full) {
    image.addEventListener("error", () => { image.src = thumbnail; }, { once: true });
    image.src = image.dataset.full;
  }
  picked.addEventListener("click", () => compareImage(IMAGES.find((one) => one.which === Number(picked.dataset.which) && one.name === picked.dataset.name)));
}
