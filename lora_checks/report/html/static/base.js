// The page's data, and helpers that build elements. Text must stay text: no innerHTML anywhere.
const read = (id) => JSON.parse(document.getElementById(id).textContent);
const DATA = read("data");
const THUMBNAILS = read("thumbnails");
const byId = (id) => document.getElementById(id);
const SMALL = 128; // px; smaller pictures are shown with visible pixels

function make(tag, fields = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(fields)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "class") element.className = value;
    else if (name in element && name !== "list") element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

// The state survives reloads of a live page.
const STATE_KEY = `lora_checks ${location.pathname}`;
const state = { sort: "", worst: true, which: -1, find: "", failing: false, grouped: false, size: innerWidth < 500 ? 100 : 132 };
try {
  Object.assign(state, JSON.parse(sessionStorage.getItem(STATE_KEY) ?? "{}"));
} catch { /* storage may be off */ }
function keep(key = STATE_KEY, value = state, store = "sessionStorage") {
  try {
    window[store].setItem(key, JSON.stringify(value));
  } catch { /* storage may be off */ }
}

// Every image of every LoRA, flat.
const IMAGES = DATA.loras.flatMap((lora, which) => lora.images.map((image) => ({ ...image, which })));
const SEVERAL = DATA.loras.length > 1;

function number(value) {
  if (value === null || value === undefined) return "";
  const size = Math.abs(value);
  if (size > 0 && size < 0.001) return value.toExponential(2);
  return value.toFixed(size < 10 ? 3 : size < 100 ? 2 : 1);
}

// Decode pictures only when they come near the screen.
const waiting = new IntersectionObserver((entries) => {
  for (const entry of entries) if (entry.isIntersecting) develop(entry.target);
}, { rootMargin: "600px" });

function develop(image) {
  waiting.unobserve(image);
  if (!image.src) image.src = THUMBNAILS[image.dataset.picture];
}
addEventListener("beforeprint", () => {
  for (const part of document.querySelectorAll("details.lora")) part.open = true;
  document.querySelectorAll("img[data-picture]").forEach(develop);
});

function shot(picture, tag, alt, full = false) {
  const frame = make("span", { class: "shot" });
  const thumbnail = picture === null || picture === undefined ? "" : THUMBNAILS[picture];
  if (thumbnail) {
    const image = make("img", { alt, decoding: "async" });
    image.dataset.picture = picture;
    image.addEventListener("load", () => {
      image.classList.toggle("small", Math.max(image.naturalWidth, image.naturalHeight) <= SMALL);
      if (full) frame.style.aspectRatio = `${image.naturalWidth} / ${image.naturalHeight}`;
    });
    frame.append(image);
    if (full && DATA.links[picture]) {
      image.addEventListener("error", () => { image.src = thumbnail; }, { once: true });
      image.src = DATA.links[picture];
    } else if (full) image.src = thumbnail;
    else waiting.observe(image);
  } else frame.append(make("span", { class: "lost" }, "not on this machine"));
  if (tag) frame.append(make("span", { class: "tag" }, tag));
  return frame;
}

// Describe a chart in one sentence: Plot's labels ("dot", "rule") do not help users of screen readers.
function describe(chart, words) {
  chart.setAttribute("role", "img");
  chart.setAttribute("aria-label", words);
  for (const part of chart.querySelectorAll("[aria-label]")) part.removeAttribute("aria-label");
}

// Draw a part of the page when it comes near the screen or is printed.
function whenNear(element, draw) {
  let drawn = false;
  const once = () => {
    if (!drawn) draw();
    drawn = true;
  };
  const observer = new IntersectionObserver((entries) => {
    if (entries.some((entry) => entry.isIntersecting)) {
      observer.disconnect();
      once();
    }
  }, { rootMargin: "800px" });
  observer.observe(element);
  addEventListener("beforeprint", once);
}

// A link to a collapsed LoRA opens it.
const unfold = () => {
  const part = byId(location.hash.slice(1));
  if (part instanceof HTMLDetailsElement) part.open = true;
};
addEventListener("hashchange", unfold);
unfold();
