// Attention: every head's pattern, the chosen one large, and one score taken apart.

// A pattern as a picture: a pixel for each pair, the darker the more.
function picture(canvas, pattern) {
  const colour = getComputedStyle(document.documentElement).getPropertyValue("--more");
  const [r, g, b] = colour.split(",").map(Number);
  canvas.width = canvas.height = T;
  const context = canvas.getContext("2d"), image = context.createImageData(T, T);
  (pattern ?? []).forEach((row, t) => row.forEach((p, s) =>
    image.data.set([r, g, b, Math.round(255 * Math.sqrt(p))], 4 * (t * T + s))));
  context.putImageData(image, 0, 0);
}

const KINDS = {previous: "the token before", first: "the first token",
  duplicate: "the same token earlier", induction: "what followed the same token"};

function kindOf(block, head) {
  const scores = Object.keys(KINDS).map(kind => [kind, data.attention.kinds[kind][block][head] ?? 0]);
  return scores.sort((a, b) => b[1] - a[1])[0];
}

function drawAttention() {
  const patterns = data.attention.patterns;
  const grid = make("div", {class: `heads ${H > 8 ? "many" : ""}`, role: "group",
    "aria-label": "heads", style: `grid-template-columns:repeat(${H},minmax(0,1fr))`});
  for (let block = 0; block < L; block++)
    for (let head = 0; head < H; head++) {
      const [kind, score] = kindOf(block, head), name = `${block}.${head}`;
      grid.append(make("button", {onclick: () => choose({block, head}),
        disabled: patterns[block][head] ? false : "",
        title: `head ${name}: ${kind} ${percent(score)}`, "aria-label": `head ${name}`},
        make("canvas"), make("small", {}, score > 0.3 ? `${name} ${kind}` : name)));
    }
  const mark = keys(grid, H), large = make("canvas", {class: "large", tabindex: 0, role: "img"});
  const title = make("h3"), reading = make("p", {class: "note"}), kinds = make("div");
  const pick = (t, s) => t >= 0 && t < T && s >= 0 && s <= t && choose({token: t, key: s});
  large.addEventListener("click", event => pick(
    Math.floor(event.offsetY / large.clientHeight * T), Math.floor(event.offsetX / large.clientWidth * T)));
  large.addEventListener("keydown", event => {
    const [dt, ds] = {ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1]}
      [event.key] ?? [0, 0];
    if (!dt && !ds) return;
    event.preventDefault();
    pick(chosen.token + dt, Math.min(chosen.key, chosen.token + dt) + ds);
  });
  figure("attention").append(make("div", {class: "pair"},
    make("div", {}, make("h3", {}, "Every head, a row of them for each block"), grid),
    make("div", {}, title, large, reading)), kinds);
  function paint() {
    [...grid.querySelectorAll("canvas")].forEach((canvas, i) =>
      picture(canvas, patterns[Math.floor(i / H)][i % H]));
    draw();
  }
  function draw() {
    const pattern = patterns[chosen.block][chosen.head];
    const p = looks(chosen.block, chosen.head, chosen.token)[chosen.key] ?? null;
    mark(i => i === chosen.block * H + chosen.head);
    picture(large, pattern);
    outline(large);
    title.textContent = `Head ${headName()}: who asks, from the top; who answers, from the left`;
    const said = [token(text(data.ids[chosen.token])), ` takes ${percent(p)} from `,
      token(text(data.ids[chosen.key])), ` (token ${chosen.token} from ${chosen.key})`];
    reading.replaceChildren(...said);
    large.setAttribute("aria-label", reading.textContent + "; the arrow keys choose a pair");
    kinds.replaceChildren(make("h3", {class: "next"},
      `How far head ${headName()} looks at …, on random tokens that are said twice`),
      bars(Object.keys(KINDS).map(kind => {
        const score = data.attention.kinds[kind][chosen.block][chosen.head];
        return {name: KINDS[kind], value: score ?? 0, shown: percent(score)};
      }), {to: 1}));
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
  paint();
  return draw;
}

// The chosen pair, framed.
function outline(canvas) {
  const context = canvas.getContext("2d");
  const colour = getComputedStyle(document.documentElement).getPropertyValue("--mark");
  context.fillStyle = colour;
  context.globalAlpha = 0.16;
  context.fillRect(0, chosen.token, chosen.token + 1, 1);
  context.fillRect(chosen.key, chosen.key, 1, T - chosen.key);
  context.globalAlpha = 1;
}

function drawScores() {
  const box = figure("scores");
  return () => {
    const {block, head, token: t, key: s} = chosen;
    const split = data.attention.splits.find(one =>
      one.block === block && one.head === head && one.t === t && one.s === s);
    if (!split) {
      box.replaceChildren(make("p", {class: "note"}, "This pair is not on the page: "
        + `${data.attention.splits_of}. `, jump(block, head)));
      return;
    }
    const names = split.names.map(name => name.replace("feedforward", "ff").replace("attention", "att"));
    const most = Math.max(1e-9, ...split.table.flat().map(Math.abs));
    const rows = split.table.map((row, i) => make("tr", {}, make("th", {}, names[i]),
      ...row.map(x => make("td", {}, make("span", {class: `cell ${x < 0 ? "less" : ""} `
        + (Math.abs(x) / most > 0.62 ? "full" : ""), "--p": (Math.abs(x) / most).toFixed(3)},
        number(x, 2))))));
    box.replaceChildren(
      make("h3", {}, `Head ${headName()}: `, token(text(data.ids[t])), " asks, ",
        token(text(data.ids[s])), " answers"),
      make("div", {class: "wide"}, make("table", {}, make("thead", {}, make("tr", {},
        make("th", {}, "asks ↓ answers →"), ...names.map(name => make("th", {}, name)))),
        make("tbody", {}, ...rows))),
      make("p", {class: "note"}, `Sum ${number(split.table.flat().reduce((a, b) => a + b), 4)}; the `
        + `score of the forward pass ${number(split.score, 4)}; what remains ${number(split.remainder)}. `
        + `After the softmax it is ${percent(looks(block, head, t)[s] ?? null)} of what is taken.`));
  };
}

// To the nearest pair of this head that the page has.
function jump(block, head) {
  const mine = data.attention.splits.filter(one => one.block === block && one.head === head);
  if (!mine.length) return "";
  const near = mine.reduce((a, b) =>
    Math.abs(b.t - chosen.token) < Math.abs(a.t - chosen.token) ? b : a);
  return make("button", {class: "tabs", onclick: () => choose({token: near.t, key: near.s})},
    `show tokens ${near.t} and ${near.s}`);
}
