// The playground's page: a text, a table of tokenizers, two views of coloured tokens.
// bpe.js stands before this file in the module that is sent.

const BLOCK = { few: 80, many: 400 }; // tokens: a block ends with a line, or when it is full
const WHITE_SPACE = { " ": "·", "\n": "↵", "\t": "⇥", "\r": "␍" };

const PAGE = `
  <div class="presets" role="group" aria-label="Texts to begin with"></div>
  <label>Text<textarea rows="5" spellcheck="false"></textarea></label>
  <table>
    <thead><tr><th scope="col">tokenizer</th><th scope="col">vocabulary</th>
      <th scope="col">tokens</th><th scope="col">tokens per word</th>
      <th scope="col">characters per token</th><th scope="col">first time, ms</th>
      <th scope="col">again, ms</th></tr></thead>
    <tbody></tbody>
  </table>
  <p class="status" role="status"></p>
  <label class="switch"><input type="checkbox" checked> show ids</label>
  <div class="views"></div>
  <p class="note"></p>`;

/** Unicode characters, as Python counts them: a pair of surrogates is one. */
export function countCharacters(text) {
  return text.length - (text.match(/[\u{10000}-\u{10FFFF}]/gu)?.length ?? 0);
}

/** A word's tokens: id, bytes, what is shown, and the characters start..end that they touch. */
export function piecesOf(word, ids, tokens, start) {
  const letters = [...word], owner = [], begins = []; // of each byte its letter, and back
  letters.forEach((letter, i) => {
    begins.push(owner.length);
    for (let n = byteString(letter).length; n > 0; n--) owner.push(i);
  });
  begins.push(owner.length);
  let at = 0;
  return ids.map((id) => {
    const bytes = tokens[id], end = at + bytes.length;
    let shown = "";
    for (let i = at; i < end; i++) {
      const letter = owner[i];
      const isWhole = begins[letter] >= at && begins[letter + 1] <= end;
      if (!isWhole) shown += hexadecimal(bytes[i - at]);
      else if (begins[letter] === i) shown += visible(letters[letter], bytes.length);
    }
    const piece = { id, bytes: [...bytes].map(hexadecimal).join(" "), shown,
      start: start + owner[at], end: start + owner[end - 1] + 1 };
    at = end;
    return piece;
  });
}

const hexadecimal = (byte) => byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0");

/** White space as a sign; what else has no shape by its number, unless it is part of an emoji. */
function visible(letter, numBytes) {
  if (letter in WHITE_SPACE) return WHITE_SPACE[letter];
  const shapeless = /\p{White_Space}|\p{Cc}/u.test(letter)
    || (/\p{Cf}|\p{Variation_Selector}/u.test(letter) && numBytes <= 4);
  const number = letter.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
  return shapeless ? `U+${number}` : letter;
}

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** Coloured tokens in a scrolling box; only the blocks in sight have their tokens in the page. */
class TokenView {
  constructor(label) {
    this.choice = make("select");
    this.box = make("div", { className: "tokens", tabIndex: 0 });
    this.box.setAttribute("role", "list");
    this.box.setAttribute("aria-label", `${label}: tokens; arrow keys go from one to the next`);
    this.detail = make("p", { className: "detail", textContent: " " });
    this.element = make("section", {}, make("label", {}, `${label} `, this.choice),
      this.box, this.detail);
    this.observer = new IntersectionObserver((entries) => {
      for (const entry of entries) this.fill(entry.target, entry.isIntersecting);
    }, { root: this.box, rootMargin: "300px" });
    for (const event of ["pointerover", "focusin"]) {
      this.box.addEventListener(event, ({ target }) => this.describe(target));
    }
    this.box.addEventListener("keydown", (event) => this.move(event));
  }

  show(bpe, text, { words, ids }) {
    this.observer.disconnect();
    this.blocks = new Map(); // element -> where it begins and ends
    let block = { first: 0, offset: 0, number: 0 }, tokens = 0, offset = 0;
    const blocks = [];
    for (let i = 0; i < words.length; i++) {
      tokens += ids[i].length;
      offset += words[i].length;
      const lineEnds = tokens >= BLOCK.few && words[i].endsWith("\n");
      if (lineEnds || tokens >= BLOCK.many || i === words.length - 1) {
        const element = make("div", { className: "block" });
        element.setAttribute("role", "presentation");
        element.style.height = `${Math.ceil(tokens / 8) * 3}em`;
        this.blocks.set(element, { ...block, end: i + 1 });
        blocks.push(element);
        block = { first: i + 1, offset, number: block.number + tokens };
        tokens = 0;
      }
    }
    Object.assign(this, { bpe, text, words, ids });
    this.box.replaceChildren(...blocks);
    for (const element of blocks) this.observer.observe(element);
    this.detail.textContent = blocks.length ? "Point at a token." : "No text, no tokens.";
  }

  fill(element, inSight) {
    const filled = element.hasChildNodes();
    if (inSight && !filled) {
      element.replaceChildren(...this.tokensOf(this.blocks.get(element)));
      element.style.height = "";
    } else if (!inSight && filled && !element.contains(document.activeElement)) {
      element.style.height = `${element.offsetHeight}px`;
      element.replaceChildren();
    }
  }

