// A strip of dots for each row: one dot per image, one line per LoRA.
const DOTS = 300; // images per LoRA above which bars replace dots
const TALL = 12; // LoRAs above which each has a line of strokes
const plotted = (more) => ({ className: "plot", style: { background: "none", color: "inherit", fontSize: "11px" }, ...more });
const roomIn = (holder) => Math.max(280, holder.clientWidth - 30);
const shortName = (name) => (name.length > 22 ? `${name.slice(0, 20)}…` : name);

function distribution(check, at, width) {
  const points = IMAGES.filter((image) => image.values[at] !== null && image.values[at] !== undefined)
    .map((image) => ({ image, value: image.values[at], lora: DATA.loras[image.which].title }));
  if (!points.length) return null;
  const known = [...points.map((point) => point.value), check.min, check.max].filter((value) => value !== null);
  const [low, high] = d3.extent(known), spare = (high - low || 1) * 0.04;
  const names = [...new Set(points.map((point) => point.lora))];
  const many = points.length / names.length > DOTS, strokes = !many && names.length > TALL;
  const outside = [check.min === null ? null : { from: low - spare, to: check.min }, check.max === null ? null : { from: check.max, to: high + spare }];
  const height = strokes ? 18 : many ? 64 : Math.max(44, 14 + 5.6 * tallest(points, low - spare, high + spare));
  const chart = Plot.plot(plotted({
    width, height: names.length * height + 44, marginLeft: SEVERAL ? Math.min(132, 18 + 6.4 * d3.max(names, (name) => shortName(name).length)) : 14, marginRight: 14, marginBottom: 30, marginTop: 10,
    x: { domain: [low - spare, high + spare], label: check.label, grid: true, ticks: Math.max(3, Math.round(width / 80)) },
    y: { axis: null },
    fy: { domain: names, label: null, axis: SEVERAL ? "left" : null, tickFormat: shortName, padding: 0.08 },
    marks: [
      Plot.rectY(outside.filter(Boolean), { x1: "from", x2: "to", fill: "url(#hatch)" }),
      Plot.ruleX(outside.filter(Boolean), { x: (zone) => (zone.from === check.max ? zone.from : zone.to), stroke: "var(--FAIL)", strokeWidth: 1.5 }),
      many ? Plot.rectY(points, Plot.binX({ y: "count" }, { x: "value", fy: "lora", fill: "var(--accent)", inset: 0.5, thresholds: 40 }))
        : strokes ? Plot.tickX(points, { x: "value", fy: "lora", stroke: "var(--accent)", strokeOpacity: 0.7 })
        : Plot.dot(points, Plot.dodgeY({ x: "value", fy: "lora", r: 2.6, fill: "var(--accent)", stroke: "var(--card)", strokeWidth: 0.6, padding: 0.4, anchor: "bottom" })),
      many ? null : Plot.tip(points, Plot.pointer((strokes ? (options) => options : Plot.dodgeY)({ x: "value", fy: "lora", r: 2.6, padding: 0.4, anchor: "bottom", maxRadius: 30,
        fill: "var(--card)", title: (point) => `${point.image.name}\n${check.metric} ${number(point.value)}` }))),
    ],
  }));
  describe(chart, `${check.name}: ${summary(points, check)}`);
  chart.addEventListener("click", () => { if (chart.value) compareImage(chart.value.image); });
  return [chart, summary(points, check)];
}

// The greatest number of stacked dots.
function tallest(points, low, high) {
  const counts = new Map();
  for (const { value, lora } of points) {
    const key = `${lora} ${Math.round(((value - low) / (high - low)) * 70)}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return Math.max(...counts.values());
}

function summary(points, check) {
  return [...d3.group(points, (point) => point.image.which)].map(([which, own]) => {
    const values = own.map((point) => point.value), all = IMAGES.filter((image) => image.which === which).length;
    const lost = all > own.length ? `, ${all - own.length} without a value` : "";
    const name = SEVERAL ? `${DATA.loras[which].title} ` : "";
    return `${name}median ${number(d3.median(values))}, ${number(d3.min(values))} to ${number(d3.max(values))}${lost}`;
  }).join("; ");
}

// Skip a row without limits whose values another row already shows, such as the share without a face.
DATA.checks.forEach((check, at) => {
  const same = DATA.checks.some((other, before) => before !== at && (before < at || other.min !== null || other.max !== null)
    && check.min === null && check.max === null && IMAGES.every((image) => image.values[before] === image.values[at]));
  if (same || !IMAGES.some((image) => typeof image.values[at] === "number")) return;
  const holder = make("div", { class: "chart" }, make("h3", {}, check.name, make("small", {}, [check.question, [check.network, check.against].filter(Boolean).join(", ")].filter(Boolean).join(" "))));
  holder.style.minHeight = "120px";
  byId("distribution-charts").append(holder);
  whenNear(holder, () => {
    const [chart, words] = distribution(check, at, roomIn(holder));
    holder.append(chart, DATA.loras.length > 4 ? "" : make("p", { class: "said" }, words));
  });
});
if (!byId("distribution-charts").children.length) byId("distributions").hidden = true;
