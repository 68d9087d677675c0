"""Names that would become script or markup where a page takes them for more than text."""

STRINGS = (
    '<img src=x onerror="window.hacked=1">',
    '"><svg onload=window.hacked=1>',
    "</script><script>window.hacked=1</script>",
    "javascript:window.hacked=1",
    "[x](javascript:window.hacked=1)",
    "`<b onclick=window.hacked=1>x</b>`{=html}",
    "{{< video javascript:window.hacked=1 >}}",
    r"$\href{javascript:window.hacked=1}{x}$",
    "${window.hacked=1}",
    "{{< env HOME >}}",
    "::: {onclick=window.hacked=1}",
    "- x <javascript:window.hacked=1> 'y' -- z...",
    "' + (window.hacked=1) + '",
    "![x](https://m.example/x.png) <https://m.example> www.m.example",
)
