"""The website: its pages, scripts and styles, and `python -m report`, which renders it.

__main__.py           the command: prepare, render, finish, replace the old site
studies.py            the studies of the site, and its start page
prepare.py            runs, notebooks and Vega as the files that the pages load
quarto_edition.py     the site by Quarto
pandoc_edition.py     the same site by Pandoc, where Quarto is not installed
notebook_markdown.py  executed notebooks as Markdown, for Pandoc
navigation.py         menus between the pages of a study, and between studies
finish.py             corrections of the rendered pages, for both editions
processes.py          other programs, with a time limit
server.py             the finished site over HTTP
*.qmd                 the pages that are not notebooks
assets/               scripts and styles; those of one page in a folder of its own
pandoc/               template and filter of the Pandoc edition
theme/                Quarto's light and dark theme
vendor/               Tabulator, which draws the table of runs
"""
