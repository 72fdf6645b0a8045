"use strict";
// The numbers, what is chosen, and the few shapes that all panels are drawn with.

const data = JSON.parse(document.getElementById("data").textContent);
const T = data.ids.length, L = data.model.blocks, H = data.model.heads;
const chosen = {token: T - 1, key: 0, ...data.first, feed: false, after: L};
const panels = [];  // what draws each panel anew

// Every choice goes through here, so that all panels show the same one.
function choose(change) {
  Object.assign(chosen, change);
  if ("block" in change && !("after" in change)) chosen.after = chosen.block + 1;
  if ("head" in change && !("feed" in change)) chosen.feed = false;
  if (!("key" in change)) chosen.key = lookedAt(chosen.block, chosen.head, chosen.token);
  chosen.key = Math.min(chosen.key, chosen.token);
  panels.forEach(draw => draw());
}

// What a head takes from each token that t sees; nothing if the page has no room for that head.
const looks = (block, head, t) => data.attention.patterns[block][head]?.[t] ?? [0];

// The token that a head looks at most from token t.
function lookedAt(block, head, t) {
  const row = looks(block, head, t);
  return row.indexOf(Math.max(...row));
}

// An element. Texts are put in as texts, never as HTML: whatever a prompt says is shown, not run.
function make(tag, attributes = {}, ...children) {
  const svg = ["svg", "g", "path", "line", "circle", "text", "title"].includes(tag);
  const element = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag)
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name.startsWith("--")) element.style.setProperty(name, value);
    else if (value !== null && value !== false) element.setAttribute(name, value);
  }
  element.append(...children.filter(child => child !== null));
  return element;
}

const text = id => data.texts[id];
const plain = token => token.replace(/\n/g, "⏎").replace(/\t/g, "⇥");

// A token, its space in front shown as a dot.
function token(string, extra = "") {
  const shown = plain(string), bare = shown.replace(/^ +/, "");
  const dots = make("span", {class: "space"}, "·".repeat(shown.length - bare.length));
  return make("span", {class: `token ${extra}`, dir: "auto", title: string}, dots, bare);
}

function number(x, digits = 3) {
  if (x === null) return "–";
  const size = Math.abs(x);
  if (size !== 0 && (size < 1e-3 && digits > 2 || size >= 1e6)) return small(x);
  const shown = x.toFixed(digits);
  return Number(shown) === 0 ? shown.replace("-", "") : shown.replace("-", "−");
}

const small = x => x === null ? "no number" : x === 0 ? "0" : x.toExponential(1).replaceAll("-", "−");
const percent = p => p === null ? "–" : p > 0 && p < 0.0005 ? "<0.1%" : `${(100 * p).toFixed(1)}%`;
const figure = name => document.querySelector(`#${name} .figure`);
const headName = () => `${chosen.block}.${chosen.head}`;

// Bars: rows of {name, value, shown, strong}; a base is a line that all are measured against.
function bars(rows, {from = 0, to = null, base = null} = {}) {
  const most = to ?? Math.max(1e-9, ...rows.map(row => Math.abs(row.value)));
  const low = Math.min(from, 0, ...rows.map(row => row.value < 0 ? -most : 0));
  const place = x => 100 * (Math.max(low, Math.min(most, x)) - low) / (most - low);
  const grid = make("div", {class: "bars"});
  for (const row of rows) {
    const [a, b] = [place(0), place(row.value)].sort((x, y) => x - y);
    const bar = make("i", {class: row.value < 0 ? "less" : "",
      style: `left:${a}%;width:${b - a}%`});
    const marks = [low < 0 ? 0 : null, base].filter(x => x !== null)
      .map(x => make("i", {class: x === 0 ? "zero" : "base", style: `left:${place(x)}%`}));
    grid.append(
      typeof row.name === "string" ? make("span", {}, row.name) : row.name,
      make("span", {class: "bar", "aria-hidden": "true"}, bar, ...marks),
      make("span", {class: `value ${row.strong ? "true" : ""}`}, row.shown));
  }
  return grid;
}

