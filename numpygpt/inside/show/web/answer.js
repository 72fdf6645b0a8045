// The answer: where it is decided, who speaks for it, and what breaks without it.

const columnName = i => i === 0 ? "embedding" : `block ${i - 1}`;

function drawLens() {
  let reading = "anew";
  const body = make("tbody"), detail = make("div"), title = make("h3");
  const table = make("table", {class: "lens"}, make("thead", {}, make("tr", {}, make("th"),
    ...Array.from({length: L + 1}, (_, i) => make("th", {}, columnName(i))))), body);
  data.ids.forEach((id, t) => body.append(make("tr", {}, make("th", {scope: "row"}, token(text(id))),
    ...Array.from({length: L + 1}, (_, i) => make("td", {}, make("button", {class: "cell",
      onclick: () => choose({token: t, after: i, ...i ? {block: i - 1} : {}})}))))));
  const mark = keys(table, L + 1);
  const ways = tabs(["final norm anew", "its last scale"], "which lens", i => {
    reading = i ? "frozen" : "anew"; fill(); draw(); });
  const scroll = make("div", {class: "wide tall"}, table);
  figure("lens").append(ways, make("div", {class: L < 5 ? "pair" : ""}, scroll,
    make("div", {class: L < 5 ? "" : "next"}, title, detail, make("p", {class: "note"}, "Anew, each block's words are scaled to what the head is used to. "
      + "With the last block's scale, what lies between two blocks is exactly what the one adds, "
      + "and early ones seem undecided. Bold: the word that does come next."))));
  function fill() {
    const lens = data.lens[reading];
    [...table.querySelectorAll("button")].forEach((button, n) => {
      const t = Math.floor(n / (L + 1)), i = n % (L + 1), id = lens.top[i][t][0];
      const p = lens.top_probability[i][t][0];
      button.style.setProperty("--p", p.toFixed(3));
      button.classList.toggle("full", p > 0.62);
      button.classList.toggle("true", id === data.lens.words[t]);
      button.replaceChildren(...token(text(id)).childNodes);
      button.title = `${text(id)} ${percent(p)}`;
      button.setAttribute("aria-label", `token ${t}, ${columnName(i)}: ${button.title}`);
    });
  }
  function draw() {
    const {token: t, after: i} = chosen, lens = data.lens[reading], answer = data.lens.words[t];
    mark(n => n === t * (L + 1) + i);
    reveal(scroll, body.rows[t].cells[i + 1]);
    title.replaceChildren("After ", token(text(data.ids[t])), `, read at ${columnName(i)}`);
    const rows = lens.top[i][t].map((id, n) => ({name: token(text(id), id === answer ? "true" : ""),
      value: lens.top_probability[i][t][n], shown: percent(lens.top_probability[i][t][n]),
      strong: id === answer}));
    if (!lens.top[i][t].includes(answer)) rows.push({name: token(text(answer), "true"), strong: true,
      value: lens.probability[i][t], shown: `${percent(lens.probability[i][t])}, rank ${lens.rank[i][t]}`});
    detail.replaceChildren(bars(rows, {to: 1}));
  }
  fill();
  return draw;
}

// All parts of an attribution that are not a head or a feed-forward, and those, as {name, value}.
function listed(a) {
  const rows = [{name: "token embedding", value: a.token}, {name: "position embedding", value: a.place},
    {name: "final norm's bias", value: a.norm_bias}];
  a.heads.forEach((row, block) => {
    row.forEach((value, head) => rows.push({name: `head ${block}.${head}`, value}));
    rows.push({name: `feed-forward ${block}`, value: a.feedforward[block]},
      {name: `value bias ${block}`, value: a.value_bias[block]},
      {name: `output bias ${block}`, value: a.output_bias[block]},
      {name: `feed-forward's bias ${block}`, value: a.feedforward_bias[block]});
  });
  return rows;
}

function drawAttribution() {
  let lead = 0;
  const grid = parts(), list = make("div"), title = make("h3"), sum = make("p", {class: "note"});
  figure("attribution").append(tabs(["its logit", "its lead over the runner-up"], "of what", i => {
    lead = i; draw(); }), make("div", {class: "pair"},
    make("div", {}, make("h3", {}, "A row for each block: its heads, its feed-forward (blue for, orange against)"), grid.table),
    make("div", {}, title, list, sum)));
  function draw() {
    const a = data.attribution[chosen.token][lead ? "lead" : "logit"];
    grid.fill(a.heads, a.feedforward);
    title.replaceChildren("The largest, for ", token(text(a.word)),
      ...a.other === null ? [] : [" rather than ", token(text(a.other))],
      " after ", token(text(data.ids[chosen.token])));
    const rows = listed(a).sort((x, y) => Math.abs(y.value) - Math.abs(x.value));
    const rest = rows.slice(11).reduce((total, row) => total + row.value, 0);
    const shown = rows.slice(0, 11).concat({name: `${rows.length - 11} others`, value: rest});
    list.replaceChildren(bars(shown.map(row => ({...row, shown: number(row.value, 2)}))));
    const total = rows.reduce((x, row) => x + row.value, 0);
    sum.textContent = `All ${rows.length} parts sum to ${number(total, 4)}; the forward pass has `
      + `${number(a.logit, 4)}; what remains ${number(a.remainder)}.`;
  }
  return draw;
}

