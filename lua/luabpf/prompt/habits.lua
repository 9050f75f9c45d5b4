-- SPDX-License-Identifier: MIT
--
-- What hands type that know other prompts: help without quotes, and the words that leave those.
-- Asked where a line is no Lua, or a name that nothing has.

local habits = {}

local LEAVES <const> = { quit = true, exit = true, ["quit()"] = true, ["exit()"] = true,
  ["\\q"] = true, [".quit"] = true, [".exit"] = true, [":q"] = true }

-- What a line stands for.
-- @tparam string text
-- @tparam function is_name whether a name is that of a local or a global
-- @treturn string|nil the Lua that it means
-- @treturn string|nil what is said in its place
function habits.meant(text, is_name)
  local line = text:match "^%s*(.-)[%s;]*$"
  local word = line:match "^%a+"
  if LEAVES[line] and not (word and is_name(word)) then return nil, "Ctrl-D leaves" end
  if line == "?" or line == "\\?" or line == ".help" or line == "\\h" then return "help()" end
  local topic = line:match "^help%s+([%a_][%w_.:]*)$" or line:match "^%??%s*([%a_][%w_.:]*)%s*%?$"
    or line:match "^%?%s*([%a_][%w_.:]*)$"
  return topic and ('help "%s"'):format(topic) or nil
end

return habits
