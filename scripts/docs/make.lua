-- SPDX-License-Identifier: MIT
--
-- Makes what is written from the doc comments: the reference, the declarations for editors, the
-- texts of help, and the options that are checked at run time.
--
--   lua5.4 scripts/docs/make.lua FILE [--check]
--
-- FILE is what dump.lua wrote. With --check nothing is written: each file that differs from what
-- would be is named, and whether there are any is the exit status.

package.path = "scripts/docs/?.lua;" .. package.path

local model = require "model"

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

local function write(path, text)
  local file <close> = assert(io.open(path, "w"))
  assert(file:write(text))
end

-- The files, by path.
local function made_from(all)
  local files = {
    ["docs/reference.md"] = require "reference"(all, read "scripts/docs/template.md"),
    ["luabpf/bind/help_texts.h"] = require "help"(all),
    ["lua/luabpf/base/declared.lua"] = require "declared"(all),
    ["types/luabpf.lua"] = require "types"(all, "luabpf"),
  }
  for _, name in ipairs(model.MODULES) do
    files[("types/%s.lua"):format(name)] = require "types"(all, name)
  end
  return files
end

local function main(path, flag)
  local all, complaints = model.read(dofile(path))
  table.sort(complaints)
  for _, text in ipairs(complaints) do io.stderr:write(text, "\n") end
  local failed = #complaints > 0
  for name, text in pairs(made_from(all)) do
    if flag ~= "--check" then
      write(name, text)
    elseif read(name) ~= text then
      io.stderr:write(name, ": differs from what `make docs` makes of the comments\n")
      failed = true
    end
  end
  os.exit(not failed)
end

main(...)
