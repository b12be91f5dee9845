// Images against references: a canvas to explore with the pointer or arrow keys.
const ROW_SETS = []; // redrawn when the theme changes

function matrixPart(matrix) {
  const cells = Uint8Array.from(atob(matrix.cells), (letter) => letter.charCodeAt(0));
  const width = matrix.rows.length, height = matrix.columns.length; // columns are images, rows are references
  const images = new Map(IMAGES.filter((image) => image.which === matrix.lora).map((image) => [image.name, image]));
  const valueAt = (image, other) => {
    const code = cells[image * height + other];
    return code === 255 ? null : matrix.low + (code / 254) * (matrix.high - matrix.low);
  };
  const nearest = Array.from({ length: width }, (_, image) => closest(matrix, valueAt, image, height));
  const canvas = make("canvas", { tabIndex: 0, role: "img" });
  canvas.setAttribute("aria-label", `${matrix.check}: ${oftenest(matrix, nearest)}`);
  const readout = make("div", { class: "readout", role: "status" }, make("span", { class: "quiet" }, oftenest(matrix, nearest)));
  const ramp = make("span", { class: "ramp" });
  const title = SEVERAL ? `${matrix.title}, ${matrix.check}` : matrix.check;
  const ends = matrix.closer === "lower" ? [matrix.high, matrix.low] : [matrix.low, matrix.high];
  const part = make("div", { class: width > 60 ? "chart matrix large" : "chart matrix" },
    make("h3", {}, title, make("small", {}, `${matrix.metric} to ${matrix.folder}, ${matrix.network}`)),
    make("p", { class: "said" }, number(ends[0]), ramp, number(ends[1])), canvas, readout);
  const at = { image: -1, other: 0 };
  const paint = () => paintMatrix(canvas, { matrix, cells, width, height, nearest, at, ramp });
  const say = () => readout.replaceChildren(...readoutOf(matrix, images, valueAt, at));
  const open = () => {
    const image = images.get(matrix.rows[at.image]);
    const name = `${matrix.folder}/${matrix.columns[at.other]}`;
    if (image) compareImage(image, { picture: matrix.pictures[at.other], name, about: `${matrix.check} ${number(valueAt(at.image, at.other))}` });
  };
  const point = (event) => {
    const size = canvas.clientWidth / width;
    at.image = Math.min(width - 1, Math.max(0, Math.floor(event.offsetX / size)));
    at.other = Math.min(height - 1, Math.max(0, Math.floor(event.offsetY / (canvas.clientHeight / height))));
    paint();
    say();
  };
  canvas.addEventListener("pointermove", point);
  canvas.addEventListener("click", (event) => { point(event); open(); });
  canvas.addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (event.key === "Enter" && at.image >= 0) return open();
    if (!moves[event.key]) return undefined;
    event.preventDefault();
    at.image = Math.min(width - 1, Math.max(0, at.image + moves[event.key][0]));
    at.other = Math.min(height - 1, Math.max(0, at.other + moves[event.key][1]));
    paint();
    return say();
  });
  ROW_SETS.push(paint);
  whenNear(part, paint);
  return part;
}

function closest(matrix, valueAt, image, height) {
  let best = -1;
  for (let other = 0; other < height; other++) {
    const value = valueAt(image, other), held = best < 0 ? null : valueAt(image, best);
    if (value !== null && (held === null || (matrix.closer === "lower" ? value < held : value > held))) best = other;
  }
  return best;
}

function oftenest(matrix, nearest) {
  const counts = d3.rollups(nearest.filter((other) => other >= 0), (own) => own.length, (other) => other);
  counts.sort((a, b) => b[1] - a[1]);
  const said = counts.slice(0, 3).map(([other, count]) => `${matrix.folder}/${matrix.columns[other]} (${count})`);
  const own = d3.sum(counts, ([, count]) => count);
  return said.length ? `Nearest most often: ${said.join(", ")} of ${own} images` : "No image has a value";
}

function readoutOf(matrix, images, valueAt, at) {
  const image = images.get(matrix.rows[at.image]), value = valueAt(at.image, at.other);
  const other = `${matrix.folder}/${matrix.columns[at.other]}`;
  return [shot(image?.picture, "", matrix.rows[at.image], true), shot(matrix.pictures[at.other], "", other, true),
    make("span", {}, `${matrix.rows[at.image]} and ${other}: `, make("b", {}, value === null ? "no value" : number(value)))];
}

function paintMatrix(canvas, { matrix, cells, width, height, nearest, at, ramp }) {
  const room = canvas.parentElement.clientWidth - 28;
  const size = Math.max(4, Math.min(16, Math.floor(room / width)));
  const tall = Math.max(4, Math.min(size, Math.floor(420 / height)) || 4);
  const dense = window.devicePixelRatio || 1;
  canvas.width = width * size * dense;
  canvas.height = height * tall * dense;
  canvas.style.width = `${width * size}px`;
  canvas.style.height = `${height * tall}px`;
  const ink = resolve("--ink"), ground = resolve("--card"), marked = resolve("--FAIL");
  const shade = d3.interpolateRgb(d3.interpolateRgb(ground, ink)(0.04), d3.interpolateRgb(ground, resolve("--accent"))(0.95));
  const shades = Array.from({ length: 255 }, (_, code) => shade(matrix.closer === "lower" ? 1 - code / 254 : code / 254));
  const context = canvas.getContext("2d");
  context.scale(dense, dense);
  for (let image = 0; image < width; image++) {
    for (let other = 0; other < height; other++) {
      const code = cells[image * height + other];
      if (code === 255) continue;
      context.fillStyle = shades[code];
      context.fillRect(image * size, other * tall, size, tall);
    }
    if (nearest[image] < 0) continue;
    context.fillStyle = ground;
    context.strokeStyle = ink;
    context.beginPath();
    context.arc((image + 0.5) * size - 0.5, (nearest[image] + 0.5) * tall - 0.5, Math.max(1.2, Math.min(size, tall) / 5), 0, 7);
    context.fill();
    context.stroke();
  }
  if (at.image >= 0) {
    context.strokeStyle = marked;
    context.lineWidth = 2;
    context.strokeRect(at.image * size, at.other * tall, size, tall);
  }
  ramp.style.background = `linear-gradient(90deg, ${shade(0)}, ${shade(1)})`;
}

// A colour variable as the browser computes it: light-dark() is resolved.
function resolve(name) {
  const probe = make("span");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour;
}

// Of many LoRAs, the matrices of one at a time.
function matricesOf(which) {
  ROW_SETS.length = 0;
  byId("matrix-list").replaceChildren(...DATA.matrices.filter((matrix) => which < 0 || matrix.lora === which).map(matrixPart));
}

const listed = [...new Set(DATA.matrices.map((matrix) => matrix.lora))];
byId("matrices").append(make("div", { id: "matrix-list" }));
if (listed.length > 3) {
  const choice = make("select", {}, ...listed.map((which) => option(String(which), DATA.loras[which].title)));
  choice.addEventListener("change", () => matricesOf(Number(choice.value)));
  byId("matrices").prepend(make("p", { class: "tools" }, make("label", {}, "LoRA ", choice)));
  matricesOf(listed[0]);
} else matricesOf(-1);
byId("similarity").hidden = !DATA.matrices.length;
const repaint = () => ROW_SETS.forEach((paint) => paint());
addEventListener("themechange", repaint);
addEventListener("resize", repaint);
