// Gradients, planning, the run's checkpoints, the identities; and the start of it all.

// Curves over x = 0 .. n-1, on a scale from 0: [{values, name, class}], and names of the x.
function curves(series, names, label, mark = -1) {
  const W = 460, V = 250, left = 44, bottom = 40, n = names.length;
  const most = Math.max(1e-12, ...series.flatMap(one => one.values));
  const X = i => left + (W - left - 12) * (n > 1 ? i / (n - 1) : 0.5);
  const Y = v => V - bottom - (V - bottom - 14) * v / most;
  const svg = make("svg", {viewBox: `0 0 ${W} ${V}`, role: "img", "aria-label": label});
  for (const v of [0, most / 2, most])
    svg.append(make("line", {class: "axis", x1: left, x2: W - 12, y1: Y(v), y2: Y(v)}),
      make("text", {class: "soft", x: left - 6, y: Y(v) + 4, "text-anchor": "end"}, number(v, 2)));
  const every = Math.ceil(n / 9);
  names.forEach((name, i) => i % every === 0 && svg.append(make("text", {class: "soft", x: X(i),
    y: V - bottom + 16, "text-anchor": "middle"}, name)));
  if (mark >= 0) svg.append(make("line", {x1: X(mark), x2: X(mark), y1: 10, y2: V - bottom,
    style: "stroke:var(--mark)"}));
  for (const one of series)
    svg.append(make("path", {class: `curve ${one.class ?? ""}`,
      d: one.values.map((v, i) => `${i ? "L" : "M"}${X(i).toFixed(1)} ${Y(v).toFixed(1)}`).join("")}));
  svg.append(make("text", {class: "soft", x: (W + left) / 2, y: V - 4, "text-anchor": "middle"}, label));
  return svg;
}

function legend(series) {
  const items = series.map(one => make("span", {style: "display:inline-flex;align-items:center;gap:.4rem;"
    + "margin-right:1.1rem"}, make("svg", {viewBox: "0 0 26 8", style: "width:26px"},
    make("path", {class: `curve ${one.class ?? ""}`, d: "M0 4H26"})), one.name));
  return make("p", {class: "note"}, ...items);
}

function drawGradients() {
  const g = data.gradients, table = make("div", {class: "bars"}), plot = make("div");
  const ways = [["integrated", g.integrated, `Integrated gradients, over ${g.evaluations} backward passes, `
    + `sum to what the tokens change in all; a gap of ${number(g.integrated_gap)} is left.`],
    ["gradient × input", g.times_input, "Gradient times input is only the first term of what each token "
      + `changes: a gap of ${number(g.gap)} is left.`],
    ["length of the gradient", g.norms, "How far the answer can be moved by each token's embedding."]];
  let measure = 0, of = 0;
  const box = make("div", {class: "tall"}), note = make("p", {class: "note"}), title = make("h3");
  figure("gradients").append(tabs(ways.map(one => one[0]), "which measure", i => { measure = i; draw(); }),
    make("div", {class: "pair"}, make("div", {}, title, box, note),
      make("div", {}, make("h3", {}, "The gradient on its way down: its length before each half block"),
        g.ways.length > 1 ? tabs(g.ways.map(one => one.of), "of what", i => { of = i; draw(); }) : "", plot)));
  function draw() {
    title.replaceChildren("What each token does for the logit of ", token(text(g.word)), ", at the end");
    box.replaceChildren(bars(ways[measure][1].map((value, t) => ({name: token(text(data.ids[t]),
      t === chosen.token ? "true here" : ""), value, shown: number(value, 3), strong: t === chosen.token}))));
    note.textContent = ways[measure][2];
    reveal(box, box.querySelector(".here"));
    const t = chosen.token, way = g.ways[of], length = row => Math.hypot(...row);
    const names = way.stream.map((_, i) => i === 2 * L ? "top" : i % 2 ? "" : `${i / 2}`);
    const series = [{values: way.stream.map(length), name: "all tokens"},
      {values: way.stream.map(row => row[t]), name: "the chosen one", class: "second"},
      {values: way.branch.map(length), name: "what comes back through a half block", class: "third"}];
    plot.replaceChildren(curves(series, names, "before block (gradients travel to the left)",
      2 * chosen.block), legend(series));
  }
  return draw;
}

function drawPlanning() {
  if (!data.planning.length) return absent("planning", "A question to the built-in stories' model: this one has learned others.");
  let which = 0;
  const box = make("div", {class: "wide"}), plot = make("div"), note = make("p", {class: "note"});
  const subjects = {name: "the hero's name", part: "the part that is hurt", "part again": "the part, again"};
  figure("planning").append(data.planning.length > 1
    ? tabs(data.planning.map(one => subjects[one.subject] ?? one.subject), "which word", i => { which = i; draw(); }) : "",
    make("div", {class: "pair"}, make("div", {}, make("h3", {}, "Its share among words of its kind"), box, note),
      make("div", {}, plot)));
  function draw() {
    const p = data.planning[which], i = chosen.after;
    const rows = p.share.map((row, n) => make("tr", {class: n === i ? "on" : ""},
      make("th", {}, columnName(n)), ...row.map(x => make("td", {}, cell(x, {tabindex: -1,
        onclick: () => choose({after: n, ...n ? {block: n - 1} : {}})}, number(100 * x, 0))))));
    box.replaceChildren(make("table", {class: "rows"}, make("thead", {}, make("tr", {},
      make("th", {}, "tokens before"), ...p.before.map(n => make("th", {}, `${n}`)))),
      make("tbody", {}, ...rows)));
    note.textContent = `In hundredths, over ${p.stories} new stories; chance is `
      + `${number(100 * p.chance, 0)}. 1 before is where the word itself is predicted. No identity proves this; `
      + "the controls beside it say what the number is without knowledge.";
    const series = [{values: p.share[i], name: "this model"},
      {values: p.shuffled[i], name: "another story's word", class: "second"},
      {values: p.untrained[i], name: "an untrained model", class: "third"}];
    plot.replaceChildren(make("h3", {}, `Read at ${columnName(i)}, and the controls`),
      curves(series, p.before.map(String), "tokens before the word"), legend(series));
  }
  return draw;
}

