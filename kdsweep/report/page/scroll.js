// Tables and pictures that are wider than the page: the edge behind which something is hidden is in shadow, a line
// below says how to reach them, and the keyboard reaches what scrolls.
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
    const sizes = new ResizeObserver(look);
    sizes.observe(table);
    // A picture gets its width when it is drawn.
    for (const inside of table.children) sizes.observe(inside);
    look();
  }
})();
