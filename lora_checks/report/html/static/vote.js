// Show pairs of pictures in an order and on sides of each rater's own, and keep every answer.
const read = (id) => JSON.parse(document.getElementById(id).textContent);
const DATA = read("data");
const PICTURES = read("pictures"); // token -> data URI; empty where a server has them
const byId = (id) => document.getElementById(id);
const SMALL = 128; // px; smaller pictures are shown with visible pixels
const SOON = 2000; // ms until an unsaved vote is sent again
const KEYS = { ArrowLeft: "left", ArrowRight: "right", ArrowDown: "tie", ArrowUp: "skip" };
const EARLY = 0.45, GAP = 0.1; // shares of the questions: where repeated ones are asked first, and a pause

let rater = "";
let order = []; // { showing, left, right }
let at = 0;
let since = 0; // when the pair became visible
let ready = false;
let sending = false;
const votes = new Map(); // showing -> vote
const unsaved = new Set(); // showings

// A generator of its own (mulberry32), so that a rater who comes back finds the same order.
function generator(text) {
  let state = 2166136261;
  for (const char of text) state = Math.imul(state ^ char.codePointAt(0), 16777619);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

function shuffled(list, random) {
  const mixed = [...list];
  for (let i = mixed.length - 1; i > 0; i -= 1) {
    const j = Math.floor(random() * (i + 1));
    [mixed[i], mixed[j]] = [mixed[j], mixed[i]];
  }
  return mixed;
}

function ordered(name) {
  const random = generator(`${DATA.ballot} ${name}`);
  const repeats = DATA.showings.filter((one) => one.again);
  const twice = new Set(repeats.map((one) => one.again));
  const once = shuffled(DATA.showings.filter((one) => !one.again), random);
  const early = once.filter((one) => twice.has(one.token));
  const rest = once.filter((one) => !twice.has(one.token));
  const room = Math.max(0, Math.floor(EARLY * once.length) - early.length);
  const pause = room + Math.ceil(GAP * once.length);
  const all = [
    ...shuffled([...early, ...rest.slice(0, room)], random),
    ...rest.slice(room, pause),
    ...shuffled([...rest.slice(pause), ...repeats], random),
  ];
  const turned = new Map(once.map((one) => [one.token, random() < 0.5]));
  return all.map((showing) => {
    // A repeat lists its pictures the other way round, so it comes with the sides exchanged.
    const turn = turned.get(showing.again || showing.token);
    const [left, right] = turn ? [...showing.pictures].reverse() : showing.pictures;
    return { showing, left, right };
  });
}

const key = () => `lora_checks votes ${DATA.ballot} ${rater}`;

function keep() {
  try {
    localStorage.setItem(key(), JSON.stringify({ votes: [...votes.values()], unsaved: [...unsaved] }));
    return true;
  } catch {
    return false; // storage may be off or full
  }
}

function kept() {
  try {
    return JSON.parse(localStorage.getItem(key()) ?? "null") ?? { votes: [], unsaved: [] };
  } catch {
    return { votes: [], unsaved: [] };
  }
}

function say(words, trouble = false) {
  byId("saved").textContent = words;
  byId("saved").classList.toggle("trouble", trouble);
}

async function resume(name) {
  rater = name;
  const known = new Set(DATA.showings.map((one) => one.token));
  if (DATA.live) {
    const answer = await fetch(`/votes?rater=${encodeURIComponent(name)}`);
    const told = await answer.json();
    if (!answer.ok) throw new Error(told.error);
    rater = told.rater;
    for (const vote of told.votes) votes.set(vote.showing, vote);
    const mine = kept();
    for (const vote of mine.votes) {
      if (!mine.unsaved.includes(vote.showing) || !known.has(vote.showing)) continue;
      votes.set(vote.showing, vote);
      unsaved.add(vote.showing);
    }
  } else {
    rater = name.trim().replace(/\s+/g, " ");
    for (const vote of kept().votes) if (known.has(vote.showing)) votes.set(vote.showing, vote);
  }
  order = ordered(rater);
}

const next = () => {
  const open = order.findIndex((one) => !votes.has(one.showing.token));
  return open < 0 ? order.length : open;
};

async function load(image, token) {
  image.src = PICTURES[token] ?? `/pictures/${token}.png`;
  await image.decode();
  image.classList.toggle("small", Math.max(image.naturalWidth, image.naturalHeight) <= SMALL);
}

async function show(number) {
  at = number;
  ready = false;
  const over = at >= order.length;
  byId("ask").hidden = over;
  byId("done").hidden = !over;
  byId("bar").value = votes.size / order.length;
  if (over) {
    byId("thanks").focus();
    return;
  }
  const { showing, left, right } = order[at];
  byId("ask").classList.add("waiting");
  byId("where").textContent = `Question ${at + 1} of ${order.length}, ${rater}`;
  byId("question").textContent = DATA.questions[showing.kind];
  byId("text").textContent = showing.text;
  byId("tie").textContent = showing.kind === "real" ? "Cannot tell" : "No difference";
  byId("back").disabled = at === 0;
  const before = votes.get(showing.token)?.choice ?? "";
  for (const button of document.querySelectorAll("[data-choice]")) {
    button.setAttribute("aria-pressed", String(button.dataset.choice === before));
  }
  try {
    await Promise.all([load(byId("left"), left), load(byId("right"), right)]);
  } catch {
    if (at === number) say("A picture did not load. Go back and forth to try again, or tell whoever asked you.", true);
    return;
  }
  if (at !== number) return; // the rater has gone back meanwhile
  byId("ask").classList.remove("waiting");
  since = performance.now();
  ready = true;
  const following = order[at + 1];
  if (following) for (const token of [following.left, following.right]) new Image().src = PICTURES[token] ?? `/pictures/${token}.png`;
}

function choose(choice) {
  if (!ready) return;
  const { showing, left, right } = order[at];
  const seconds = Math.round(performance.now() - since) / 1000;
  const vote = { rater, showing: showing.token, choice, left, right, seconds, at: new Date().toISOString() };
  votes.set(showing.token, vote);
  if (DATA.live) unsaved.add(showing.token);
  const safe = keep();
  if (DATA.live) send();
  else if (safe) say(`${votes.size} of ${order.length} answered, kept in this browser.`);
  else say("This browser keeps nothing. Save your votes as a file before you close the page.", true);
  show(next());
}

async function send() {
  if (sending) return;
  sending = true;
  try {
    while (unsaved.size) {
      const [token] = unsaved;
      const vote = votes.get(token);
      const answer = await fetch("/votes", {
        method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(vote),
      });
      if (!answer.ok) throw new Error((await answer.json()).error);
      if (votes.get(token) === vote) unsaved.delete(token); // else it was changed meanwhile
      keep();
    }
    say(`${votes.size} of ${order.length} answered, saved.`);
  } catch (error) {
    const why = error instanceof TypeError ? "the server does not answer" : error.message;
    const many = unsaved.size === 1 ? "1 vote is" : `${unsaved.size} votes are`;
    say(`Not saved yet: ${why}. ${many} kept in this browser and will be sent again.`, true);
    setTimeout(send, SOON);
  } finally {
    sending = false;
  }
}

function back() {
  if (at > 0) show(at - 1);
}

byId("start").addEventListener("submit", async (event) => {
  event.preventDefault();
  const name = byId("rater").value;
  if (!name.trim()) return;
  try {
    await resume(name);
  } catch (error) {
    byId("refused").textContent = error instanceof TypeError ? "The server does not answer." : error.message;
    return;
  }
  byId("start").hidden = true;
  if (byId("give")) byId("give").hidden = false;
  await show(next());
  if (!byId("ask").hidden) byId("question").focus();
  if (unsaved.size) send();
});
for (const button of document.querySelectorAll("[data-choice]")) {
  button.addEventListener("click", () => choose(button.dataset.choice));
}
byId("back").addEventListener("click", back);
byId("again").addEventListener("click", back);
byId("save")?.addEventListener("click", () => {
  const content = { lora_checks_votes: 1, ballot: DATA.ballot, rater, votes: [...votes.values()] };
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([`${JSON.stringify(content, null, 1)}\n`], { type: "application/json" }));
  link.download = `votes-${rater.replace(/[^\p{L}\p{N}]+/gu, "-")}.json`;
  link.click();
  URL.revokeObjectURL(link.href);
  say(`${votes.size} of ${order.length} answered, saved as ${link.download}.`);
});
document.addEventListener("keydown", (event) => {
  if (!order.length || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
  const choice = byId("ask").hidden ? undefined : KEYS[event.key];
  if (!choice && event.key !== "Backspace") return;
  event.preventDefault();
  if (event.repeat) return; // a key that is held down must not answer a row of questions
  if (choice) choose(choice);
  else back();
});
