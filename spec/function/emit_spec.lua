-- SPDX-License-Identifier: MIT
--
-- Code: sets that are searched, and what the verifier and the checker take.

local agree = require "spec.support.agree"

local map = agree.map()

describe("code", function()
  it("searches sets of all sizes", function()
    for size = 0, 200, 23 do
      local set = {}
      for i = 1, size do set[i * 3 % 251 - 20] = true end
      agree.on(map, function(_, v) return set[v.sub.x] or set[v.packets] end, true)
    end
  end)
end)
