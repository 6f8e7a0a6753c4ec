"use strict";
// A long table: all rows stand in the page as columns; they are sorted and filtered as numbers, and drawn as
// the reader scrolls to them.
const CHUNK = 100;
const integers = new Intl.NumberFormat("en");
const collator = new Intl.Collator("en", { numeric: true });

class LongTable {
  static of = new Map();

  constructor(table, data) {
    this.table = table;
    this.id = table.id.replace(/-table$/, "");
    this.box = table.closest(".scroll");
    this.body = table.tBodies[0];
    this.columns = data.columns;
    this.texts = data.texts;
    this.names = data.names;
    this.textual = new Set(data.textual);
    this.cells = {};
    for (const [field, packed] of Object.entries(data.cells)) {
      this.cells[field] = Float64Array.from(packed.split(","), (cell) => (cell === "" ? NaN : Number(cell)));
    }
    this.size = Object.values(this.cells)[0].length;
    this.every = Uint32Array.from({ length: this.size }, (_, row) => row);
    this.order = this.shown = this.every;
    this.origin = table.dataset.start;
    this.span = null;
    LongTable.of.set(this.id, this);
    this.prepare();
  }

  prepare() {
    const line = this.table.tHead.rows[0];
    const shown = this.columns.filter((column) => !column.detail);
    shown.forEach((column, at) => {
      const head = line.cells[at];
      const button = element("button", column.name);
      button.type = "button";
      button.addEventListener("click", () => this.sort(head, column));
      head.replaceChildren(button);
    });
    this.hasDetail = this.columns.length > shown.length || this.cells.src !== undefined;
    if (this.hasDetail) {
      const head = element("th");
      head.append(element("span", "Detail", "unseen"));
      head.className = "more";
      line.prepend(head);
    }
    const input = document.getElementById(`${this.id}-filter`);
    input.addEventListener("input", () => this.filter(input.value));
    this.table.setAttribute("aria-rowcount", this.size + 1);
    this.box.addEventListener("scroll", () => {
      if (this.box.scrollTop + 2 * this.box.clientHeight > this.box.scrollHeight) this.draw();
    });
    this.redraw();
  }

  redraw() {
    this.drawn = 0;
    this.body.replaceChildren();
    this.box.scrollTop = 0;
    this.draw();
  }

  draw(until = this.drawn + CHUNK) {
    const rows = [...this.shown.subarray(this.drawn, until)].map((row) => this.line(row));
    this.drawn += rows.length;
    this.body.append(...rows);
  }

  line(row) {
    const line = element("tr");
    if (this.cells.unanswered?.[row] > 0 || (this.cells.sent && this.cells.lost?.[row] > 0)) line.className = "bad";
    if (this.hasDetail) line.append(this.opener(row));
    for (const column of this.columns) if (!column.detail) line.append(this.cell(column, row));
    return line;
  }

  cell(column, row) {
    const [text, ...below] = this.written(column, row);
    const cell = element("td", text, column.numeric ? "n" : ["end", "lines"].includes(column.kind) ? "wrap" : "");
    cell.append(...below.map((words) => element("small", words)));
    return cell;
  }

  opener(row) {
    const cell = element("td", "", "more");
    const button = element("button", "▸");
    button.type = "button";
    button.setAttribute("aria-label", "Detail of this row");
    button.setAttribute("aria-expanded", "false");
    button.addEventListener("click", () => this.toggle(button, row));
    cell.append(button);
    return cell;
  }

  toggle(button, row) {
    const line = button.closest("tr");
    const open = button.getAttribute("aria-expanded") === "true";
    button.setAttribute("aria-expanded", String(!open));
    button.textContent = open ? "▸" : "▾";
    if (open) return line.nextElementSibling.remove();
    const cell = element("td");
    cell.colSpan = line.cells.length;
    const list = element("dl", "", "numbers");
    for (const column of this.columns) {
      if (column.detail && !Number.isNaN(this.cells[column.field][row])) {
        list.append(element("dt", column.name), element("dd", this.written(column, row).join("; ")));
      }
    }
    cell.append(list);
    if (this.cells.src) {
      const filter = element("div", "", "filter");
      filter.append(element("code", this.wireshark(row)), copyButton());
      cell.append(filter);
    }
    const detail = element("tr", "", "detail");
    detail.append(cell);
    line.after(detail);
    return undefined;
  }

  text(field, row) {
    return this.texts[this.cells[field][row]];
  }

  /** What a cell says, and what stands below it: as `page_tables` writes it. */
  written(column, row) {
    const value = this.cells[column.field][row];
    const beside = this.cells[column.beside]?.[row] ?? NaN;
    if (Number.isNaN(value)) return ["–"];
    switch (column.kind) {
      case "way": return [this.texts[value].replaceAll(">", " → ")];
      case "end": {
        const address = this.texts[value];
        const name = this.names[address];
        return name ? [ends(address, beside), name] : [ends(address, beside)];
      }
      case "lines": return this.texts[value].split("\n");
      case "count": return [integers.format(value)];
      case "bytes": return [`${integers.format(value)} B`];
      case "seconds": return [(value / 1e9).toFixed(6)];
      case "span": return [span(value)];
      case "share": return [value + beside ? `${digits(100 * value / (value + beside))} %` : "–"];
      default: return [this.textual.has(column.field) ? this.texts[value] : String(value)];
    }
  }

