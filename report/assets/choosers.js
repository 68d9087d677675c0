// Puts a select box above each group of panels of which one is open (lib/pages/display.py).

(function (daybook) {
  "use strict";

  for (const chooser of document.querySelectorAll(".daybook-chooser")) {
    const panels = [...chooser.querySelectorAll(":scope > .daybook-choice")];
    const options = panels.map((panel, index) =>
      daybook.element("option", { value: index }, panel.querySelector("summary").textContent),
    );
    const select = daybook.element("select", { id: `${chooser.id}-select` }, ...options);
    const choose = () => panels.forEach((panel, index) => (panel.open = index === +select.value));
    select.addEventListener("change", choose);
    const label = daybook.element("label", { for: select.id }, `${chooser.dataset.what} `);
    chooser.prepend(daybook.element("div", { class: "daybook-controls" }, label, select));
    chooser.classList.add("daybook-chosen"); // hides the titles
    choose(); // a browser may restore an earlier choice
  }
})(window.daybook);
