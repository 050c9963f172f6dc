
"use strict";
(() => {
  const tip = document.getElementById("tip");
  const reach = 18; // pixels of the screen
  let here = null;

  const hide = () => {
    here?.classList.remove("here");
    here = null;
    tip.hidden = true;
  };

  const show = (mark, x, y) => {
    if (here !== mark) {
      here?.classList.remove("here");
      here = mark;
      mark.classList.add("here");
      tip.textContent = mark.dataset.t;
    }
    tip.hidden = false;
    const { offsetWidth: width, offsetHeight: height } = tip;
    tip.style.left = Math.max(4, Math.min(x + 14, innerWidth - width - 4)) + "px";
    tip.style.top = (y + 18 + height > innerHeight ? y - height - 12 : y + 18) + "px";
  };

  const showAtMark = (mark) => {
    const box = mark.getBoundingClientRect();
    show(mark, box.left + box.width / 2, box.top + box.height / 2);
  };

  for (const chart of document.querySelectorAll("svg.chart")) {
    const dots = [...chart.querySelectorAll("circle[data-t]")];
    const marks = dots.length ? dots : [...chart.querySelectorAll("path[data-t]")];
    if (!marks.length) {
      chart.removeAttribute("tabindex");
      continue;
    }
    const places = dots.map((dot) => [dot.cx.baseVal.value, dot.cy.baseVal.value]);
    chart.addEventListener("pointermove", (event) => {
      if (!dots.length) {
        event.target.dataset.t ? show(event.target, event.clientX, event.clientY) : hide();
        return;
      }
      const box = chart.getBoundingClientRect();
      const scale = box.width / chart.viewBox.baseVal.width;
      const x = (event.clientX - box.left) / scale, y = (event.clientY - box.top) / scale;
      let best = -1, least = (reach / scale) ** 2;
      places.forEach(([cx, cy], index) => {
        const distance = (cx - x) ** 2 + (cy - y) ** 2;
        if (distance <= least) [best, least] = [index, distance];
      });
      best < 0 ? hide() : show(dots[best], event.clientX, event.clientY);
    });
    chart.addEventListener("pointerleave", hide);
    chart.addEventListener("blur", hide);
    // Dots lie in the order of drawing; a keyboard goes from left to right.
    const order = dots.length
      ? dots.map((dot, index) => index).sort((a, b) => places[a][0] - places[b][0])
      : marks.map((mark, index) => index);
    let at = -1;
    chart.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (event.key === "Escape") hide();
      if (!step) return;
      event.preventDefault();
      at = Math.max(0, Math.min(order.length - 1, at + step));
      showAtMark(marks[order[at]]);
    });
  }
  addEventListener("scroll", hide, { passive: true });
  addEventListener("beforeprint", hide);
})();
