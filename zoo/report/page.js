"use strict";
// Values at the pointer: each chart carries its points in data-chart.
for (const svg of document.querySelectorAll("svg[data-chart]")) {
  const chart = JSON.parse(svg.dataset.chart);
  const line = svg.querySelector(".pointer");
  const said = svg.parentElement.querySelector("output");
  const places = [...new Set(chart.series.flatMap((one) => one.x))].sort((a, b) => a - b);
  const [left, right] = chart.box;
  const [first, last] = chart.range;
  const at = (x) => left + (last > first ? (x - first) / (last - first) : 0.5) * (right - left);
  const number = (value) => String(Number(value.toPrecision(5)));
  let chosen = -1;
  const show = (index) => {
    chosen = Math.max(0, Math.min(places.length - 1, index));
    const x = places[chosen];
    line.setAttribute("x1", at(x));
    line.setAttribute("x2", at(x));
    line.style.visibility = "visible";
    const values = chart.series
      .filter((one) => one.x.includes(x))
      .map((one) => `${one.name} ${number(one.y[one.x.indexOf(x)])}`);
    said.textContent = `${chart.x} ${number(x)}: ${values.join(", ")}`;
  };
  const nearest = (event) => {
    const box = svg.getBoundingClientRect();
    const wanted = ((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width;
    let best = 0;
    places.forEach((x, i) => {
      if (Math.abs(at(x) - wanted) < Math.abs(at(places[best]) - wanted)) best = i;
    });
    show(best);
  };
  const hide = () => {
    chosen = -1;
    line.style.visibility = "hidden";
    said.textContent = "";
  };
  svg.addEventListener("pointermove", nearest);
  svg.addEventListener("pointerdown", nearest);
  svg.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && hide());
  svg.addEventListener("blur", hide);
  svg.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    show(chosen < 0 ? (step > 0 ? 0 : places.length - 1) : chosen + step);
  });
}
