"use strict";
(() => {
  const fold = text => text.normalize("NFD").replace(/[\u0300-\u036f]/g, "").toLowerCase();
  const readers = {
    number: text => parseFloat(text.replace(/\./g, "").replace(",", ".").replace("\u2212", "-")),
    date: text => text.replace(/^(\d\d)\/(\d\d)\/(\d{4})/, "$3$2$1"),
    text: text => text,
  };
  const collator = new Intl.Collator("pt-BR", { numeric: true });
  for (const section of document.querySelectorAll("section.listing")) {
    const table = section.querySelector("table.sortable");
    if (!table) continue;
    const body = table.tBodies[0], rows = [...body.rows], heads = [...table.tHead.rows[0].cells];
    const form = section.querySelector(".filters"), order = form.querySelector("[data-order]");
    order.add(new Option("–", ""));
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      head.replaceChildren(button);
      order.add(new Option(`${head.textContent} ↑`, `${column} up`));
      order.add(new Option(`${head.textContent} ↓`, `${column} down`));
      const sort = isDown => {
        heads.forEach(other => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", isDown ? "descending" : "ascending");
        const read = readers[head.dataset.kind], sign = isDown ? -1 : 1;
        const keyed = rows.map(row => {
          const cell = row.cells[column];
          return [cell.classList.contains("u") ? null : read(cell.textContent), row];
        });
        keyed.sort(([a], [b]) => a === null || b === null ? (a === null) - (b === null)
          : sign * (typeof a === "number" ? a - b : collator.compare(a, b)));
        body.append(...keyed.map(pair => pair[1]));
        order.value = `${column} ${isDown ? "down" : "up"}`;
      };
      button.addEventListener("click", () => sort(head.getAttribute("aria-sort") === "ascending"));
      order.addEventListener("change", () => {
        const [chosen, direction] = order.value.split(" ");
        if (order.value && Number(chosen) === column) sort(direction === "down");
      });
    });
    const search = form.querySelector("input");
    const choices = [...form.querySelectorAll("select[data-column]")], output = form.querySelector("output");
    let texts = null, waiting = 0;
    const filter = () => {
      texts ??= rows.map(row => fold([...row.cells].map(cell => cell.textContent).join(" ")));
      const words = fold(search.value).split(/\s+/).filter(Boolean);
      let shown = 0;
      rows.forEach((row, index) => {
        const isShown = words.every(word => texts[index].includes(word)) &&
          choices.every(choice => !choice.value || row.cells[choice.dataset.column].textContent === choice.value);
        row.hidden = !isShown;
        shown += isShown;
      });
      showCount(shown);
    };
    const showCount = shown => {
      const every = `${rows.length.toLocaleString("pt-BR")} ${rows.length === 1 ? "linha" : "linhas"}`;
      output.textContent = shown === rows.length ? every : `${shown.toLocaleString("pt-BR")} de ${every}`;
    };
    // 5,000 rows take half a second to lay out: not at each letter
    form.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(filter, 150); });
    form.hidden = false;
    showCount(rows.length);
  }
})();
