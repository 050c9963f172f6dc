
"use strict";
(() => {
  const make = (name, kind, parent) => {
    const element = document.createElement(name);
    if (kind) element.className = kind;
    parent?.append(element);
    return element;
  };

  const clamp = (value, low, high) => Math.max(low, Math.min(high, value));

  const setUp = (box) => {
    const width = +box.dataset.width, height = +box.dataset.height;
    let [x, y, side] = box.dataset.zoomed.split(" ").map(Number);
    const shots = [...box.querySelectorAll(".shots img")];
    if (shots.length < 2) return;
    const names = [...box.querySelectorAll(".shots b")].map((name) => name.textContent);
    const list = box.querySelector(".shots");

    const view = make("div", "view");
    const images = ["left", "right"].map((kind) => {
      const image = make("img", kind, view);
      image.draggable = false;
      return image;
    });
    make("div", "bar-line", view);
    const frame = make("div", "frame", view);
    const tags = [make("span", "tag", view), make("span", "tag far", view)];
    const sides = make("div", "sides");
    const choose = (label, chosen) => {
      const select = make("select", "");
      select.setAttribute("aria-label", label);
      shots.forEach((shot, index) => {
        const option = make("option", "", select);
        option.value = index;
        option.textContent = shot.alt;
      });
      select.value = chosen;
      return select;
    };
    // Low resolution and truth stand at the ends; what is to be judged stands between them.
    const first = shots.length > 2 ? 1 : 0;
    const selects = [choose("picture on the left", first), choose("picture on the right", first + 1)];
    const range = make("input", "");
    range.type = "range";
    range.min = 0;
    range.max = 100;
    range.step = "any";
    range.value = 50;
    range.setAttribute("aria-label", "where the left picture ends, in percent of the width");
    sides.append(selects[0], range, selects[1]);
    list.before(view, sides);

    const canvases = shots.map((shot) => {
      const canvas = document.createElement("canvas");
      canvas.setAttribute("aria-hidden", "true");
      shot.after(canvas);
      return canvas;
    });

    const draw = () => {
      x = clamp(Math.round(x), 0, Math.max(0, width - side));
      y = clamp(Math.round(y), 0, Math.max(0, height - side));
      frame.style.left = (100 * x) / width + "%";
      frame.style.top = (100 * y) / height + "%";
      frame.style.width = (100 * side) / width + "%";
      frame.style.height = (100 * side) / height + "%";
      canvases.forEach((canvas, index) => {
        const shot = shots[index];
        const pixels = Math.max(1, Math.round(canvas.clientWidth * devicePixelRatio));
        canvas.width = canvas.height = pixels;
        const context = canvas.getContext("2d");
        context.imageSmoothingEnabled = false;
        // The low resolution has fewer pixels for the same place.
        const share = shot.naturalWidth / width;
        context.drawImage(shot, x * share, y * share, side * share, side * share, 0, 0, pixels, pixels);
      });
    };
    const slide = () => view.style.setProperty("--at", range.value + "%");
    const pick = () => {
      images.forEach((image, index) => {
        image.src = shots[selects[index].value].src;
        image.alt = "";
        tags[index].textContent = names[selects[index].value];
        image.width = width;
        image.height = height;
      });
    };

    range.addEventListener("input", slide);
    selects.forEach((select) => select.addEventListener("change", pick));
    const follow = (event) => {
      const area = view.getBoundingClientRect();
      const across = (event.clientX - area.left) / area.width;
      const down = (event.clientY - area.top) / area.height;
      if (event.buttons || event.type === "pointerdown") {
        range.value = clamp(100 * across, 0, 100);
        slide();
      }
      x = across * width - side / 2;
      y = down * height - side / 2;
      draw();
    };
    view.addEventListener("pointerdown", follow);
    view.addEventListener("pointermove", follow);
    // The enlarged part itself can be dragged, on a phone too; arrow keys move it by four pixels.
    canvases.forEach((canvas) =>
      canvas.addEventListener("pointermove", (event) => {
        if (!event.buttons) return;
        x -= (event.movementX * side) / canvas.clientWidth;
        y -= (event.movementY * side) / canvas.clientHeight;
        draw();
      }),
    );
    view.tabIndex = 0;
    view.setAttribute("role", "group");
    view.setAttribute("aria-label", "The enlarged part; arrow keys move it");
    view.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [-4, 0], ArrowRight: [4, 0], ArrowUp: [0, -4], ArrowDown: [0, 4] }[event.key];
      if (!step) return;
      event.preventDefault();
      x += step[0];
      y += step[1];
      draw();
    });
    box.classList.add("ready");
    slide();
    pick();
    Promise.all(shots.map((shot) => shot.decode())).then(draw, draw);
    addEventListener("resize", draw);
  };

  document.querySelectorAll(".compare").forEach(setUp);
})();
