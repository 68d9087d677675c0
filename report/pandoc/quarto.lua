-- Quarto's Markdown for Pandoc: callouts, tabsets, links between sources.

local stringify = pandoc.utils.stringify

-- Links between sources become links between pages.
function Link(link)
  if not link.target:match("^%a+:") then
    local path, place = link.target:match("^([^#]*)(.*)$")
    local page, count = path:gsub("%.ipynb$", ".html")
    if count == 0 then page, count = path:gsub("%.qmd$", ".html") end
    if count == 0 then page = path:gsub("%.md$", ".html") end
    link.target = page .. place
  end
  return link
end

-- A callout's first heading is its title; without a heading the title is its kind.
local function callout(div, kind)
  local title = kind:sub(1, 1):upper() .. kind:sub(2)
  local blocks = div.content
  if #blocks > 0 and blocks[1].t == "Header" then
    title = stringify(blocks[1])
    blocks:remove(1)
  elseif div.attributes.title then
    title = div.attributes.title
  end
  local heading = pandoc.Para({ pandoc.Strong({ pandoc.Str(title) }) })
  local content = { heading, table.unpack(blocks) }
  if div.attributes.collapse then
    local open = div.attributes.collapse == "false" and " open" or ""
    content = { pandoc.RawBlock("html", "<details" .. open .. "><summary>"), pandoc.Plain(heading.content),
      pandoc.RawBlock("html", "</summary>"), pandoc.Div(blocks), pandoc.RawBlock("html", "</details>") }
  end
  return pandoc.Div(content, pandoc.Attr("", { "callout", "callout-" .. kind }))
end

-- A tabset's headings become the tabs. The page's script shows one panel at a time; without it all
-- panels are visible one below the other.
local function tabset(div)
  local panels = pandoc.Blocks({})
  for _, block in ipairs(div.content) do
    if block.t == "Header" then
      local attr = pandoc.Attr("", { "tab-panel" }, { ["data-title"] = stringify(block) })
      panels:insert(pandoc.Div({}, attr))
    elseif #panels > 0 then
      panels[#panels].content:insert(block)
    end
  end
  return pandoc.Div(panels, pandoc.Attr(div.identifier, { "tabset" }))
end

function Div(div)
  if div.classes:includes("panel-tabset") then return tabset(div) end
  for _, class in ipairs(div.classes) do
    local kind = class:match("^callout%-(%a+)$")
    if kind then return callout(div, kind) end
  end
end