// Buttons of which one is on. The arrow keys move among them, up and down by a row.
function keys(container, columns = 1) {
  const buttons = () => [...container.querySelectorAll("button")];
  container.addEventListener("keydown", event => {
    const step = {ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns}[event.key];
    if (!step) return;
    const all = buttons(), at = all.indexOf(document.activeElement);
    const next = all[Math.max(0, Math.min(all.length - 1, at + step))];
    event.preventDefault();
    next.focus();
    next.click();
  });
  return on => buttons().forEach((button, i) => {
    button.classList.toggle("on", on(i));
    button.setAttribute("aria-pressed", on(i));
    button.tabIndex = on(i) ? 0 : -1;
  });
}

function tabs(names, label, choose) {
  const group = make("div", {class: "tabs", role: "group", "aria-label": label});
  names.forEach((name, i) => group.append(make("button", {onclick: () => pick(i)}, name)));
  const mark = keys(group);
  const pick = i => { mark(j => j === i); choose(i); };
  mark(j => j === 0);
  return group;
}

const cell = (p, attributes, ...children) => make("button", {...attributes, "--p": p.toFixed(3),
  class: `cell ${p > 0.62 ? "full" : ""} ${attributes.class ?? ""}`}, ...children);

// A table of every block's heads and its feed-forward, coloured by a value; choosing one chooses it.
function parts() {
  const body = make("tbody"), table = make("table", {class: "parts"},
    make("thead", {}, make("tr", {}, make("th", {"aria-label": "block"}),
      ...Array.from({length: H}, (_, h) => make("th", {}, `${h}`)), make("th", {}, "ff"))), body);
  for (let block = 0; block < L; block++) {
    const row = make("tr", {}, make("th", {}, `${block}`));
    for (let i = 0; i <= H; i++) {
      const change = i < H ? {block, head: i} : {block, feed: true};
      row.append(make("td", {}, make("button", {class: "cell", onclick: () => choose(change)})));
    }
    body.append(row);
  }
  const mark = keys(table, H + 1);
  function fill(heads, feedforward, most) {
    const rows = heads.map((row, block) => [...row, feedforward[block]]);
    most = most ?? Math.max(1e-9, ...rows.flat().map(Math.abs));
    [...table.querySelectorAll("button")].forEach((button, i) => {
      const block = Math.floor(i / (H + 1)), h = i % (H + 1), value = rows[block][h];
      const p = Math.min(1, Math.abs(value) / most);
      button.style.setProperty("--p", p.toFixed(3));
      button.className = `cell ${value < 0 ? "less" : ""} ${p > 0.62 ? "full" : ""}`;
      button.textContent = H > 8 ? (value < 0 ? "−" : "") : number(value, 1);
      button.title = `${h < H ? `head ${block}.${h}` : `feed-forward ${block}`}: ${number(value)}`;
      button.setAttribute("aria-label", button.title);
    });
    mark(i => Math.floor(i / (H + 1)) === chosen.block
      && i % (H + 1) === (chosen.feed ? H : chosen.head));
  }
  return {table: make("div", {class: "wide"}, table), fill};
}

// The identities that a panel rests on, and what remained of each.
function identity(section) {
  return data.identities.filter(one => one.panel === section).map(one => make("span", {},
    one.holds ? "✓ " : make("b", {class: "fails"}, "✗ "),
    `${one.name}: ${small(one.remainder)} (at most ${one.limit.toExponential(0)})`));
}

// What is chosen in a box that scrolls, brought into sight without moving the page.
function reveal(box, element) {
  if (!element) return;
  const [it, seen] = [element.getBoundingClientRect(), box.getBoundingClientRect()];
  const head = box.querySelector("thead")?.offsetHeight ?? 0;  // which stays on top
  if (it.top < seen.top + head) box.scrollTop -= seen.top + head - it.top + 4;
  if (it.bottom > seen.bottom) box.scrollTop += it.bottom - seen.bottom + 4;
  if (it.left < seen.left || it.right > seen.right) box.scrollLeft += it.right - seen.right + 4;
}