function drawAblation() {
  let how = 0;
  const grid = parts(), plot = make("div"), note = make("p", {class: "note"});
  figure("ablation").append(
    data.ablation.length > 1 ? tabs(data.ablation.map(one => ({zero: "nothing in its place",
      mean: "its mean in its place"})[one.how] ?? one.how), "what takes its place", i => { how = i; draw(); }) : "",
    make("div", {class: "pair"},
      make("div", {}, make("h3", {}, "What the answer's logit loses without a head or feed-forward"), grid.table, note),
      make("div", {}, make("h3", {}, "What a part said for it, and what is lost without it"), plot)));
  function draw() {
    const a = data.ablation[how];
    grid.fill(a.heads, a.feedforward);
    const loss = chosen.feed ? a.feedforward[chosen.block] : a.heads[chosen.block][chosen.head];
    const name = chosen.feed ? `feed-forward ${chosen.block}` : `head ${headName()}`;
    note.replaceChildren(token(text(a.word)), ` after the last token has a logit of ${number(a.answer, 2)}; `
      + `without ${name}, ${number(a.answer - loss, 2)}.`);
    scatter(plot, a);
  }
  return draw;
}

// Attribution across, ablation up; on the line, both would be the same.
function scatter(box, a) {
  const W = 440, V = 330, dots = [];
  a.heads.forEach((row, block) => row.forEach((y, head) =>
    dots.push({x: a.heads_attributed[block][head], y, block, head, name: `head ${block}.${head}`})));
  a.feedforward.forEach((y, block) => dots.push({x: a.feedforward_attributed[block], y, block,
    feed: true, name: `feed-forward ${block}`}));
  const all = dots.flatMap(dot => [dot.x, dot.y]).concat(0);
  const low = Math.min(...all), high = Math.max(...all), place = v => (v - low) / (high - low || 1);
  const X = v => 30 + (W - 50) * place(v), Y = v => V - 30 - (V - 50) * place(v);
  const svg = make("svg", {viewBox: `0 0 ${W} ${V}`, role: "img",
    "aria-label": "attribution and ablation of each part"},
    make("line", {class: "axis", x1: X(low), x2: X(high), y1: Y(0), y2: Y(0)}),
    make("line", {class: "axis", x1: X(0), x2: X(0), y1: Y(low), y2: Y(high)}),
    make("line", {class: "axis", x1: X(low), y1: Y(low), x2: X(high), y2: Y(high), "stroke-dasharray": "3 3"}),
    make("text", {class: "soft", x: W - 20, y: Math.min(V - 8, Y(0) + 16), "text-anchor": "end"}, "said for it →"),
    make("text", {class: "soft", x: X(0) + 6, y: 14}, "↑ lost without it"));
  for (const dot of dots) {
    const on = dot.block === chosen.block && Boolean(dot.feed) === chosen.feed
      && (dot.feed || dot.head === chosen.head);
    svg.append(make("circle", {cx: X(dot.x), cy: Y(dot.y), r: on ? 6 : 4,
      class: `dot ${dot.feed ? "feed" : ""} ${on ? "on" : ""}`,
      onclick: () => choose(dot.feed ? {block: dot.block, feed: true} : {block: dot.block, head: dot.head})},
      make("title", {}, `${dot.name}: said ${number(dot.x, 2)}, lost ${number(dot.y, 2)}`)));
  }
  for (const dot of [...dots].sort((p, q) => Math.abs(q.y) + Math.abs(q.x) - Math.abs(p.y) - Math.abs(p.x)).slice(0, 5))
    svg.append(make("text", {x: X(dot.x) + (X(dot.x) > W - 90 ? -8 : 8), y: Y(dot.y) + 4,
      "text-anchor": X(dot.x) > W - 90 ? "end" : "start"},
      dot.feed ? `ff ${dot.block}` : `${dot.block}.${dot.head}`));
  box.replaceChildren(svg, make("p", {class: "note"}, "Blue: heads; orange: feed-forwards. On the dashed "
    + "line, nobody else had listened."));
}
