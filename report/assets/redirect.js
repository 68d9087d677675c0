// On a page that has moved: go to its new address, keeping the place and the view in the old one.

(function () {
  "use strict";

  const { href } = document.querySelector("link[rel=canonical]");
  location.replace(href + location.search + location.hash);
})();
