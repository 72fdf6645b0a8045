// The prompt, what comes next, and the embeddings.

function drawPrompt() {
  const box = document.getElementById("tokens");
  data.ids.forEach((id, t) => {
    const label = `token ${t}: ${text(id)}`;
    box.append(make("button", {"aria-label": label, title: label, dir: "auto",
      onclick: () => choose({token: t})}, ...token(text(id)).childNodes));
    box.append(make("wbr"));
  });
  const mark = keys(box);
  return () => {
    mark(t => t === chosen.token);
    const row = looks(chosen.block, chosen.head, chosen.token);
    [...box.querySelectorAll("button")].forEach((button, t) => {
      button.style.setProperty("--p", row[t] ?? 0);
      button.classList.toggle("key", t === chosen.key);
    });
    reveal(box, box.querySelector(".on"));
    document.getElementById("chosen").replaceChildren(
      `Token ${chosen.token}, `, token(text(data.ids[chosen.token])),
      `. Shaded: where head ${headName()} looks from it, most at `,
      token(text(data.ids[chosen.key])), ` (${percent(row[chosen.key])}).`);
  };
}

function drawNext() {
  const list = make("div"), story = make("p", {class: "note"});
  figure("next").append(list, story);
  return () => {
    const t = chosen.token, lens = data.lens.anew, at = lens.top[L][t];
    const answer = data.lens.words[t];
    list.replaceChildren(bars(at.map((id, i) => ({
      name: token(text(id), id === answer ? "true" : ""), value: lens.top_probability[L][t][i],
      shown: percent(lens.top_probability[L][t][i]), strong: id === answer,
    })), {to: 1}));
    story.replaceChildren(...t < T - 1
      ? ["What does come next: ", token(text(answer), "true"),
        `, which it gave ${percent(lens.probability[L][t])} (rank ${lens.rank[L][t]}).`]
      : ["The prompt ends here. Below, the answer is the model's first choice, ",
        token(text(answer), "true"), "."]);
  };
}

function drawEmbeddings() {
  const e = data.embeddings, list = make("div"), title = make("h3");
  const map = make("div"), note = make("p", {class: "note"});
  const ranks = Object.entries(e.part_ranks), parts = make("p", {class: "note"});
  if (ranks.length) parts.append(token(e.of[e.word].word), "'s own parts are not near it: ",
    ranks.map(([part, rank]) => `${part} is neighbour ${rank}`).join(", "), ".");
  let asked = e.word !== null;  // the word of --word first, until a token is chosen
  let last = chosen.token;
  const again = e.word === null ? null : make("button", {class: "tabs", onclick: () => {
    asked = true; draw(); }}, "back to ", token(e.of[e.word].word));
  figure("embeddings").append(make("div", {class: "pair"},
    make("div", {}, title, list, parts, again),
    make("div", {}, make("h3", {}, "The two directions in which these words differ most"), map, note)),
    ...kindsOf(e.kinds), ...partnersOf(e.partners), inContext(e));
  function draw() {
    if (chosen.token !== last) [asked, last] = [false, chosen.token];
    const near = e.of[asked ? e.word : data.ids[chosen.token]];
    title.replaceChildren("Nearest to ", token(near.word));
    list.replaceChildren(bars(near.words.map((word, i) => ({name: token(word),
      value: near.cosines[i], shown: number(near.cosines[i], 2)})), {to: 1, base: near.mean}));
    if (e.map) drawMap(map, e.map, near.word);
    if (again) again.hidden = asked;
    parts.hidden = !asked;
  }
  if (e.map) note.textContent = `The axes hold ${percent(e.map.share[0])} and ${percent(e.map.share[1])} of `
    + "what differs; the rest is not in the picture.";
  return draw;
}

// Of a word's five nearest, the share that is of its own kind; the line is what chance would give.
function kindsOf(kinds) {
  if (!kinds.length) return [];
  return [make("h3", {class: "next"}, "Of a word's five nearest, how many are of its own kind, "
    + "which nobody told the model"), bars(kinds.map(one => ({
    name: make("span", {}, make("b", {class: `kind ${one.kind}`}), `${one.kind} (${one.words.length})`),
    value: one.share, shown: `${percent(one.share)}, by chance ${percent(one.chance)}`})), {to: 1})];
}

// How often a number puts an animal that has a part before one that has not; the line is chance.
function partnersOf(one) {
  if (!one) return [];
  const best = (row, name) => {
    const i = row.indexOf(Math.max(...row));
    return {name: name(i), value: row[i]};
  };
  const rows = [{name: "nearness", value: one.near}, best(one.asks, i => `q·k of head 0.${i}`),
    best(one.heads.flat(), i => `what head ${Math.floor(i / H)}.${i % H} says`),
    ...one.feedforward.map((value, block) => ({name: `what feed-forward ${block} says`, value})),
    {name: "all together", value: one.logit}];
  return [make("h3", {class: "next"}, "What ties a part (beak) to its animal (robin)? How often a number "
    + "puts an animal that has the part before one that has not"),
    bars(rows.map(row => ({...row, shown: percent(row.value)})), {to: 1, base: 0.5})];
}

// What is near a token in its place, once it has heard of its text.
function inContext(e) {
  if (!e.context.length) return "";
  const heads = e.context.map((_, i) => make("th", {}, i === 0 ? "embedding" : `after block ${i - 1}`));
  const rows = e.context[0].words.map((_, i) => make("tr", {}, ...e.context.map(one =>
    make("td", {class: "text"}, token(one.words[i]), " ",
      make("small", {class: "soft"}, number(one.cosines[i], 2))))));
  return make("div", {}, make("h3", {class: "next"}, "Nearest to ", token(e.context[0].word),
    ` where it stands (token ${e.at}): other words, put in its place`), make("div", {class: "wide"},
    make("table", {class: "words"}, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...rows))));
}

// Words where they lie; a name is left out where it would cover another (the dot tells it).
function drawMap(box, map, word) {
  const W = 460, V = 340, xs = map.places.map(p => p[0]), ys = map.places.map(p => p[1]);
  const place = (x, all, size) => 12 + (size - 24) * (x - Math.min(...all))
    / (Math.max(...all) - Math.min(...all) || 1);
  const svg = make("svg", {viewBox: `0 0 ${W} ${V}`, role: "img", "aria-label": "map of words"});
  const taken = [], bare = word.trim();
  const order = map.words.map((_, i) => i).sort((a, b) =>
    (map.words[b].trim() === bare) - (map.words[a].trim() === bare));
  for (const i of order) {
    const x = place(xs[i], xs, W - 70), y = V - place(ys[i], ys, V), name = map.words[i].trim();
    const self = name === bare, box = [x, y - 9, x + 12 + 6.4 * name.length, y + 5];
    svg.append(make("circle", {cx: x, cy: y, r: self ? 4 : 2.5, class: `dot ${self ? "on" : ""} ${map.kinds[i]}`},
      make("title", {}, name)));
    if (taken.some(b => box[0] < b[2] && b[0] < box[2] && box[1] < b[3] && b[1] < box[3])) continue;
    taken.push(box);
    svg.append(make("text", {x: x + 6, y: y + 4, "font-weight": self ? 700 : 400}, name));
  }
  box.replaceChildren(svg);
}