  /** Wireshark's filter for the packets of a row, both ways. */
  wireshark(row) {
    const protocol = this.text("protocol", row).toLowerCase();
    const parts = ["src", "dst"].map((field) => {
      const address = this.text(field, row);
      return `${protocol === "arp" ? "arp" : address.includes(":") ? "ipv6.addr" : "ip.addr"} == ${address}`;
    });
    if (protocol === "arp") return "arp";
    const ports = ["sport", "dport"].map((field) => this.cells[field]?.[row]).filter((port) => port >= 0);
    return [...parts, ...ports.map((port) => `${protocol}.port == ${port}`)].join(" && ");
  }

  keys(column) {
    const values = this.cells[column.field];
    if (column.kind === "share") {
      const beside = this.cells[column.beside];
      return values.map((value, row) => (value + beside[row] ? value / (value + beside[row]) : NaN));
    }
    if (!this.textual.has(column.field)) return values;
    const ranks = new Float64Array(this.texts.length);
    [...this.texts.keys()]
      .sort((a, b) => collator.compare(this.texts[a], this.texts[b]))
      .forEach((text, rank) => { ranks[text] = rank; });
    const beside = this.cells[column.beside];
    return values.map((text, row) => ranks[text] + (beside?.[row] >= 0 ? beside[row] / 65536 : 0));
  }

  sort(head, column) {
    // Numbers are looked at largest first; a second click turns the order round. Nothing comes last either way.
    const before = head.getAttribute("aria-sort");
    const down = before ? before === "ascending" : column.numeric;
    for (const other of this.table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const keys = this.keys(column);
    const last = down ? -Infinity : Infinity;
    const of = (row) => (Number.isNaN(keys[row]) ? last : keys[row]);
    this.order = this.every.slice().sort((a, b) => (down ? of(b) - of(a) : of(a) - of(b)) || a - b);
    this.choose();
  }

  filter(words) {
    this.terms = words.toLowerCase().split(/\s+/).filter(Boolean);
    this.choose();
  }

  /** Show only what was sent in a span of time; all again where it is null. */
  within(span) {
    this.span = span;
    this.choose();
  }

  choose() {
    const terms = this.terms ?? [];
    const times = this.cells.time_ns;
    const timely = this.span
      ? this.order.filter((row) => times[row] >= this.span[0] && times[row] <= this.span[1])
      : this.order;
    if (terms.length) this.haystack ??= Array.from(this.every, (row) => this.sought(row));
    this.shown = terms.length
      ? timely.filter((row) => terms.every((term) => this.haystack[row].includes(term)))
      : timely;
    const count = document.getElementById(`${this.id}-filter-count`);
    const found = `${integers.format(this.shown.length)} of ${integers.format(this.size)}`;
    const when = this.span ? `, sent from ${span(this.span[0])} to ${span(this.span[1])} (as zoomed above)` : "";
    count.textContent = terms.length || this.span ? `${found} rows found${when}` : "";
    this.redraw();
  }

  sought(row) {
    const words = this.columns.map((column) =>
      column.numeric ? this.cells[column.field][row] : this.written(column, row).join(" "),
    );
    return words.join(" ").toLowerCase();
  }
}

function element(name, text = "", kind = "") {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

function ends(address, port) {
  if (Number.isNaN(port)) return address;
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

/** Three digits, as Python's `.3g` writes them. */
function digits(value) {
  const text = value.toPrecision(3);
  const [number, power] = text.split("e");
  const short = number.includes(".") ? number.replace(/\.?0+$/, "") : number;
  if (power) return `${short}e${power[0]}${power.slice(1).padStart(2, "0")}`;
  if (value !== 0 && Math.abs(value) < 1e-4) {
    const [few, tiny] = value.toExponential(2).split("e");
    return `${few.replace(/\.?0+$/, "")}e-${tiny.slice(1).padStart(2, "0")}`;
  }
  return short;
}

/** A duration in the unit that fits it, as `words.span` writes it. */
function span(ns) {
  const size = Math.abs(ns);
  if (size >= 120e9) {
    const seconds = Math.round(size / 1e9);
    const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
    const sign = ns < 0 ? "-" : "";
    const rest = `${seconds % 60} s`;
    return hours ? `${sign}${integers.format(hours)} h ${minutes} min ${rest}` : `${sign}${minutes} min ${rest}`;
  }
  for (const [unit, unitNs] of [["s", 1e9], ["ms", 1e6], ["µs", 1e3]]) {
    if (size >= 0.9995 * unitNs) return `${digits(ns / unitNs)} ${unit}`;
  }
  return `${ns.toFixed(0)} ns`;
}

for (const table of document.querySelectorAll("table.sortable")) {
  const data = document.getElementById(table.id.replace(/-table$/, "-data"));
  if (data) new LongTable(table, JSON.parse(data.textContent));
}
