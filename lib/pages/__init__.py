"""Pages: what a notebook puts on a page of the site.

display.py          charts, tables and findings as blocks of HTML
picture_sheets.py   pictures, heatmaps and adversarial pictures in grids
claims.py           which differences a title, a finding or a sentence may claim
wording.py          numbers and names as pages write them
palette.py          the name and the colour that a thing has on every page
markdown.py         text from elsewhere in Markdown
links.py            the addresses of the site's pages
notebook.py         the title and the finding of a notebook
"""
