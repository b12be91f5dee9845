// The contact sheets.
const CHUNK = 240; // cards created at a time
let order = []; // the images in display order, which the arrow keys of the side-by-side view follow

function card(image) {
  const prompt = DATA.prompts[image.prompt];
  const lora = SEVERAL ? DATA.loras[image.which].title : "";
  const nearest = nearestOf(image);
  const at = checkOf(image);
  const said = at < 0 ? "" : image.values[at] === null ? missing(image, at) : image.shown[at];
  const beside = make("span", { class: "beside" });
  if (image.base !== null) beside.append(shot(image.base, "base", `base: ${image.name}`));
  if (nearest) beside.append(shot(nearest[0], "nearest", `nearest: ${nearest[1]}`));
  const made = make("button", { type: "button", class: image.marks.length ? "card marked" : "card" },
    make("span", { class: "shots" }, shot(image.picture, "", `${lora} ${image.name}: ${prompt?.text ?? ""}`), beside),
    make("span", { class: "caption" }, make("span", { class: "name" }, image.name), make("span", { class: "own" }, said)),
    make("span", { class: "of" }, [lora, at < 0 ? "" : DATA.checks[at].label].filter(Boolean).join(", ")),
    make("span", { class: "marks" }, ...reasons(image).map((why) => make("span", {}, make("b", {}, "✕"), why))));
  made.addEventListener("click", () => compare(order.indexOf(image)));
  return made;
}

// "face-found, identity: no face": rows with the same reason share a line.
function reasons(image) {
  const groups = d3.group(image.marks, ([, why]) => why);
  return [...groups].map(([why, marks]) => `${marks.map(([check]) => check).join(", ")}: ${why}`);
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
    cards.append(...images.slice(done, done + CHUNK).map(card));
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

function group(prompt, images) {
  const heading = make("h3", {}, prompt?.id ?? "other prompts",
    make("span", { class: "tags" }, ...(prompt?.tags ?? []).map((tag) => make("span", {}, tag))));
  const made = make("div", { class: "group" }, heading, make("p", { class: "text" }, prompt?.text ?? ""));
  if (!SEVERAL) made.append(grid(images));
  // With several LoRAs, images from the same noise are side by side.
  for (const [seed, own] of SEVERAL ? d3.group(images, (image) => image.seed) : [])
    made.append(make("div", { class: "row-of" }, make("span", {}, seed === null ? "" : `seed ${seed}`), grid(own)));
  return made;
}

function draw() {
  const sheet = byId("sheet");
  order = inOrder(chosen());
  if (state.grouped) {
    const groups = [...d3.group(order, (image) => image.prompt)];
    for (const [, images] of groups) images.sort((a, b) => a.seed - b.seed || a.which - b.which);
    order = groups.flatMap(([, images]) => images);
    sheet.replaceChildren(...groups.map(([prompt, images]) => group(DATA.prompts[prompt], images)));
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
  which.append(option("-1", "all"), ...DATA.loras.map((lora, i) => option(String(i), lora.title)));
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

setUp();
draw();
