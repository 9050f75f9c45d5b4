-- SPDX-License-Identifier: MIT
--
-- For `make lint`: every function of docs/reference.md is among the operations that faults are
-- injected into (operations.lua). They are its headings, or what the first column of its tables
-- has, that are named as a field or a method.

local operations = require "spec.support.faults.operations"

local known = {}
for _, operation in ipairs(operations.all()) do known[operation.name] = true end

local missing, n = {}, 0
for line in io.lines "docs/reference.md" do
  local names = line:match "^###+ (.*)" or line:match "^| (`.-) |" or ""
  for name in names:gmatch "%f[%a_][%a_][%w_]*[.:][%w_.]+" do
    n = n + 1
    if not known[name] then
      missing[#missing + 1], known[name] = name, true
    end
  end
end

if n < 50 then missing[#missing + 1] = "its functions are not found in it" end
if #missing > 0 then
  io.stderr:write("docs/reference.md has what no fault is injected into; see ",
    "spec/support/faults/operations.lua:\n  ", table.concat(missing, "\n  "), "\n")
  os.exit(1)
end
