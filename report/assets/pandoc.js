// Theme switch, menus and tabs of the Pandoc edition; in the other edition Quarto has its own.

(function () {
  "use strict";

  const storedTheme = () => {
    try {
      return localStorage.getItem("daybook-theme");
    } catch {
      return null;
    }
  };
  const storeTheme = (theme) => {
    try {
      localStorage.setItem("daybook-theme", theme);
    } catch {
      /* some browsers forbid it */
    }
  };

  // Before the first paint, so that a dark page does not flash.
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  setTheme(storedTheme() || system);

  function setTheme(theme) {
    document.body.classList.toggle("quarto-dark", theme === "dark");
    document.body.classList.toggle("quarto-light", theme !== "dark");
    document.querySelector(".theme-toggle")?.setAttribute("aria-pressed", String(theme === "dark"));
  }

  document.addEventListener("DOMContentLoaded", () => {
    const button = document.querySelector(".theme-toggle");
    setTheme(document.body.classList.contains("quarto-dark") ? "dark" : "light");
    button.addEventListener("click", () => {
      const theme = document.body.classList.contains("quarto-dark") ? "light" : "dark";
      setTheme(theme);
      storeTheme(theme);
    });

    // A click elsewhere or Escape closes a menu.
    const menus = [...document.querySelectorAll(".bar details")];
    document.addEventListener("click", (event) => {
      for (const menu of menus) if (!menu.contains(event.target)) menu.open = false;
    });
    document.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      for (const menu of menus.filter((each) => each.open)) {
        menu.open = false;
        menu.querySelector("summary").focus();
      }
    });

    document.querySelectorAll(".tabset").forEach(tabset);
  });

  // Tabs as the ARIA Authoring Practices describe them.
  let tabsets = 0;
  function tabset(box) {
    const panels = [...box.querySelectorAll(":scope > .tab-panel")];
    const list = document.createElement("div");
    list.setAttribute("role", "tablist");
    tabsets += 1;
    const tabs = panels.map((panel, index) => {
      const tab = document.createElement("button");
      tab.type = "button";
      tab.textContent = panel.dataset.title;
      tab.id = `tab-${tabsets}-${index}`;
      panel.id = panel.id || `panel-${tabsets}-${index}`;
      tab.setAttribute("role", "tab");
      tab.setAttribute("aria-controls", panel.id);
      panel.setAttribute("role", "tabpanel");
      panel.setAttribute("aria-labelledby", tab.id);
      tab.addEventListener("click", () => select(index));
      tab.addEventListener("keydown", (event) => {
        const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        if (!step) return;
        const next = (index + step + tabs.length) % tabs.length;
        select(next);
        tabs[next].focus();
      });
      list.append(tab);
      return tab;
    });
    function select(selected) {
      tabs.forEach((tab, index) => {
        tab.setAttribute("aria-selected", String(index === selected));
        tab.tabIndex = index === selected ? 0 : -1;
        panels[index].hidden = index !== selected;
      });
    }
    box.prepend(list);
    select(0);
  }
})();
