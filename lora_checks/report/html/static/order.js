// Which images are shown, and in which order.
const OVERALL = "", AS_ASKED = "\u0000";
const PASSED = -2, STOPPED = -3; // choices of LoRAs; -1 is all of them

function isChosen(which) {
  if (state.which === -1) return true;
  const passed = DATA.loras[which].outcome === "PASS";
  return state.which === PASSED ? passed : state.which === STOPPED ? !passed : which === state.which;
}

// Smaller is worse. An image without a value, such as without a face, is the worst.
function badness(image) {
  if (state.sort === OVERALL) return [-100 * counting(image).length - image.marks.length, image.depth ?? Infinity];
  const at = DATA.checks.findIndex((check) => check.name === state.sort);
  const check = DATA.checks[at], value = image.values[at];
  if (value === null || value === undefined) return [image.shown[at] === "" ? 2 : 0, 0];
  const least = check.min, most = check.max;
  if (least !== null && most !== null) return [1, Math.min(value - least, most - value)];
  return [1, check.better === "higher" ? value : -value];
}

// The marks that count against the LoRA; the others are values below a limit on a mean that passed.
const counting = (image) => image.marks.filter(([, , weight]) => weight === "counts");

// A cross counts; an arrow says on which side of the limit an ordinary image is.
function sign(why, weight) {
  if (weight === "counts") return "✕";
  return why.includes(", above ") ? "↑" : why.includes(", below ") ? "↓" : "–";
}

function inOrder(images) {
  if (state.sort === AS_ASKED) return state.worst ? images : [...images].reverse();
  const keyed = images.map((image, i) => [badness(image), i, image]);
  const sign = state.worst ? 1 : -1;
  keyed.sort(([a, i], [b, j]) => sign * (a[0] - b[0] || (a[1] === b[1] ? 0 : a[1] - b[1])) || i - j);
  return keyed.map(([, , image]) => image);
}

function chosen() {
  const wanted = state.find.toLowerCase().split(/\s+/).filter(Boolean);
  return IMAGES.filter((image) => {
    if (!isChosen(image.which)) return false;
    if (state.failing && !image.marks.length) return false;
    if (!wanted.length) return true;
    const prompt = DATA.prompts[image.prompt];
    const text = [image.name, prompt?.text, ...(prompt?.tags ?? []), DATA.loras[image.which].title].join(" ").toLowerCase();
    return wanted.every((word) => text.includes(word));
  });
}

// The check whose value a card shows: the one sorted by, or the first that the image fails.
function checkOf(image) {
  const asked = DATA.checks.findIndex((check) => check.name === state.sort);
  if (asked >= 0) return asked;
  const failed = DATA.checks.findIndex((check) => check.name === (counting(image)[0] ?? image.marks[0])?.[0]);
  return failed >= 0 ? failed : DATA.checks.length ? 0 : -1;
}

// [picture, name, check] of the most relevant nearest reference.
function nearestOf(image) {
  const first = checkOf(image);
  const order = [first, ...DATA.checks.keys()].filter((at) => at >= 0);
  const at = order.find((candidate) => image.nearest[candidate]);
  return at === undefined ? null : [...image.nearest[at], DATA.checks[at].name];
}
