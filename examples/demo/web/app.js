"use strict";

// Asks for the figures twice a second, draws them, and switches the LED. What comes from the server
// is shown as text, never as markup. A server with four sockets must do: there is never more than
// one request for figures and one for the LED, and one that fails is followed by a pause.

const EVERY_MS = 500;
const PAUSE_MS_MAX = 4000;
const PATIENCE_MS = 6000; // longer than a busy server lets a request wait in its queue
const POINTS = 121; // a minute

const element = (id) => document.getElementById(id);
const show = (id, text) => {
  const { firstChild } = element(id);
  // Text that stays is not touched, so that it can be selected.
  if (firstChild.data !== text) firstChild.data = text;
};

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat("en", { maximumFractionDigits: 1, minimumFractionDigits: 1 });
const count = (number) => whole.format(number);
const brief = (number) => {
  const rounded = Math.round(number * 10) / 10;
  return (rounded < 10 && rounded % 1 > 0 ? tenths : whole).format(rounded);
};

const scaled = (number, units) => {
  let unit = 0;
  while (number >= 999.5 && unit + 1 < units.length) {
    number /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? count(number) : tenths.format(number)} ${units[unit]}`;
};
const bytes = (number) => scaled(number, ["B", "kB", "MB", "GB", "TB"]);
const kib = (number) => `${tenths.format(number / 1024)} KiB`;
const micros = (number) => scaled(number, ["µs", "ms", "s"]);

const span = (millis) => {
  const seconds = Math.floor(millis / 1000);
  const two = (number) => String(number % 60).padStart(2, "0");
  const hours = Math.floor(seconds / 3600);
  const days = Math.floor(hours / 24);
  const clock = `${hours % 24}:${two(Math.floor(seconds / 60))}:${two(seconds)}`;
  return days > 0 ? `${days} d ${clock}` : clock;
};

// ---- plots

// The least of 1, 2, 4, 5, 10, 20, .. that is not below `number`, so that its half is short, too.
const ceiling = (number) => {
  const power = 10 ** Math.floor(Math.log10(Math.max(number, 1)));
  return power * [1, 2, 4, 5, 10].find((step) => step * power >= number);
};

class Plot {
  constructor(id, least) {
    this.canvas = element(id);
    this.least = least;
    this.points = [];
    new ResizeObserver(() => this.draw()).observe(this.canvas);
  }

  // A number, or null where nothing is known.
  add(point) {
    this.points.push(point);
    if (this.points.length > POINTS) this.points.shift();
    this.draw();
  }

  draw() {
    const { canvas, points } = this;
    const { clientWidth: width, clientHeight: height } = canvas;
    const ratio = window.devicePixelRatio || 1;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);

    const top = ceiling(Math.max(this.least, ...points));
    const [left, right, low, high] = [0.5, width - 46, height - 20, 6];
    const x = (index) => right - ((points.length - 1 - index) * (right - left)) / (POINTS - 1);
    const y = (value) => low - (value * (low - high)) / top;

    pen.font = "11px system-ui, sans-serif";
    pen.fillStyle = "#7d848e";
    pen.strokeStyle = "#272c33";
    pen.textBaseline = "middle";
    for (const value of [0, top / 2, top]) {
      const at = Math.round(y(value)) + 0.5;
      pen.beginPath();
      pen.moveTo(left, at);
      pen.lineTo(right, at);
      pen.stroke();
      pen.fillText(brief(value), right + 8, at);
    }
    pen.textBaseline = "alphabetic";
    pen.fillText("1 min ago", left, height - 4);
    pen.textAlign = "right";
    pen.fillText("now", right, height - 4);

    const color = getComputedStyle(canvas).color;
    for (let from = 0; from < points.length; from += 1) {
      if (points[from] === null) continue;
      let to = from;
      while (to + 1 < points.length && points[to + 1] !== null) to += 1;
      pen.beginPath();
      for (let index = from; index <= to; index += 1) pen.lineTo(x(index), y(points[index]));
      pen.strokeStyle = color;
      pen.lineWidth = 2;
      pen.lineJoin = "round";
      pen.stroke();
      pen.lineTo(x(to), low);
      pen.lineTo(x(from), low);
      pen.fillStyle = color;
      pen.globalAlpha = 0.1;
      pen.fill();
      pen.globalAlpha = 1;
      from = to;
    }
    if (points.length > 0 && points.at(-1) !== null) {
      pen.beginPath();
      pen.arc(x(points.length - 1), y(points.at(-1)), 3.5, 0, 7);
      pen.fillStyle = color;
      pen.fill();
    }
  }
}

const rates = new Plot("plot-rate", 10);
const connections = new Plot("plot-connections", 4);

// ---- figures

let before = null;
let failures = 0;
let lit = false;
let wanted = null; // what the LED is to be, while the server is told so
let switched = 0;

const ask = async (path, options) => {
  const signal = AbortSignal.timeout(PATIENCE_MS);
  const answer = await fetch(path, { signal, ...options });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
};

const link = (live) => {
  document.body.classList.toggle("live", live);
  document.body.classList.toggle("gone", !live);
  show("link-text", live ? "live" : "no answer, trying again");
};

const showLed = (on) => {
  lit = on;
  element("led").setAttribute("aria-checked", String(on));
  document.body.classList.toggle("lit", on);
  show("led-state", on ? "on" : "off");
};

// The parts of a whole, as a bar and in words.
const showParts = (parts, words) => {
  for (const [id, number] of Object.entries(parts)) {
    show(id, words(number));
    const share = element(`bar-${id}`);
    share.style.flexGrow = number;
    share.hidden = number === 0;
  }
};

const showMemory = (memory) => {
  element("memory").hidden = memory === null;
  if (memory === null) return;
  const free = memory.ram_bytes - memory.static_bytes - memory.stack_bytes;
  show("ram", kib(memory.ram_bytes));
  showParts({
    statics: memory.static_bytes,
    "peak-stack": memory.stack_peak_bytes,
    stack: memory.stack_bytes - memory.stack_peak_bytes,
    "ram-free": free,
  }, kib);
};

const showNetwork = (network) => {
  element("network").hidden = network === null;
  if (network === null) return;
  const { sockets, free, lingering, held, held_total: total, dropped_total: dropped } = network;
  show("sockets", count(sockets));
  showParts({ used: sockets - free - lingering, lingering, free }, count);
  const lost = dropped > 0 ? `, ${count(dropped)} dropped` : "";
  show("held", `${count(held)} now, ${count(total)} so far${lost}`);
};

const update = ({ target, workers, figures, memory, network }) => {
  show("target", `${workers === 1 ? "1 worker" : `${workers} workers`} on ${target}`);
  show("uptime", span(figures.uptime_ms));
  for (const id of ["requests", "idle", "peak", "shed", "turns", "timers"]) {
    show(id, count(figures[id]));
  }
  show("connections", count(figures.open));
  show("longest", micros(figures.longest_turn_us));
  show("bytes-in", bytes(figures.bytes_in));
  show("bytes-out", bytes(figures.bytes_out));
  connections.add(figures.open);
  showMemory(memory);
  showNetwork(network);

  // No rate follows from the first answer, nor from a server that counts from zero again.
  if (before !== null && figures.uptime_ms > before.uptime_ms) {
    const seconds = (figures.uptime_ms - before.uptime_ms) / 1000;
    const rate = (name) => Math.max(0, figures[name] - before[name]) / seconds;
    rates.add(rate("requests"));
    show("rate", brief(rate("requests")));
    show("turns-rate", `${brief(rate("turns"))} per second`);
    show("timers-rate", `${brief(rate("timers"))} per second`);
    show("bytes-in-rate", `${bytes(rate("bytes_in"))} per second`);
    show("bytes-out-rate", `${bytes(rate("bytes_out"))} per second`);
  } else {
    rates.add(null);
  }
  before = figures;
};

const look = async () => {
  const asked = switched;
  try {
    const status = await ask("status.json");
    update(status);
    // An answer from before the last click knows less than the click's own.
    if (asked === switched) showLed(status.led);
    link(true);
    failures = 0;
  } catch {
    failures += 1;
    before = null;
    rates.add(null);
    connections.add(null);
    link(false);
  }
};

// From the start of one look to the next. After a failure it is longer each time, and never the
// same for all pages, which would all come back at once to a server that was reset.
const pause = (took) => {
  if (failures === 0) return Math.max(50, EVERY_MS - took);
  return Math.min(PAUSE_MS_MAX, EVERY_MS * 2 ** failures) * (0.5 + Math.random() / 2);
};

const run = async () => {
  for (;;) {
    const started = performance.now();
    // Nobody looks at a hidden page: it lets the server rest.
    if (!document.hidden) await look();
    const millis = pause(performance.now() - started);
    await new Promise((resolve) => setTimeout(resolve, millis));
  }
};

element("led").addEventListener("click", async () => {
  const isTelling = wanted !== null;
  wanted = !(wanted ?? lit);
  // However often it is clicked meanwhile, the request under way is followed by at most one more.
  if (isTelling) return;
  switched += 1;
  try {
    let on = null;
    while (on !== wanted) {
      on = wanted;
      showLed((await ask("led", { method: "POST", body: on ? "on" : "off" })).on);
    }
  } catch {
    link(false);
  }
  wanted = null;
  switched += 1;
});

run();
