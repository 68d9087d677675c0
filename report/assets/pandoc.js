// The plain edition's theme switch, menus and tabs; in the full edition they are Quarto's.

(function () {
  "use strict";

  const remembered = () => {
    try {
      return localStorage.getItem("daybook-theme");
    } catch {
      return null;
    }
  };
  const remember = (theme) => {
    try {
      localStorage.setItem("daybook-theme", theme);
    } catch {
      /* a browser may forbid it */
    }
  };

  // Before anything is painted, so that a dark page does not flash.
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  setTheme(remembered() || system);

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
      remember(theme);
    });

    // A menu closes when one clicks elsewhere or presses Escape.
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
      tab.addEventListener("click", () => choose(index));
      tab.addEventListener("keydown", (event) => {
        const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        if (!step) return;
        const next = (index + step + tabs.length) % tabs.length;
        choose(next);
        tabs[next].focus();
      });
      list.append(tab);
      return tab;
    });
    function choose(chosen) {
      tabs.forEach((tab, index) => {
        tab.setAttribute("aria-selected", String(index === chosen));
        tab.tabIndex = index === chosen ? 0 : -1;
        panels[index].hidden = index !== chosen;
      });
    }
    box.prepend(list);
    choose(0);
  }
})();
