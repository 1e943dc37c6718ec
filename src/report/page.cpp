#include "report/page.h"

namespace fathom {

std::string_view page_style() {
  return R"css(
:root { color-scheme: light dark;
  --paper: #ffffff; --ink: #1c2128; --soft: #5d6773; --rule: #e6e9ed; --axis: #aab2bc;
  --panel: #f6f7f9; --link: #1d5fbf; --heat: #1d5fbf;
  --c0: #2563c9; --c1: #d9600a; --c2: #2b8a3e; --c3: #b3286b;
  --c4: #6741d9; --c5: #0b7285; --c6: #a07800; --c7: #6b7480; }
@media (prefers-color-scheme: dark) { :root {
  --paper: #14171b; --ink: #e4e7eb; --soft: #98a2ae; --rule: #272c33; --axis: #56606c;
  --panel: #1b1f25; --link: #7db3ff; --heat: #7db3ff;
  --c0: #74a9ff; --c1: #ffa25c; --c2: #6bd386; --c3: #f58bbd;
  --c4: #b79cff; --c5: #5fd0e0; --c6: #f0c75e; --c7: #a9b3bf; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);

   font: 16px/1.6 system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif; }
main { max-width: 940px; margin: 0 auto; padding: 48px 24px 96px; }
h1 { font-size: 32px; line-height: 1.2; letter-spacing: -0.02em; margin: 0 0 8px; }
h2 { font-size: 22px; line-height: 1.3; letter-spacing: -0.01em; margin: 56px 0 12px;
  padding-top: 20px; border-top: 1px solid var(--rule); }
h3 { font-size: 17px; margin: 32px 0 8px; }
p { max-width: 68ch; margin: 10px 0; }
a { color: var(--link); text-decoration: none; }
a:hover { text-decoration: underline; }
nav { display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 16px 0 0; font-size: 14px; }
.numbers { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px;
  margin: 24px 0; }
.number { background: var(--panel); border-radius: 10px; padding: 14px 16px; }
.number .label { color: var(--soft); font-size: 13px; }
.number .value { font-size: 24px; line-height: 1.3; font-weight: 600; letter-spacing: -0.01em;
  font-variant-numeric: tabular-nums; }
.number .note { color: var(--soft); font-size: 13px; }
.scroll { overflow-x: auto; margin: 18px 0; }
table { border-collapse: collapse; font-size: 14.5px; font-variant-numeric: tabular-nums; }
th, td { padding: 7px 18px 7px 0; border-bottom: 1px solid var(--rule); text-align: left;
  vertical-align: top; }
th { color: var(--soft); font-weight: 600; font-size: 13px; border-bottom-color: var(--axis); }
.right { text-align: right; } .center { text-align: center; }
pre { background: var(--panel); border-radius: 10px; padding: 14px 16px; overflow-x: auto;
  font: 13.5px/1.55 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
figure { margin: 26px 0; position: relative; }
figcaption { display: flex; flex-wrap: wrap; gap: 2px 16px; align-items: baseline;
  margin-bottom: 6px; }
.title { font-weight: 600; }
.key { color: var(--soft); font-size: 13px; display: inline-flex; align-items: center; gap: 6px; }
.key i { width: 16px; height: 3px; border-radius: 2px; background: var(--c); }
.key i.dashed { background: repeating-linear-gradient(90deg, var(--c) 0 5px, transparent 5px 8px); }
.bars .key i { height: 10px; width: 10px; }
.shades { display: inline-flex; outline: 1px solid var(--rule); }
.key i.shade { width: 16px; height: 10px; border-radius: 0; background: var(--heat); }
svg { display: block; width: 100%; height: auto; overflow: visible; }
svg text { fill: var(--soft); font-size: 12px; font-variant-numeric: tabular-nums; }
.rule { stroke: var(--rule); } .axis, .tick { stroke: var(--axis); }
.series path { fill: none; stroke: var(--c); stroke-width: 1.8; stroke-linejoin: round;
  stroke-linecap: round; }
.series.dense path { stroke-width: 1.1; opacity: 0.8; }
.series.dashed path { stroke-dasharray: 6 4; }
.series circle { fill: var(--c); stroke: var(--paper); stroke-width: 1; }
.bar { fill: var(--c); } .heat { fill: var(--heat); } .hover { fill: transparent; }
.hover:hover { stroke: var(--ink); stroke-width: 1; }
.s0 { --c: var(--c0); } .s1 { --c: var(--c1); } .s2 { --c: var(--c2); } .s3 { --c: var(--c3); }
.s4 { --c: var(--c4); } .s5 { --c: var(--c5); } .s6 { --c: var(--c6); } .s7 { --c: var(--c7); }
.cursor { stroke: var(--axis); stroke-dasharray: 3 3; pointer-events: none; }
.tip { position: absolute; pointer-events: none; background: var(--paper); color: var(--ink);
  border: 1px solid var(--axis); border-radius: 8px; padding: 6px 10px; font-size: 12.5px;
  line-height: 1.5; white-space: nowrap; box-shadow: 0 4px 16px rgb(0 0 0 / 0.14); z-index: 1;
  font-variant-numeric: tabular-nums; }
.tip i { display: inline-block; width: 10px; height: 3px; margin-right: 6px; vertical-align: middle;
  background: var(--c); }
footer { margin-top: 64px; color: var(--soft); font-size: 13px; }
@media print { main { max-width: none; padding: 0; } figure, table { break-inside: avoid; } }
)css";
}

// For each line chart: a dashed rule at the pointer and the values of all series at the nearest x.
std::string_view page_script() {
  return R"js(
for (const figure of document.querySelectorAll("figure.line")) {
  const svg = figure.querySelector("svg");
  const scale = JSON.parse(svg.dataset.scale);
  const data = JSON.parse(figure.querySelector("script").textContent);
  const cursor = document.createElementNS(svg.namespaceURI, "line");
  cursor.setAttribute("class", "cursor");
  cursor.setAttribute("y1", scale.top);
  cursor.setAttribute("y2", scale.bottom);
  const tip = document.createElement("div");
  tip.className = "tip";
  const show = value => value === null ? "–" : Number(value.toPrecision(5)).toString();
  const nearest = (xs, x) => {
    let best = -1;
    for (let i = 0; i < xs.length; i++)
      if (xs[i] !== null && (best < 0 || Math.abs(xs[i] - x) < Math.abs(xs[best] - x))) best = i;
    return best;
  };
  const leave = () => { cursor.remove(); tip.remove(); };
  svg.addEventListener("pointerleave", leave);
  svg.addEventListener("pointermove", event => {
    const box = svg.getBoundingClientRect();
    const unit = svg.viewBox.baseVal.width / box.width;
    const place = (event.clientX - box.left) * unit;
    const share = (place - scale.left) / (scale.right - scale.left);
    if (share < -0.01 || share > 1.01) return leave();
    const x = scale.x[0] + share * (scale.x[1] - scale.x[0]);
    const all = data.series.flatMap(series => series.x);
    const at = nearest(all, x);
    if (at < 0) return leave();
    tip.replaceChildren(`${data.x_label} ${show(all[at])}`);
    data.series.forEach((series, index) => {
      const i = nearest(series.x, all[at]);
      if (i < 0) return;
      const row = document.createElement("div");
      const colour = document.createElement("i");
      colour.className = "s" + index % 8;
      const distant = series.x[i] !== all[at] ? ` (at ${show(series.x[i])})` : "";
      row.append(colour, `${series.name}: ${show(series.y[i])}${distant}`);
      tip.append(row);
    });
    const line = scale.left +
        (all[at] - scale.x[0]) / (scale.x[1] - scale.x[0]) * (scale.right - scale.left);
    cursor.setAttribute("x1", line);
    cursor.setAttribute("x2", line);
    svg.append(cursor);
    figure.append(tip);
    const left = line / unit + 12;
    const flips = left + tip.offsetWidth > box.width;
    tip.style.left = (flips ? line / unit - 12 - tip.offsetWidth : left) + "px";
    tip.style.top = box.top - figure.getBoundingClientRect().top + 20 + "px";
  });
}
)js";
}

}  // namespace fathom
