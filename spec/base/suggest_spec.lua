-- SPDX-License-Identifier: MIT

local suggest = require "luabpf.base.suggest"

describe("a name that there is not", function()
  it("may be one that is close", function()
    local names = { "update", "update_batch", "lookup", "pin" }
    assert.equal("update", suggest.closest("updat", names))
    assert.equal("update", suggest.closest("Update", names))
    assert.equal("lookup", suggest.closest("lokup", names))
    assert.is_nil(suggest.closest("frobnicate", names))
    assert.equal("; did you mean 'pin'?", suggest.ending("pinn", names))
    assert.equal("", suggest.ending("frobnicate", names))
  end)

  it("of two letters is not any other", function()
    assert.is_nil(suggest.closest("ab", { "cd" }))
  end)
end)