  tokensOf({ first, end, offset, number }) {
    let start = countCharacters(this.text.slice(0, offset));
    const elements = [];
    for (let i = first; i < end; i++) {
      for (const piece of piecesOf(this.words[i], this.ids[i], this.bpe.tokens, start)) {
        const span = make("span", { className: "token", tabIndex: -1, textContent: piece.shown });
        span.dataset.colour = number++ % 4;
        span.dataset.id = piece.id;
        span.dataset.about = `id ${piece.id}, bytes ${piece.bytes}, `
          + `characters ${piece.start} to ${piece.end}`;
        span.setAttribute("role", "listitem");
        span.setAttribute("aria-label", `${piece.shown}: ${span.dataset.about}`);
        elements.push(span);
        if (piece.shown.includes("↵")) elements.push(make("br"));
      }
      start += countCharacters(this.words[i]);
    }
    return elements;
  }

  describe(token) {
    if (!token.dataset.about) return;
    this.detail.replaceChildren(make("b", { textContent: token.textContent }),
      ` ${token.dataset.about}`);
  }

  move(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const tokens = [...this.box.querySelectorAll(".token")];
    const now = tokens.indexOf(document.activeElement);
    const top = this.box.getBoundingClientRect().top;
    const next = now >= 0 ? tokens[now + step]
      : tokens.find((token) => token.getBoundingClientRect().bottom > top);
    next?.focus();
  }
}

class Playground {
  constructor(model, el) {
    this.entries = model.get("tokenizers");
    this.models = [];
    // JupyterLab takes the keys of what has the focus, unless it is marked itself.
    el.addEventListener("focusin", ({ target }) => { target.dataset.lmSuppressShortcuts = "true"; });
    el.classList.add("tokenizer-playground");
    el.innerHTML = PAGE;
    const find = (selector) => el.querySelector(selector);
    this.area = find("textarea");
    this.status = find(".status");
    find(".note").textContent = model.get("note");
    this.rows = this.entries.map(({ name }) => {
      const row = make("tr", {}, make("th", { scope: "row", textContent: name }));
      for (let i = 0; i < 6; i++) row.append(make("td"));
      find("tbody").append(row);
      return row;
    });
    this.views = ["Left", "Right"].map((label, side) => {
      const view = new TokenView(label);
      view.choice.append(...this.entries.map(({ name }) => make("option", { textContent: name })));
      view.choice.selectedIndex = side ? this.entries.length - 1 : 0;
      view.choice.addEventListener("change", () => this.update());
      find(".views").append(view.element);
      return view;
    });
    for (const { name, text } of model.get("presets")) {
      const button = make("button", { type: "button", textContent: name });
      button.addEventListener("click", () => this.begin(text));
      find(".presets").append(button);
    }
    this.area.addEventListener("input", () => this.update());
    find("input").addEventListener("change", ({ target }) =>
      el.classList.toggle("without-ids", !target.checked));
    this.begin(model.get("presets")[0].text);
  }

  begin(text) {
    this.area.value = text;
    this.update({ forget: true });
  }

  /** Tokenize with every tokenizer, those in view first; a newer text stops it. */
  async update({ forget = false } = {}) {
    const text = this.area.value, run = this.run = {};
    const numWords = text.match(/\P{White_Space}+/gu)?.length ?? 0;
    const numCharacters = countCharacters(text);
    const shown = this.views.map((view) => view.choice.selectedIndex);
    const said = [];
    for (const number of new Set([...shown, ...this.entries.keys()])) {
      const { result, numTokens, milliseconds } = this.measure(number, text, forget);
      this.views.forEach((view, side) => {
        if (shown[side] === number) view.show(this.models[number], text, result);
      });
      const cells = [this.models[number].tokens.length, numTokens].map((n) => n.toLocaleString("en"));
      cells.push(ratio(numTokens, numWords), ratio(numCharacters, numTokens));
      cells.forEach((cell, i) => { this.rows[number].cells[i + 1].textContent = cell; });
      said[number] = `${this.entries[number].name} ${cells[1]} tokens in ${milliseconds} ms`;
      await new Promise((resolve) => setTimeout(resolve)); // let the page be drawn
      if (this.run !== run) return;
    }
    this.status.textContent = `${numCharacters.toLocaleString("en")} characters, `
      + `${numWords.toLocaleString("en")} words: ${said.join("; ")}.`;
  }

  /** Encode; the first time with an empty cache of words if `forget`. */
  measure(number, text, forget) {
    const bpe = this.models[number] ??= new BPE(this.entries[number]);
    const columns = forget ? [5, 6] : [6];
    if (forget) bpe.cache.clear();
    let result, milliseconds;
    for (const column of columns) {
      const before = performance.now();
      result = bpe.encode(text);
      milliseconds = (performance.now() - before).toFixed(1);
      this.rows[number].cells[column].textContent = milliseconds;
    }
    const numTokens = result.ids.reduce((sum, ids) => sum + ids.length, 0);
    return { result, numTokens, milliseconds };
  }
}

const ratio = (a, b) => (b ? (a / b).toFixed(2) : "–");

export default {
  render({ model, el }) {
    const page = new Playground(model, el);
    return () => page.views.forEach((view) => view.observer.disconnect());
  },
};
