// Tables that are sorted by a click on a header, and searched by words that a row must hold.
(() => {
  for (const table of document.querySelectorAll("table.sorted")) {
    const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
    const key = (row, column) => {
      const cell = row.cells[column], value = cell.dataset.value;
      return value === undefined ? (cell.classList.contains("number") ? NaN : cell.textContent) : Number(value);
    };
    heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
      const rows = [...body.rows], numbers = rows.some(row => typeof key(row, column) === "number");
      const before = head.getAttribute("aria-sort");
      // What one looks for first is the greatest number, and the first word.
      const down = before ? before === "ascending" : numbers;
      heads.forEach(each => each.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const sign = down ? -1 : 1, missing = value => typeof value !== "number" || Number.isNaN(value);
      rows.map(row => [key(row, column), row]).sort(([a], [b]) => numbers
        ? missing(a) - missing(b) || (missing(a) ? 0 : sign * (a - b))
        : sign * String(a).localeCompare(String(b), undefined, { numeric: true })
      ).forEach(([, row]) => body.append(row));
    }));
  }
  for (const field of document.querySelectorAll("input[data-searches]")) {
    const table = document.getElementById(field.dataset.searches), rows = [...table.tBodies[0].rows];
    const texts = rows.map(row => row.textContent.toLowerCase());
    const shown = document.getElementById(`${field.dataset.searches}-shown`);
    const search = () => {
      const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      let count = 0;
      rows.forEach((row, index) => {
        row.hidden = !words.every(word => texts[index].includes(word));
        count += !row.hidden;
      });
      shown.textContent = `${count} of ${rows.length}`;
    };
    field.addEventListener("input", search);
    search();
  }
})();
