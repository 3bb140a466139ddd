// Tables that are wider than the page: the edge behind which columns are hidden is in shadow, a line
// below says how to reach them, and the keyboard reaches the table.
(() => {
  for (const box of document.querySelectorAll(".scrolls")) {
    const table = box.firstElementChild, hint = box.nextElementSibling;
    const look = () => {
      const left = table.scrollLeft, hidden = table.scrollWidth - table.clientWidth;
      box.classList.toggle("more-left", left > 1);
      box.classList.toggle("more-right", hidden - left > 1);
      hint.hidden = hidden <= 1;
      if (hidden > 1 || table.scrollHeight > table.clientHeight + 1) table.tabIndex = 0;
      else table.removeAttribute("tabindex");
    };
    table.addEventListener("scroll", look, { passive: true });
    new ResizeObserver(look).observe(table);
    look();
  }
})();
