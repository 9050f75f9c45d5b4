-- SPDX-License-Identifier: MIT
--
-- How failures of the system travel (lua/luabpf/base/errors.lua).

local core = require "luabpf.core"
local errors = require "luabpf.base.errors"

-- The error object that f raises.
local function raised(f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  return err
end

describe("error objects", function()
  it("say what failed when they are printed, and carry what was done until then", function()
    local err = raised(errors.throw, "conns: batches: no", core.errno.EPERM, { partial = 7 })
    assert.equal("conns: batches: no", tostring(err))
    assert.equal(core.errno.EPERM, err.errno)
    assert.equal(7, err.partial)
  end)

  it("become nil, message, errno and the partial result", function()
    assert.same({ nil, "no", 1, "half" },
      { errors.caught("half", pcall(errors.throw, "no", 1)) })
    local function works() return "a", nil, 3 end
    assert.same({ "a", nil, 3 }, { errors.caught("half", pcall(works)) })
  end)

  it("are raised again where they are none of the system's", function()
    local mine = { message = "mine", errno = 1 }
    assert.equal(mine, raised(errors.caught, nil, pcall(error, mine)))
    assert.equal("text", raised(errors.caught, nil, pcall(error, "text", 0)))
    local err = raised(errors.caught, nil, pcall(errors.throw, "without an errno"))
    assert.equal("without an errno", err.message)
  end)
end)

describe("what a map is called in messages", function()
  it("is its name, or its id where it has none", function()
    assert.equal("conns", errors.label { name = "conns", id = 7 })
    assert.equal("map 7", errors.label { name = "", id = 7 })
    assert.same({ nil, "conns: drain: not supported by array maps", core.errno.ENOTSUPP },
      { errors.unsupported({ name = "conns", id = 7, type = "array" }, "drain") })
  end)
end)
