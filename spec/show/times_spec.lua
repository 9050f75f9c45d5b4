-- SPDX-License-Identifier: MIT
--
-- Fields that are times, in describe().

local bpf = require "luabpf"
local helper = require "spec.support.helper"
local times = require "luabpf.show.times"

describe("times", function()
  after_each(helper.close_all)

  it("are spans in the largest unit", function()
    for ns, text in pairs { [0] = "0 s", [5] = "5.0 ns", [3200000000] = "3.2 s",
      [5400000000000] = "1.5 h", [90000000000] = "1.5 min", [2500] = "2.5 us" } do
      assert.equal(text, times.span(ns))
    end
  end)

  it("are told in a map's description, of fields that are called so and near now", function()
    local map = helper.map { value = { "u64 last_seen", "u64 bytes", "u64 created",
      { name = "in", "u64 expires" }, "u32 start", "u64 seen_bits" } }
    map:update(1, { last_seen = bpf.now() - 3200000000, bytes = bpf.now(),
      created = os.time() * 10^9,
      ["in"] = { expires = bpf.now() + 5 * 10^9 }, start = 5, seen_bits = 7 })
    local text = tostring(map:describe())
    assert.matches("\nvalue.last_seen of the first entry: 3.%d s ago by bpf.now%(%)\n", text)
    assert.matches("\nvalue.created of the first entry: %S+ %a+ ago by the wall clock\n", text)
    assert.matches("\nvalue.in.expires of the first entry: in [45].%d s by bpf.now%(%)$", text)
    assert.is_nil(text:find "value.bytes of")
    assert.is_nil(text:find "value.start of")
    assert.is_nil(text:find "value.seen_bits of")
  end)

  it("are not looked for where reading takes an entry out", function()
    local queue = helper.map { type = "queue", value = { "u64 last_seen" } }
    queue:push { last_seen = bpf.now() }
    assert.is_nil(tostring(queue:describe()):find "ago")
    assert.same("table", type(queue:pop()))
  end)
end)
