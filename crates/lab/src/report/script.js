"use strict";

// Light and dark: the button turns the page over and remembers nothing.
const root = document.documentElement;
const theme = document.querySelector(".theme");
theme.hidden = false;
theme.addEventListener("click", () => {
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  root.dataset.theme = (root.dataset.theme || system) === "dark" ? "light" : "dark";
});

// The command can be copied; where the browser refuses, it is selected instead.
for (const button of document.querySelectorAll(".copy")) {
  const code = button.parentElement.querySelector("code");
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(code);
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
}

// Numbers, written as the page writes them.
const minus = (text) => text.replaceAll("-", "\u2212");
const trimmed = (text) => text.includes(".") ? text.replace(/\.?0+$/, "") : text;
function count(value) {
  if (Math.abs(value) >= 1e6) return trimmed((value / 1e6).toFixed(2)) + "M";
  const [whole, rest] = trimmed(value.toFixed(2)).split(".");
  return whole.replace(/\B(?=(\d{3})+$)/g, ",") + (rest ? "." + rest : "");
}
function measured(value, percent) {
  if (percent) return (100 * value).toFixed(1) + "%";
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size < 1e-3 || size >= 1e5) {
    const [mantissa, exponent] = value.toExponential(2).split("e");
    return minus(trimmed(mantissa) + "e" + Number(exponent));
  }
  const decimals = Math.min(6, Math.max(0, 3 - Math.floor(Math.log10(size))));
  return minus(value.toFixed(decimals));
}

// The index of the value nearest to x in a rising list.
function nearest(list, x) {
  let low = 0, high = list.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (list[middle] < x) low = middle; else high = middle;
  }
  return Math.abs(list[low] - x) <= Math.abs(list[high] - x) ? low : high;
}

// Charts: the legend shows the values at the pointer, the finger, or where the arrow keys went.
for (const figure of document.querySelectorAll(".chart")) {
  const data = JSON.parse(figure.dataset.chart);
  const plot = figure.querySelector(".plot");
  const svg = plot.querySelector("svg");
  const cursor = svg.querySelector(".cursor");
  const values = figure.querySelectorAll(".value");
  const at = figure.querySelector(".at b");
  const [x0, x1] = data.x, [y0, y1] = data.y;
  const last = { values: [...values].map((v) => v.textContent), at: at.textContent };
  const longest = data.series.reduce((a, b) => b.x.length > a.x.length ? b : a).x;
  let index = longest.length - 1;

  const along = (x) => data.decades ? Math.log(x / x0) / Math.log(x1 / x0) : (x - x0) / (x1 - x0);
  const left = (x) => 100 * along(x);
  const top = (y) => {
    const place = data.log ? Math.log(y / y0) / Math.log(y1 / y0) : (y - y0) / (y1 - y0);
    return 100 * (1 - Math.min(1, Math.max(0, place)));
  };
  function draw(tag, attributes) {
    const node = document.createElementNS(svg.namespaceURI, tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    cursor.append(node);
  }
  function show(i) {
    index = Math.min(longest.length - 1, Math.max(0, i));
    const x = longest[index];
    cursor.replaceChildren();
    draw("line", { x1: left(x) + "%", x2: left(x) + "%", y1: 0, y2: "100%" });
    data.series.forEach((series, s) => {
      const k = nearest(series.x, x);
      values[s].textContent = measured(series.y[k], data.percent);
      draw("circle", { class: series.class, cx: left(series.x[k]) + "%", cy: top(series.y[k]) + "%", r: 4 });
    });
    at.textContent = data.decades ? measured(x, false) : count(x);
  }
  function rest() {
    cursor.replaceChildren();
    values.forEach((value, s) => { value.textContent = last.values[s]; });
    at.textContent = last.at;
    index = longest.length - 1;
  }
  function follow(event) {
    const box = svg.getBoundingClientRect();
    const part = (event.clientX - box.left) / box.width;
    show(nearest(longest, data.decades ? x0 * (x1 / x0) ** part : x0 + (x1 - x0) * part));
  }
  plot.addEventListener("pointermove", follow);
  plot.addEventListener("pointerdown", follow);
  plot.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") rest(); });
  plot.addEventListener("blur", rest);
  plot.addEventListener("keydown", (event) => {
    const stride = Math.max(1, Math.round(longest.length / (event.shiftKey ? 10 : 100)));
    const moves = { ArrowLeft: index - stride, ArrowRight: index + stride, Home: 0, End: longest.length };
    if (event.key in moves) { event.preventDefault(); show(moves[event.key]); }
    if (event.key === "Escape") rest();
  });
}

// The confusion matrix: a sentence about the cell under the pointer.
for (const table of document.querySelectorAll(".confusion")) {
  const readout = table.parentElement.querySelector("output");
  const heads = table.tHead.rows[0].cells;
  const clear = () => {
    for (const cell of table.querySelectorAll(".on, .at-pointer")) cell.classList.remove("on", "at-pointer");
  };
  table.addEventListener("pointerover", (event) => {
    const cell = event.target.closest("tbody td");
    if (!cell) return;
    clear();
    const row = cell.parentElement.cells;
    row[0].classList.add("on");
    heads[cell.cellIndex].classList.add("on");
    cell.classList.add("at-pointer");
    const verb = cell.cellIndex === cell.parentElement.rowIndex ? "recognised as" : "taken for";
    readout.textContent =
      `${row[0].textContent} ${verb} ${heads[cell.cellIndex].textContent}: ${cell.dataset.n} of ${row[0].dataset.n}`;
  });
  table.addEventListener("pointerleave", (event) => {
    if (event.pointerType !== "mouse") return;
    clear();
    readout.textContent = "";
  });
}
