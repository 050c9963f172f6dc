
"use strict";
(() => {
  const seconds = 2;
  const known = document.body.dataset.live;
  const ask = async () => {
    try {
      const answer = await fetch("version", { cache: "no-store" });
      if (answer.ok && (await answer.text()) !== known) location.reload();
    } catch {
      // The server is gone; it may come back.
    }
  };
  setInterval(ask, 1000 * seconds);
})();
