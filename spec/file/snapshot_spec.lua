-- SPDX-License-Identifier: MIT
--
-- Snapshots: the same entries and answers as the map's, in memory and from files,
-- without the map; damage of every byte. The file's engine has a test of its own,
-- spec/engine/snapfile.c.

local bpf = require "luabpf"
local core = require "luabpf.core"
local helper = require "spec.support.helper"
local json = require "luabpf.file.json"
local snapshot = require "luabpf.file.snapshot"
local support = require "spec.support.snapshots"

local random, random_bytes, new_path, clean_up, save, read, write, text_of, collect, structs,
  message_of = support.random, support.random_bytes, support.new_path, support.clean_up,
  support.save, support.read, support.write, support.text_of, support.collect, support.structs,
  support.message_of

describe("a snapshot", function()
  after_each(clean_up)

  for _, kind in ipairs(helper.types) do
    it("of a map of type " .. (kind.label or kind.type) .. " has its entries", function()
      local map = helper.make(kind, 300)
      map:update_batch(helper.entries(kind, 0, 199))
      local taken <close> = assert(map:snapshot { batch_size = 64 })
      local all, n = collect(map:entries())
      assert.same(all, (collect(taken:entries())))
      assert.same(all, (collect(taken:entries { batch_size = 7 })))
      assert.equal(n, #taken)
      assert.equal(n, taken:count())
      assert.equal(n, taken:header().entries)
    end)
  end

  it("stays as it is when the map changes", function()
    local map = structs(50)
    local all = collect(map:entries())
    local taken <close> = map:snapshot()
    map:clear()
    map:close()
    assert.same(all, (collect(taken:entries())))
    assert.equal(50, #taken:head(100))
  end)

  it("says what it is of", function()
    local map = structs(20, { name = helper.name(), flags = { "no_prealloc" } })
    local info, taken <close> = map:info(), map:snapshot()
    local header, described = taken:header(), map:describe()
    for _, name in ipairs { "type", "name", "id", "key_size", "value_size", "max_entries",
      "map_flags", "map_extra", "flags" } do
      assert.same(info[name], header[name], name)
    end
    assert.same(described.key, header.key)
    assert.same(described.value, header.value)
    assert.equal(core.boot_id(), header.boot_id)
    assert.equal(0, header.ncpu)
    assert.near(os.time(), header.time, 60)
    assert.near(bpf.boottime(), header.boottime, 60e9)
    assert.is_nil(header.damage)
    assert.matches("no_prealloc", tostring(header))
    assert.matches("value%.inner%.text%s+char", tostring(taken:describe()))
    assert.matches("10%.0%.0%.%d+", tostring(taken:head(3)))
    assert.matches("20 entries", tostring(taken))
  end)

  it("of an empty map has no entries", function()
    local taken <close> = helper.map():snapshot()
    assert.equal(0, #taken)
    assert.same({}, (collect(taken:entries())))
    assert.equal(0, taken:count("value > 0"))
  end)

  it("keeps what matches", function()
    local map = structs(100)
    local some <close> = map:snapshot { where = "value.bytes <= $most", params = { most = 30000 } }
    assert.equal(30, #some)
    assert.equal("value.bytes <= $most", some:header().where)
    local by_function <close> = map:snapshot { where = function(key) return key.port > 90 end }
    local columns <close> = map:snapshot { where = function(key) return key.port == 90 end,
      columns = "key.port + $n as n", params = { n = 7 } }
    for _, value in columns:entries() do assert.equal(97, value.n) end
    assert.equal(1, #columns)
    assert.equal(10, #by_function)
    assert.equal(10, (by_function:count("key.port > 90")))
  end)

  it("has columns instead of the value where they are asked for", function()
    local map = structs(40)
    local taken <close> = map:snapshot { where = "key.port <= 5", columns = { "value.bytes as b",
      "value.change", "value.inner.text", "value.via", "value.change < -2 as low" } }
    local n = 0
    for key, value in taken:entries() do
      n = n + 1
      assert.same({ b = key.port * 1000, change = -key.port, text = "ab", via = "192.168.0.1",
        low = key.port > 2 }, value)
    end
    assert.equal(5, n)
    assert.same({ "b", "change", "text", "via", "low" }, taken:header().columns)
    assert.equal(2, taken:count("value.change > -3 and value.b >= 1000"))
  end)

  it("of a map of maps has their ids", function()
    local inner = helper.map()
    local map = helper.map { type = "hash_of_maps", value = "u32", inner = inner }
    assert(map:update(3, inner))
    local taken <close> = map:snapshot()
    local ids <close> = map:snapshot { columns = { "value as id", "key + 1 as next" } }
    assert.same({ [text_of(3)] = text_of(inner:info().id) }, (collect(taken:entries())))
    assert.same({ [text_of(3)] = text_of { id = inner:info().id, next = 4 } },
      (collect(ids:entries())))
  end)

  it("of a per-CPU map has each CPU's value, and sums as columns", function()
    local map = helper.map { type = "percpu_hash", value = { "u64 n", "u32 odd" } }
    local list = {}
    for cpu = 1, bpf.cpus() do list[cpu] = { n = cpu, odd = 3 } end
    map:update(7, list)
    local taken <close> = map:snapshot()
    local sums <close> = map:snapshot { columns = "value.n" }
    assert.same({ [text_of(7)] = text_of(list) }, (collect(taken:entries())))
    assert.equal(bpf.cpus(), taken:header().ncpu)
    local total = bpf.cpus() * (bpf.cpus() + 1) // 2
    assert.same({ [text_of(7)] = text_of { n = total } }, (collect(sums:entries())))
    assert.equal(1, taken:count(("value.n == %d"):format(total)))
    assert.equal(1, taken:count("value[1].n == 1"))
  end)

  it("gives batches that are like those of a map", function()
    local taken <close> = structs(100):snapshot { batch_size = 32 }
    local sizes, kept, stale = 0, nil, nil
    for batch in taken:batches(10) do
      assert.is_true(#batch <= 10)
      sizes = sizes + #batch
      kept, stale = kept or batch:copy(), batch
    end
    assert.equal(100, sizes)
    assert.equal("192.168.0.1", kept:value(1).via)
    assert.matches("stale", message_of(stale.key, stale, 1))
    assert.matches("not of a scan", message_of(kept.cursor, kept))
    local total, raw = 0, 0
    for _, value in taken:views() do total = total + value.bytes end
    assert.equal(5050000, total)
    for key, value in taken:entries { raw = true } do raw = raw + #key + #value end
    assert.equal(100 * (8 + 32), raw)
  end)

  it("is closed while it is read without harm", function()
    local taken = structs(100):snapshot { batch_size = 10 }
    local step = taken:entries()
    step()
    taken:close()
    assert.matches("snapshot is closed", message_of(function() for _ in step do end end))
    assert.matches("snapshot is closed", message_of(taken.header, taken))
    assert.matches("snapshot is closed", message_of(taken.count, taken, "value.bytes > 1"))
    assert.matches("closed", tostring(taken))
    assert.is_true(taken:close())
  end)

  it("leaves no descriptor open", function()
    local map, before = structs(50), helper.descriptors()
    for _ = 1, 20 do
      local taken = map:snapshot()
      for _ in taken:entries() do break end
      for _ in taken:batches() do break end
    end
    assert.equal(before, helper.descriptors())
  end)

  it("is refused of maps that cannot be scanned, and misuse raises", function()
    local queue = helper.map { type = "queue" }
    local nothing, message, errno = queue:snapshot()
    assert.same({ nil, core.errno.ENOTSUPP }, { nothing, errno })
    assert.matches("snapshot: queue maps: a queue or stack is read by drain", message)
    local map = helper.map()
    assert.matches("unknown option 'colums'", message_of(map.snapshot, map, { colums = 1 }))
    assert.matches("params go with text",
      message_of(map.snapshot, map, { where = print, params = {} }))
    assert.matches("byts", message_of(map.snapshot, map, { where = "value.byts > 1" }))
    assert.matches("columns", message_of(map.snapshot, map, { columns = {} }))
    map:close()
    assert.matches("map is closed", message_of(map.snapshot, map))
  end)

  it("carries the error of a condition in Lua", function()
    local map = structs(3)
    assert.matches("where: .*no luck", message_of(map.snapshot, map,
      { where = function() error "no luck" end }))
  end)
end)

describe("queries of a snapshot", function()
  after_each(clean_up)

  local CONDITIONS <const> = { "value.bytes > 50000", "key.addr in '10.0.0.0/28'",
    "value.change < -20 and value.small ~= 3", "value.inner.list[1] == 7 or value.rest // 2 > 30",
    "value.inner.text == 'ab' and value.via == '192.168.0.1'", "now > 0" }

  it("count what the map's count", function()
    local map = structs(150)
    local taken <close> = map:snapshot()
    for _, where in ipairs(CONDITIONS) do
      local n, report = taken:count(where)
      assert.equal(map:count(where), n, where)
      assert.same({ "batch", true, true, 150 },
        { report.engine, report.exact, report.complete, report.visited })
    end
    assert.equal(map:count(function(_, value) return value.small == 3 end),
      taken:count(function(_, value) return value.small == 3 end))
  end)

  it("select and sum up as the map's", function()
    local map = structs(150)
    local taken <close> = map:snapshot()
    local function rows_of(of, given)
      local rows = {}
      for row in of:select(given) do rows[#rows + 1] = row end
      return rows
    end
    for _, given in ipairs {
      { columns = { "key.port", "value.bytes as b" }, sort = "b", limit = 10 },
      { columns = "value.inner.text", where = "key.port < 20", sort = "value.change asc" },
    } do
      assert.same(rows_of(map, given), rows_of(taken, given))
    end
    for _, given in ipairs {
      { select = { "sum(value.bytes) as b", "count()", "max(value.change) as top" } },
      { group = "value.small", select = { "count()", "avg(value.bytes) as mean" }, sort = "mean" },
      { where = "key.port > 1000" },
    } do
      assert.same((map:aggregate(given)), (taken:aggregate(given)))
    end
    assert.same((collect(map:select { where = "key.port <= 9" })),
      (collect(taken:select { where = "key.port <= 9" })))
  end)

  it("take compiled expressions and parameters", function()
    local map = structs(30)
    local taken <close> = map:snapshot()
    assert.equal(10, taken:count(bpf.compile("key.port <= 10", map)))
    assert.equal(10, taken:count(bpf.compile("key.port <= 10", taken)))
    assert.equal(4, taken:count("key.port <= $n", { params = { n = 4 } }))
  end)

  it("are done by one thread, however many are asked for", function()
    local taken <close> = structs(30):snapshot()
    local n, report = taken:count("key.port <= 10", { workers = 3 })
    assert.same({ 10, nil }, { n, report.workers })
    assert.equal(30, taken:aggregate { select = "count()", workers = 3 }[1].count)
  end)

  it("refuse other engines than batch", function()
    local taken <close> = structs(3):snapshot()
    for _, name in ipairs { "kernel", "walk" } do
      local n, message, errno = taken:count("key.port > 1", { engine = name })
      assert.same({ nil, core.errno.ENOTSUPP }, { n, errno })
      assert.matches(name, message)
    end
    assert.equal(2, taken:count("key.port > 1", { engine = "batch" }))
  end)
end)

describe("a snapshot file", function()
  after_each(clean_up)

  it("decodes without the map, in another process", function()
    local map, path = structs(77), new_path()
    save(map, path)
    local all = collect(map:entries())
    map:close()
    local taken <close> = assert(bpf.snapshot(path))
    assert.same(all, (collect(taken:entries())))
    local process <close> = helper.process([[
      local taken = assert(bpf.snapshot(...))
      print(#taken, taken:aggregate { select = "sum(value.bytes) as b" }[1].b)
    ]], path)
    assert.equal("77\t3003000\n", process:read("a"))
  end)

  it("gives random bytes of every kind of field back as the map does", function()
    for _, given in ipairs {
      { key = { "char name[4]", "ipv6 at" }, value = { "mac hw", "bool on", "double d",
        "enum8 state { off = 0, up = 5 }", "bytes[3] raw", "float f[2]" } },
      { key_size = 5, value_size = 9 },
      { key = { "prefix4 net", "be16 port", "s8 low" }, value = { union = true, "u32 whole",
        "u8 part[4]", { name = "both", "be16 a", "u16 b:3", "u16 c:13" } } },
    } do
      local map, path = helper.map(given), new_path()
      local info, keys, values = map:info(), {}, {}
      for i = 1, 60 do
        keys[i] = string.pack("<I4", i) .. random_bytes(info.key_size - 4)
        values[i] = random_bytes(info.value_size)
      end
      assert.equal(60, map:update_batch(table.concat(keys), table.concat(values)))
      save(map, path, 16)
      local taken <close> = assert(bpf.snapshot(path))
      assert.same((collect(map:entries())), (collect(taken:entries())))
      assert.same((collect(map:entries { raw = true })), (collect(taken:entries { raw = true })))
    end
  end)

  it("is gone on with, and then is as one written at once", function()
    local map, path = structs(64), new_path()
    local batches, out = {}, assert(io.open(path, "w+"))
    for batch in map:batches(8) do batches[#batches + 1] = batch:copy() end
    local writer = assert(snapshot.writer { map = map, fd = out })
    for i = 1, 3 do assert(writer:add(batches[i])) end
    local offset, entries, blocks = writer:position()
    assert(writer:add(batches[4]))
    writer:close()
    local resume = { offset = offset, entries = entries, blocks = blocks }
    writer = assert(snapshot.writer { map = map, fd = out, resume = resume })
    assert.same({ offset, entries, blocks }, { writer:position() })
    for i = 4, #batches do assert(writer:add(batches[i])) end
    assert.equal(#read(path) + 0, (select(1, writer:position())))
    assert.equal(writer:finish(), #read(path))
    local taken <close> = assert(bpf.snapshot(path))
    assert.same((collect(map:entries())), (collect(taken:entries())))
    resume.entries = entries + 1
    local refused, message, errno = snapshot.writer { map = map, fd = out, resume = resume }
    assert.same({ nil, core.errno.EBADMSG }, { refused, errno })
    assert.matches("other entries", message)
    out:close()
  end)

  it("that is none is refused with the reason", function()
    local path = new_path()
    local function reason(text)
      if text then write(path, text) end
      local opened, message, errno = bpf.snapshot(path)
      assert.is_nil(opened)
      return message, errno
    end
    assert.matches("cut short", (reason("")))
    assert.matches("not a snapshot", (reason(("x"):rep(500))))
    os.remove(path)
    assert.equal(core.errno.ENOENT, select(2, reason()))
    assert.matches("Is a directory", (select(2, bpf.snapshot("/tmp"))))
    assert.matches("not a regular file", (select(2, bpf.snapshot("/dev/null"))))
    assert.matches("path expected, got nil", message_of(bpf.snapshot))
    assert.matches("unknown option 'damged'", message_of(bpf.snapshot, path, { damged = true }))
  end)
end)

describe("a damaged snapshot file", function()
  after_each(clean_up)

  -- What is read of a file: keys to values, nil where all of it cannot be.
  local function whole(path)
    local taken <close> = bpf.snapshot(path)
    if not taken then return nil end
    local ok, all = pcall(collect, taken:entries())
    return ok and all or nil
  end

  -- A small file, its bytes, and its entries. Of an array, whose blocks are of four entries each.
  local function small()
    local map, path = helper.map { type = "array", value = "u32", max_entries = 12 }, new_path()
    for i = 0, 11 do map:update(i, i * i + 1) end
    save(map, path, 4)
    return path, read(path), (collect(map:entries()))
  end

  -- Entries that can be read, all of which are right, and how many are said to be missing.
  local function intact(path, all)
    local taken <close> = bpf.snapshot(path, { damaged = true })
    if not taken then return nil end
    local some, n = collect(taken:entries())
    for key, value in pairs(some) do assert(all[key] == value, "a wrong entry") end
    local missing = 0
    for _, gap in ipairs(taken:header().damage) do
      assert.is_string(gap.reason)
      missing = missing and gap.entries and missing + gap.entries
    end
    assert.equal(n, #taken)
    assert.equal(n, taken:count("value > 0"))
    return n, missing
  end

  it("is noticed wherever it was cut, and its whole blocks are read", function()
    local path, bytes, all = small()
    local first = 32 + string.unpack("<I4", bytes, 13)
    assert.same(all, whole(path))
    for n = 0, #bytes - 1 do
      write(path, bytes:sub(1, n))
      assert.is_nil(whole(path), n)
      local left, missing = intact(path, all)
      if n < first then
        assert.is_nil(left)
      else
        assert.equal(math.min(12, (n - first) // (24 + 4 * 8) * 4), left, n)
        assert.is_nil(missing)
      end
    end
  end)

  it("is noticed whichever byte was changed, and loses no more than a block", function()
    local path, bytes, all = small()
    for at = 1, #bytes do
      write(path, bytes:sub(1, at - 1) .. string.char(bytes:byte(at) ~ 0x10) .. bytes:sub(at + 1))
      assert.is_nil(whole(path), at)
      local left, missing = intact(path, all)
      assert.is_true(left >= 8, at)
      assert.equal(missing and 12 - missing or left, left, at)
    end
  end)

  it("raises where a loop comes to the damage, after what is intact", function()
    local path, bytes = small()
    local at = 32 + string.unpack("<I4", bytes, 13) + (24 + 4 * 8) + 30
    write(path, bytes:sub(1, at) .. "!" .. bytes:sub(at + 2))
    local taken = assert(bpf.snapshot(path))
    local n = 0
    local ok, err = pcall(function() for _ in taken:entries() do n = n + 1 end end)
    assert.is_false(ok)
    assert.equal(core.errno.EBADMSG, err.errno)
    assert.matches("at byte %d+", tostring(err))
    assert.equal(4, n)
    local count, message, errno = taken:count("value > 0")
    assert.same({ nil, core.errno.EBADMSG }, { count, errno })
    assert.matches("damaged", message)
    taken:close()
  end)

  it("has no entries of a header that is wrong under a right checksum", function()
    local map, path = helper.map { key = "u16", value = { "u32 n", "char text[4]" } }, new_path()
    map:update(1, { n = 2 })
    save(map, path)
    local good = json.decode((core.snapshot_header(assert(bpf.snapshot(path)))))
    local handle = core.detached { type = 1, name = "x", key_size = 2, value_size = 8, ncpu = 0 }
    -- Opens a file with that header.
    local function open(header)
      local out <close> = assert(io.open(path, "w"))
      local writer = assert(core.snapshot_writer { handle = handle, fd = out,
        header = header })
      for batch in map:batches() do writer:add(batch) end
      writer:finish()
      return bpf.snapshot(path)
    end
    local function changed(name, value)
      local header = json.decode(json.encode(good))
      header[name] = value
      return json.encode(header)
    end
    assert.truthy(open(json.encode(good)))
    assert.truthy(open(changed("type", "of the future")))
    for _, header in ipairs { "", "{", "1", "[]", "{}", "null", ("["):rep(100000), "\0",
      changed("key_size", 3), changed("key_size", -2), changed("key_size", 2.5),
      changed("value_size", 1 << 40), changed("ncpu", 2), changed("ncpu", -1),
      changed("ncpu", math.maxinteger), changed("type", "hash_of_maps"), changed("name", 3),
      changed("type", nil),
      changed("key", { kind = "int" }), changed("key", "u16"), changed("key", 1),
      changed("value", { kind = "struct", size = 8, fields = { { name = "n", bit = 0,
        type = { kind = "int", size = 16 } } } }),
      changed("value", { kind = "array", n = 1 << 28, size = 8, elem = good.key }),
    } do
      local opened, message, errno = open(header)
      assert.same({ nil, core.errno.EBADMSG }, { opened, errno }, header:sub(1, 200))
      assert.matches("the header is wrong", message)
    end
    -- Anything else may be taken, if it can be read.
    local text = json.encode(good)
    for _ = 1, 300 do
      local at = random(#text)
      local opened = open(text:sub(1, at - 1) .. string.char(random(256) - 1)
        .. text:sub(at + random(4)))
      if opened then
        pcall(function() return tostring(opened:header()), tostring(opened:describe()) end)
        collect(opened:entries())
        opened:close()
      end
    end
  end)
end)

describe("docs/snapshot-format.md", function()
  after_each(clean_up)

  -- CRC32C, bit by bit.
  local function crc32c(text)
    local crc = 0xffffffff
    for i = 1, #text do
      crc = crc ~ text:byte(i)
      for _ = 1, 8 do crc = crc >> 1 ~ (crc & 1 == 1 and 0x82f63b78 or 0) end
    end
    return crc ~ 0xffffffff
  end

  -- Reads a file by what the page says, and nothing else.
  local function read_by_the_page(bytes)
    local magic, version, header_size, key_size, value_size, header_crc, crc =
      string.unpack("<c8I4I4I4I4I4I4", bytes)
    assert.equal("\x89LBS\r\n\x1a\n", magic)
    assert.equal(1, version)
    assert.equal(crc32c(bytes:sub(1, 28)), crc)
    local header = bytes:sub(33, 32 + header_size)
    assert.equal(crc32c(header), header_crc)
    local at, entries, headers, blocks = 33 + header_size, {}, "", 0
    while bytes:sub(at, at + 3) == "\x89BLK" do
      local n, first, data_crc, block_crc = string.unpack("<I4I8I4I4", bytes, at + 4)
      local data = bytes:sub(at + 24, at + 23 + n * (key_size + value_size))
      assert.same({ #entries, crc32c(data), crc32c(bytes:sub(at, at + 19)) },
        { first, data_crc, block_crc })
      for i = 0, n - 1 do
        local value = n * key_size + i * value_size
        entries[#entries + 1] = { data:sub(i * key_size + 1, (i + 1) * key_size),
          data:sub(value + 1, value + value_size) }
      end
      headers, blocks = headers .. bytes:sub(at, at + 19), blocks + 1
      at = at + 24 + #data
    end
    local head_size = 32 + header_size
    assert.equal(bytes:sub(1, head_size), bytes:sub(at, at + head_size - 1))
    local fields = { string.unpack("<c4I4I8I8I8I4I4", bytes, at + head_size) }
    assert.same({ "\x89END", head_size, blocks, #entries, #bytes, crc32c(headers),
      crc32c(bytes:sub(-40, -5)), #bytes + 1 }, fields)
    return json.decode(header), entries
  end

  it("is enough to read a file", function()
    local map, path = structs(30), new_path()
    save(map, path, 8)
    local header, entries = read_by_the_page(read(path))
    local all = {}
    for _, entry in ipairs(entries) do all[text_of(entry[1])] = text_of(entry[2]) end
    assert.same((collect(map:entries { raw = true })), all)
    assert.same(map:describe().key, header.key)
  end)

  it("names every field of the header", function()
    local page, map = read("docs/snapshot-format.md"), structs(3)
    local taken <close> = map:snapshot { where = "key.port > 0", columns = "value.bytes" }
    for name in pairs(json.decode((core.snapshot_header(taken)))) do
      assert.truthy(page:find("`" .. name .. "`", 1, true), name)
    end
  end)
end)