function drawTraining() {
  const kept = data.training;
  if (!kept) return absent("training",
    "Only the last checkpoint is here. A run that was trained with --keep has earlier ones, too.");
  const n = kept.length;
  const range = make("input", {type: "range", min: 0, max: n - 1, value: n - 1, "aria-label": "checkpoint",
    oninput: () => draw()});
  const near = make("div"), said = make("div", {class: "wide"}), grow = make("div"), plot = make("div"), title = make("h3");
  figure("training").append(title, range, make("div", {class: "pair", style: "margin-top:1rem"},
    make("div", {}, make("h3", {}, "Nearest to ", token(kept[0].near.word)), near),
    make("div", {}, make("h3", {}, "After the prompt's end, at each block"), said)), grow, plot);
  function draw() {
    const look = kept[range.value];
    title.textContent = `Step ${look.step} of ${kept[n - 1].step}`;
    range.setAttribute("aria-valuetext", title.textContent);
    near.replaceChildren(bars(look.near.words.map((word, i) => ({name: token(word),
      value: look.near.cosines[i], shown: number(look.near.cosines[i], 2)})), {to: 1, base: look.near.mean}));
    said.replaceChildren(make("table", {class: "rows"}, make("tbody", {}, ...look.words.map((row, i) =>
      make("tr", {class: i === chosen.after ? "on" : ""}, make("th", {}, columnName(i)), ...row.slice(0, 3)
        .map((word, k) => make("td", {class: "text"}, token(word), " ",
          make("small", {class: "soft"}, percent(look.probability[i][k])))))))));
    if (look.patterns) grow.replaceChildren(make("h3", {class: "next"}, `Head ${headName()} at each step`),
      make("div", {class: "heads", style: `grid-template-columns:repeat(${Math.max(n, 6)},minmax(0,1fr))`},
        ...kept.map((one, i) => {
          const canvas = make("canvas");
          picture(canvas, one.patterns[chosen.block][chosen.head]);
          return make("button", {class: i === Number(range.value) ? "on" : "", "aria-label": `step ${one.step}`,
            onclick: () => { range.value = i; draw(); }}, canvas, make("small", {}, `${one.step}`));
        })));
    const series = ["previous", "first", "duplicate", "induction"].map((kind, i) => ({
      values: kept.map(one => one.kinds[kind][chosen.block][chosen.head] ?? 0), name: KINDS[kind],
      class: ["", "second", "third", "fourth"][i]}));
    plot.replaceChildren(make("h3", {class: "next"}, `What head ${headName()} looks at`),
      curves(series, kept.map(one => `${one.step}`), "steps", Number(range.value)), legend(series));
  }
  return draw;
}

function absent(section, why) {
  figure(section).append(make("p", {class: "note"}, why));
  return () => {};
}

function drawIdentities() {
  const rows = data.identities.map(one => make("tr", {},
    make("td", {class: "text"}, one.holds ? "✓ " : make("b", {class: "fails"}, "✗ "), one.name),
    make("td", {class: "number"}, small(one.remainder)),
    make("td", {class: "number"}, one.limit.toExponential(0))));
  figure("identities").append(make("div", {class: "wide"}, make("table", {}, make("thead", {}, make("tr", {},
    make("th", {}, "what equals what"), make("th", {}, "remainder"), make("th", {}, "allowed"))),
    make("tbody", {}, ...rows))), make("p", {class: "note"}, data.identities_of));
  return () => {};
}

function start() {
  const m = data.model;
  document.title = `Look inside ${m.name}`;
  document.getElementById("model").textContent = m.about;
  const whole = document.getElementById("text");  // where tokens are parts of characters
  whole.textContent = data.prompt;
  whole.hidden = !data.ids.some(id => text(id).includes("\ufffd"));
  document.getElementById("left-out").textContent = data.left_out.join(" ");
  for (const section of document.querySelectorAll("section")) {
    const heading = section.querySelector("h2").textContent;
    document.getElementById("panels").append(make("a", {href: `#${section.id}`}, heading));
    section.querySelector(".identity")?.append(...identity(section.id));
  }
  panels.push(drawPrompt(), drawNext(), drawEmbeddings(), drawAttention(), drawScores(), drawLens(),
    drawAttribution(), drawAblation(), drawGradients(), drawPlanning(), drawTraining(), drawIdentities());
  choose({});
}
start();
