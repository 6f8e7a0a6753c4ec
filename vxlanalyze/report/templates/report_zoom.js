// Pictures over time can be zoomed: by dragging over a span of it, or by buttons. Those that share their start
// move together, and the table of lost packets then lists those of that span.
const LEAST_SHARE = 1e-4; // of the whole time, below which zooming in ends

class TimePicture {
  constructor(svg, view) {
    this.svg = svg;
    this.view = view;
    const numbers = (name) => svg.dataset[name].split(" ").map(Number);
    [this.left, this.top, this.right, this.bottom] = numbers("box");
    [this.low, this.high] = numbers("span");
    this.unit = Number(svg.dataset.unit);
    this.axis = svg.querySelector(".x-axis");
    this.tick = [...this.axis.children].find((part) => part.querySelector("use"));
    this.label = [...this.axis.children].find((part) => !part.querySelector("use"));
    const marks = [...svg.querySelectorAll("[clip-path]")];
    this.marks = marks.filter((mark) => !mark.closest(".x-axis, .y-axis")).map((mark) => this.wrapped(mark));
    this.brush = svg.appendChild(shape(svg, "rect", { class: "brush", y: this.top, height: this.bottom - this.top }));
    svg.addEventListener("pointerdown", (event) => this.press(event));
    svg.addEventListener("dblclick", () => this.view.whole());
    svg.closest("figure").querySelector("figcaption").after(this.buttons());
  }

  /** Cut a mark by a group of its own, so that it can be moved below the cut. */
  wrapped(mark) {
    const cut = shape(this.svg, "g", { "clip-path": mark.getAttribute("clip-path") });
    mark.removeAttribute("clip-path");
    mark.replaceWith(cut);
    cut.append(mark);
    const points = [...mark.querySelectorAll("use")].map((use) => [use, Number(use.getAttribute("x"))]);
    if (!points.length) mark.classList.add("stretched");
    return { mark, points };
  }

  place(ns) {
    return this.left + ((ns - this.low) / (this.high - this.low)) * (this.right - this.left);
  }

  show(from, to) {
    const start = this.place(from);
    const scale = (this.right - this.left) / (this.place(to) - start);
    const moved = (x) => this.left + (x - start) * scale;
    for (const { mark, points } of this.marks) {
      for (const [use, x] of points) use.setAttribute("x", moved(x));
      if (!points.length) mark.setAttribute("transform", `matrix(${scale} 0 0 1 ${this.left - start * scale} 0)`);
    }
    const ticks = niceSteps(from / this.unit, to / this.unit).map(([value, text]) => {
      const tick = this.tick.cloneNode(true);
      for (const part of tick.querySelectorAll("use, text")) part.setAttribute("x", moved(this.place(value * this.unit)));
      tick.querySelector("text").textContent = text;
      return tick;
    });
    this.axis.replaceChildren(...this.axis.querySelectorAll("defs"), ...ticks, ...(this.label ? [this.label] : []));
  }

  time(event) {
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.svg.getScreenCTM().inverse());
    const x = Math.min(Math.max(point.x, this.left), this.right);
    const [from, to] = this.view.shown(this);
    return [x, from + ((x - this.left) / (this.right - this.left)) * (to - from)];
  }

  press(event) {
    if (event.button) return;
    const [startX, startTime] = this.time(event);
    this.svg.setPointerCapture(event.pointerId);
    const move = (moved) => {
      const [x] = this.time(moved);
      this.brush.setAttribute("x", Math.min(x, startX));
      this.brush.setAttribute("width", Math.abs(x - startX));
    };
    const release = (last) => {
      this.svg.removeEventListener("pointermove", move);
      this.brush.setAttribute("width", 0);
      const [x, time] = this.time(last);
      if (last.type === "pointerup" && Math.abs(x - startX) > 4) {
        this.view.choose(Math.min(startTime, time), Math.max(startTime, time));
      }
    };
    this.svg.addEventListener("pointermove", move);
    this.svg.addEventListener("pointerup", release, { once: true });
    this.svg.addEventListener("pointercancel", release, { once: true });
  }

  buttons() {
    const row = element("div", "", "zoom");
    const steps = [
      ["Zoom in", (from, to) => [from + (to - from) / 4, to - (to - from) / 4]],
      ["Zoom out", (from, to) => [from - (to - from) / 2, to + (to - from) / 2]],
      ["Earlier", (from, to) => [from - (to - from) / 2, to - (to - from) / 2]],
      ["Later", (from, to) => [from + (to - from) / 2, to + (to - from) / 2]],
    ];
    for (const [name, step] of steps) {
      const button = element("button", name);
      button.type = "button";
      button.addEventListener("click", () => this.view.choose(...step(...this.view.shown(this))));
      row.append(button);
    }
    const whole = element("button", "Whole time");
    whole.type = "button";
    whole.addEventListener("click", () => this.view.whole());
    this.said = element("span", "", "note");
    this.said.setAttribute("role", "status");
    row.append(whole, this.said);
    return row;
  }
}

/** What the pictures of one start show, and the table of lost packets with them. */
class View {
  constructor(svgs) {
    this.span = null;
    this.pictures = svgs.map((svg) => new TimePicture(svg, this));
    this.low = Math.min(...this.pictures.map((picture) => picture.low));
    this.high = Math.max(...this.pictures.map((picture) => picture.high));
  }

  shown(picture) {
    return this.span ?? [picture.low, picture.high];
  }

  choose(from, to) {
    const length = Math.min(Math.max(to - from, (this.high - this.low) * LEAST_SHARE), this.high - this.low);
    const start = Math.min(Math.max(from, this.low), this.high - length);
    if (length === this.high - this.low) return this.whole();
    this.span = [start, start + length];
    return this.update();
  }

  whole() {
    this.span = null;
    this.update();
  }

  update() {
    for (const picture of this.pictures) {
      picture.show(...this.shown(picture));
      picture.said.textContent = this.span ? `${span(this.span[0])} to ${span(this.span[1])}` : "";
    }
    const lost = LongTable.of.get("lost");
    if (lost && lost.origin === this.pictures[0].svg.dataset.start) lost.within(this.span);
  }
}

function shape(svg, name, attributes) {
  const made = document.createElementNS(svg.namespaceURI, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

/** Round numbers between two others, some six of them, each with its text. */
function niceSteps(from, to) {
  const rough = (to - from) / 6;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((size) => size >= rough);
  const places = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const found = [];
  for (let n = Math.ceil(from / step - 1e-9); n * step <= to * (1 + 1e-12); n += 1) {
    found.push([n * step, (n * step).toFixed(places)]);
  }
  return found;
}

const byStart = new Map();
for (const svg of document.querySelectorAll("svg[data-span]")) {
  const start = svg.dataset.start;
  byStart.set(start, [...(byStart.get(start) ?? []), svg]);
}
for (const svgs of byStart.values()) new View(svgs);
