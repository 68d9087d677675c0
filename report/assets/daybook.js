// Shared by the scripts of all pages: the site's root, the theme, loading of scripts, CSV.

window.daybook = window.daybook || {};

(function (daybook) {
  "use strict";

  // This file is <root>/report/assets/daybook.js; the site may be in any folder of any host.
  const assets = new URL(".", document.currentScript.src);
  daybook.root = new URL("../../", assets);
  daybook.assets = assets;
  daybook.specs = daybook.specs || {};
  daybook.histories = daybook.histories || {};

  // The path of this page in the site, such as "report/runs.html".
  daybook.pagePath = function () {
    const path = location.href.replace(/[?#].*$/, "").slice(daybook.root.href.length);
    return path === "" || path.endsWith("/") ? `${path}index.html` : path;
  };

  // Resolves when all of the page's own scripts have run.
  const parsed = new Promise((resolve) => {
    if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", resolve);
    else resolve();
  });

  // Load a script once. Data is loaded as a script too, because a page at file:// may not fetch.
  const loading = new Map();
  daybook.load = function (url) {
    const address = new URL(url, document.baseURI).href;
    if (!loading.has(address)) {
      loading.set(
        address,
        parsed.then(
          () =>
            new Promise((resolve, reject) => {
              const script = document.createElement("script");
              script.src = address;
              script.onload = resolve;
              script.onerror = () => {
                loading.delete(address);
                reject(new Error(`could not load ${address}`));
              };
              document.head.append(script);
            }),
        ),
      );
    }
    return loading.get(address);
  };

  // The theme is a class of <body>, which Quarto and the plain edition both set.
  daybook.isDark = () => document.body.classList.contains("quarto-dark");
  daybook.onTheme = function (listener) {
    let dark = daybook.isDark();
    new MutationObserver(() => {
      if (daybook.isDark() !== dark) {
        dark = daybook.isDark();
        listener(dark);
      }
    }).observe(document.body, { attributes: true, attributeFilter: ["class"] });
  };

  // The address of a link in data, which gives only a page's file name: all studies share the page
  // of runs, and the others are beside this page.
  daybook.pageAddress = (href) =>
    new URL(
      href,
      href.startsWith("runs.html") ? new URL("report/", daybook.root) : document.baseURI,
    );

  // Where a link or a picture may lead; null for a script as an address, such as "javascript:".
  daybook.address = function (target) {
    const schemes = ["http:", "https:", "file:", "blob:"];
    try {
      const address = new URL(target, document.baseURI);
      return schemes.includes(address.protocol) ? target : null;
    } catch {
      return null;
    }
  };

  // An element with attributes and children, for pages that are built in the browser. Strings are
  // text and never markup; all pages make their elements here.
  daybook.element = function (name, attributes = {}, ...children) {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
      else if (key === "href" || key === "src") {
        const address = daybook.address(value);
        if (address !== null) element.setAttribute(key, address);
      } else if (value === true) element.setAttribute(key, "");
      else if (value !== false && value !== null && value !== undefined)
        element.setAttribute(key, value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  };

  // The button that closes a dialog.
  daybook.closeButton = function (dialog) {
    return daybook.element(
      "button",
      {
        type: "button",
        class: "daybook-button quiet",
        "aria-label": "Close",
        onclick: () => dialog.close(),
      },
      "×",
    );
  };

  // Rows of plain objects as CSV (RFC 4180), the columns in the order in which they first appear.
  daybook.csv = function (rows) {
    const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
    const cell = (value) => {
      if (value === null || value === undefined) return "";
      const text = typeof value === "object" ? JSON.stringify(value) : String(value);
      return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
    };
    return (
      [columns, ...rows.map((row) => columns.map((column) => row[column]))]
        .map((values) => values.map(cell).join(","))
        .join("\r\n") + "\r\n"
    );
  };

  // A link that downloads what `text()` returns.
  daybook.downloadLink = function (label, filename, text, type = "text/csv") {
    const link = daybook.element("a", { href: "#", download: filename }, label);
    link.addEventListener("click", () => {
      URL.revokeObjectURL(link.href);
      link.href = URL.createObjectURL(new Blob([text()], { type }));
    });
    return link;
  };

  daybook.percent = (value, digits = 1) =>
    value === null || value === undefined ? "–" : `${(100 * value).toFixed(digits)} %`;
})(window.daybook);
