-- SPDX-License-Identifier: MIT
--
-- The short form of the soak; `make soak` runs it for as long as one wants.

local soak = require "spec.support.soak"

describe("a soak", function()
  it("of two seconds loses nothing, repeats nothing, leaks nothing #resident", function()
    local result = soak.run(2)
    assert(result.churned > 10 and result.drained > 1000 and result.events > 20,
      "the other processes were at work")
  end)
end)
