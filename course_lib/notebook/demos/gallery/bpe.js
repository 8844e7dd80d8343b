// Byte-pair encoding by ranks, as BPETokenizer and tiktoken do it: nothing here knows of a page.

const UNMERGEABLE = 2 ** 30, CHANGED = -1, CACHED_WORDS = 2 ** 18;

/** UTF-8 as a string with one character a byte: "é" -> "Ã©". ASCII stays what it is. */
export function byteString(text) {
  if (/^[\0-\x7f]*$/.test(text)) return text;
  let bytes = "";
  for (const byte of new TextEncoder().encode(text)) bytes += String.fromCharCode(byte);
  return bytes;
}

export class BPE {
  /** A pattern that cuts words; the tokens' bytes one after the other by id, and their lengths. */
  constructor({ pattern, bytes, lengths }) {
    this.pattern = new RegExp(pattern, "gu");
    this.cache = new Map(); // word -> ids
    this.ids = new Map(); // a token's byte string -> its id, which is its rank
    this.tokens = []; // and back
    let start = 0;
    for (let id = 0; id < lengths.byteLength; id++) {
      const token = String.fromCharCode(
        ...new Uint8Array(bytes.buffer, bytes.byteOffset + start, lengths.getUint8(id)));
      this.ids.set(token, id);
      this.tokens.push(token);
      start += token.length;
    }
  }

  /** Text -> its words and, for each, its ids. A word is merged once, then remembered. */
  encode(text) {
    const words = text.match(this.pattern) ?? [];
    const { cache } = this;
    const ids = words.map((word) => cache.get(word) ?? this.encodeWord(word));
    return { words, ids };
  }

  encodeWord(word) {
    const ids = this.merge(byteString(word));
    if (this.cache.size >= CACHED_WORDS) this.cache.clear();
    this.cache.set(word, ids);
    return ids;
  }

  /** Merge the pair of lowest rank wherever it stands, until no two neighbours make a token. */
  merge(word) {
    const whole = this.ids.get(word);
    if (whole !== undefined) return [whole];
    const starts = [], ranks = []; // of parts, and the end; of part i joined with part i + 1
    for (let i = 0; i <= word.length; i++) starts.push(i);
    const rank = (i) => this.ids.get(word.slice(starts[i], starts[i + 2])) ?? UNMERGEABLE;
    for (let i = 0; i < word.length - 1; i++) ranks.push(rank(i));
    while (true) {
      let lowest = UNMERGEABLE;
      for (const each of ranks) if (each < lowest) lowest = each;
      if (lowest === UNMERGEABLE) break;
      let parts = 0;
      for (let i = 0; i < starts.length; parts++) {
        const merged = ranks[i] === lowest;
        if (merged && parts > 0) ranks[parts - 1] = CHANGED;
        starts[parts] = starts[i];
        ranks[parts] = merged ? CHANGED : ranks[i];
        i += merged ? 2 : 1;
      }
      starts.length = parts;
      ranks.length = parts - 2;
      for (let i = 0; i < ranks.length; i++) if (ranks[i] === CHANGED) ranks[i] = rank(i);
    }
    return starts.slice(1).map((end, i) => this.ids.get(word.slice(starts[i], end)));
  }
}
