-- SPDX-License-Identifier: MIT
--
-- The wrong versions of the compiler that the fuzz is tried on (spec/mutants): what each
-- changes is there, once.

local mutants = require "spec.mutants.list"

describe("each mutant", function()
  it("changes something that is there", function()
    for _, mutant in ipairs(mutants) do
      local folder = mutant[2]:find "/" and "" or "function/"
      local file <close> = assert(io.open(("lua/luabpf/%s%s.lua"):format(folder, mutant[2])))
      local text = file:read "a"
      local _, last = text:find(mutant[3], 1, true)
      assert(last, mutant[1] .. ": its text is not in " .. mutant[2])
      assert.is_nil(text:find(mutant[3], last + 1, true), mutant[1])
      assert.not_equal(mutant[3], mutant[4])
    end
  end)
end)
