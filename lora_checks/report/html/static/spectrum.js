// The radial spectrum: each LoRA's images against the references.
const SERIES = d3.range(8).map((i) => `var(--series-${i})`);
const DASHES = [null, "6 3", "2 3", "8 3 2 3"];
const NAMED = 8; // with more LoRAs, only those that differ most from the references have a colour and a name

function spectrumChart(found) {
  const points = found.lines.flatMap((line) => line.mean.map((power, i) => ({ line, power, frequency: found.frequency[i], low: line.low[i], high: line.high[i] })));
  const own = named(found), plain = (line) => line.kind === "lora" && !own.includes(line);
  const stroke = (line) => (plain(line) ? "var(--soft)" : line.kind === "lora" ? SERIES[own.indexOf(line) % SERIES.length] : line.kind === "base" ? "var(--soft)" : "var(--ink)");
  const dash = (line) => (line.kind === "lora" ? DASHES[own.indexOf(line) % DASHES.length] : line.kind === "base" ? "1 3" : null);
  const theirs = points.filter((point) => point.line.kind === "references");
  const room = byId("spectrum-chart").clientWidth - 30, narrow = room < 600;
  const chart = Plot.plot(plotted({
    width: Math.max(320, room), height: narrow ? 320 : 360, marginRight: narrow ? 96 : 150, marginLeft: 44, marginBottom: 36,
    x: { type: "log", label: "cycles per pixel", labelAnchor: "center", tickFormat: (value) => `${Number(value.toPrecision(2))}`, ticks: narrow ? 4 : 8 },
    y: { label: "power (log10)", grid: true, domain: padded(points.flatMap((point) => (point.line.kind === "references" ? [point.low, point.high, point.power] : [point.power]))) },
    marks: [
      Plot.areaY(theirs, { x: "frequency", y1: "low", y2: "high", fill: "var(--ink)", fillOpacity: 0.1 }),
      ...found.lines.map((line) => Plot.lineY(points.filter((point) => point.line === line), { x: "frequency", y: "power", stroke: stroke(line),
        strokeWidth: line.kind === "references" ? 2.5 : 1.6, strokeOpacity: plain(line) ? 0.35 : 1, strokeDasharray: plain(line) ? null : dash(line) })),
      Plot.text(apart(found, narrow ? 320 : 360), { x: "frequency", y: "at", text: "name", textAnchor: "start", dx: 8, fill: (end) => stroke(end.line) }),
      Plot.tip(points, Plot.pointer({ x: "frequency", y: "power", fill: "var(--card)", title: (point) =>
        `${point.line.name} (${point.line.count})\n${number(point.frequency)} cycles per pixel\npower ${number(point.power)}` })),
    ],
  }));
  describe(chart, found.differences.join(", ") || "spectrum");
  return chart;
}

function padded(values) {
  const [low, high] = d3.extent(values), spare = (high - low || 1) * 0.05;
  return [low - spare, high + spare];
}

// The LoRAs that are named: all of a few, else those furthest from the references in the finest detail.
function named(found) {
  const loras = found.lines.filter((line) => line.kind === "lora");
  if (loras.length <= NAMED) return loras;
  const end = found.lines.find((line) => line.kind === "references")?.mean.at(-1) ?? d3.mean(loras, (line) => line.mean.at(-1));
  const furthest = [...loras].sort((a, b) => Math.abs(b.mean.at(-1) - end) - Math.abs(a.mean.at(-1) - end)).slice(0, NAMED / 2);
  return loras.filter((line) => furthest.includes(line));
}

// Place names at the ends of the lines and move them apart if they overlap.
function apart(found, height) {
  const all = found.lines.flatMap((line) => line.mean), span = d3.max(all) - d3.min(all);
  const step = (span * 18) / (height - 60);
  const own = named(found), shown = found.lines.filter((line) => line.kind !== "lora" || own.includes(line));
  const ends = shown.map((line) => ({ line, name: shortName(line.name), frequency: found.frequency.at(-1), at: line.mean.at(-1) }));
  ends.sort((a, b) => b.at - a.at);
  for (let i = 1; i < ends.length; i++) ends[i].at = Math.min(ends[i].at, ends[i - 1].at - step);
  const least = d3.min(all); // the names at the bottom move up, so that none hangs below the chart
  for (let i = ends.length - 1, floor = least; i >= 0; i--, floor += step) ends[i].at = Math.max(ends[i].at, floor);
  return ends;
}

function inFinestDetail(found) {
  if (!found.differences.length) return "";
  const own = named(found).map((line) => `${line.name} `), many = found.differences.length > NAMED;
  const shown = many ? found.differences.filter((words) => own.some((name) => words.startsWith(name))) : found.differences;
  return `In the finest detail, with the references at 100 %: ${shown.join(", ")}${many ? "; these differ most, and the other LoRAs are the thin grey lines" : ""}.`;
}

if (DATA.spectrum) {
  const found = DATA.spectrum, holder = make("div", { class: "chart" });
  const counts = found.lines.map((line) => `${line.name} ${line.count}`).join(", ");
  const smaller = found.lines.filter((line) => line.smaller).map((line) => `${line.smaller} of ${line.name}`);
  holder.style.minHeight = "360px";
  byId("spectrum-chart").append(holder);
  whenNear(holder, () => {
    holder.style.minHeight = "";
    holder.append(spectrumChart(found), make("p", { class: "said" }, [
      `Squares of ${found.side} px, larger pictures scaled down; mean of up to ${found.most} pictures${found.lines.length > 5 ? "" : ` (${counts})`}.`,
      found.lines.some((line) => line.kind === "references") ? "Shaded: where 80 % of the references lie." : "",
      smaller.length ? `Left out, because smaller: ${smaller.join(", ")}.` : "", inFinestDetail(found)].filter(Boolean).join(" ")));
  });
} else byId("spectrum").hidden = true;
byId("pictures").hidden = !IMAGES.length && !DATA.live;
for (const id of ["pictures", "distributions", "similarity", "spectrum"])
  if (byId(id).hidden) document.querySelector(`.top nav a[href="#${id}"]`).hidden = true;
