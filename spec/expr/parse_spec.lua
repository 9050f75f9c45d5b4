-- SPDX-License-Identifier: MIT
--
-- The language of expressions: precedence, types, names of columns, errors and
-- where they point.

local compile = require "luabpf.expr.compile"
local evaluator = require "spec.support.evaluator"
local expr = require "luabpf.expr.parse"
local generator = require "spec.support.generator"
local layouts = require "spec.support.layouts"

local env, percpu, scalars, bytes = layouts.env, layouts.percpu, layouts.scalars, layouts.bytes

-- The error of a text: its message without place, the column, and the caret's column.
local function failure(text, where, parse)
  local ok, message = pcall(parse or expr.parse, text, where or env)
  assert.is_false(ok, text)
  local line, column, what, shown, caret =
    message:match("^expression:(%d+):(%d+): (.-)\n  (.-)\n  ( *)%^$")
  assert.is_truthy(what, message)
  return what, tonumber(column), #caret + 1, tonumber(line), shown
end

-- Expects a message at the column where the mark @ stands in the text.
local function fails(marked, wanted, where, parse)
  local at = marked:find("@", 1, true)
  local text = marked:gsub("@", "", 1)
  local what, column, caret = failure(text, where, parse)
  assert.truthy(what:find(wanted, 1, true), ("%s\n%s"):format(marked, what))
  assert.equal(at, column, marked .. "\n" .. what)
  assert.equal(at, caret, marked)
end

local function kind(text, where)
  return expr.parse(text, where or env).kind
end

describe("an expression", function()
  it("has Lua's precedence and associativity", function()
    local random = generator.new(7)

    -- operand operator operand ..., with the signs given.
    local function chain(signs, operators)
      local words = { random:pick(signs) .. random:int(1, 9) }
      for _ = 1, random:int(1, 7) do
        words[#words + 1] = random:pick(operators)
        words[#words + 1] = random:pick(signs) .. random:int(1, 9)
      end
      return table.concat(words, " ")
    end

    local function same_as_lua(text)
      local value = evaluator.run(expr.parse(text, env), {})
      assert.equal(assert(load("return " .. text))(), value, text)
    end

    for _ = 1, 1000 do
      same_as_lua(chain({ "", "", "-", "~" }, { "+", "-", "*", "&", "|", "~" }))
      local sums = { "+", "*", "&", "|" }
      same_as_lua(("%s << 1 + %s | %s >> 2"):format(chain({ "", "-" }, sums), random:int(1, 9),
        chain({ "" }, sums)))
      local compared = {}
      for i = 1, 3 do
        compared[i] = ("%s %s %s"):format(chain({ "" }, sums),
          random:pick { "==", "~=", "<", "<=", ">", ">=" }, chain({ "" }, sums))
      end
      same_as_lua(("%s %s %s %s not (%s)"):format(compared[1], random:pick { "and", "or" },
        compared[2], random:pick { "and", "or" }, compared[3]))
    end
  end)

  it("groups as written", function()
    local entry = {}
    for text, value in pairs {
      ["10 - 4 - 3"] = 3, ["64 / 4 / 2"] = 8, ["7 % 4 * 2"] = 6, ["1 | 2 ~ 3 & 5"] = 3,
      ["1 << 2 + 1"] = 8, ["-2 * 3"] = -6, ["~1 & 7"] = 6, ["- - 5"] = 5, ["7 // 2 * 2"] = 6,
      ["1 < 2 == true"] = true, ["not (1 == 2) and 2 == 2"] = true,
      ["1 == 1 or 1 == 2 and 1 == 3"] = true, ["(1 == 1 or 1 == 2) and 1 == 3"] = false,
      ["2 in (1, 2) and 3 in [4]"] = false, ["1 + 1 in {2}"] = true,
    } do
      assert.equal(value, evaluator.run(expr.parse(text, env), entry), text)
    end
  end)

  it("is signed, unsigned or a condition", function()
    for text, wanted in pairs {
      ["value.bytes"] = "unsigned", ["value.delta"] = "signed", ["5"] = "unsigned",
      ["-5"] = "signed", ["now"] = "unsigned", ["now - 1"] = "signed", ["now + 1"] = "unsigned",
      ["value.bytes * value.delta"] = "signed", ["value.bytes >> value.delta"] = "signed",
      ["~value.bytes"] = "unsigned", ["~value.delta"] = "signed", ["$x"] = "signed",
      ["value.bytes + $x"] = "unsigned", ["$x + value.delta"] = "signed",
      ["if(value.alive, value.bytes, value.delta)"] = "signed",
      ["if(value.alive, value.bytes, 1)"] = "unsigned", ["value.alive"] = "condition",
      ["if($x, $y, value.alive)"] = "condition", ["value.bytes in (1, 2)"] = "condition",
      ["value.window"] = "unsigned", ["value.state"] = "unsigned", ["key.src_addr"] = "raw",
      ["value.comm"] = "raw", ["value.ratio"] = "raw", ["value.tuple"] = "raw",
    } do
      assert.equal(wanted, kind(text), text)
    end
    assert.equal("signed", kind("value", scalars))
    assert.equal("unsigned", kind("key", scalars))
  end)

  it("gives a parameter the type of what stands beside it", function()
    local function param(text)
      local node = expr.parse(text, env).args[2]
      return node.param.kind .. " " .. node.kind
    end
    assert.equal("integer unsigned", param("$p < value.bytes"))
    assert.equal("integer signed", param("value.delta < $p"))
    assert.equal("integer signed", param("5 < $p"))
    assert.equal("enum unsigned", param("value.state == $p"))
    assert.equal("bool condition", param("value.alive == $p"))
    assert.equal("ipv4 raw", param("$p == key.src_addr"))
    assert.equal("text raw", param("value.comm == $p"))
    assert.equal("ipv6 raw", param("key.peer in $p"))
  end)

  it("reaches members of structs, arrays and anonymous structs", function()
    local function place(text)
      local node = expr.parse(text, env)
      return ("%s %d %s"):format(node.of, node.bit, node.bits or "-")
    end
    assert.equal("key 80 -", place("key.dst_port"))
    assert.equal("value 448 -", place("value.slots[2]"))
    assert.equal("value 576 -", place("value . tuple . offset"))
    assert.equal("value 640 -", place("value.inner"))
    assert.equal("value 849 13", place("value.window"))
  end)

  it("compares a key without layout as a whole", function()
    assert.equal("condition", kind("key == '\\x01\\0\\0\\0'", bytes))
    assert.equal("condition", kind("key == 'abc' and value == $v", { value_size = 8 }))
    fails("key == @'abc'", "3 bytes to compare with 4", bytes)
    fails("key.@port == 1", "the key has no layout", bytes)
    fails("key == @$k", "the size of key is not known", {})
    fails("@key", "the size of key is not known", {})
    fails("key == @value", "key and value do not compare", {})
  end)

  it("in a per-CPU map sums, or reads one CPU", function()
    local function reduction(text)
      local node = expr.parse(text, percpu)
      return node.reduce, node.cpu
    end
    assert.equal("sum", reduction("value.bytes"))
    assert.equal("max", reduction("cpu_max(value.bytes)"))
    assert.equal("min", reduction("cpu_min(value.slots[1])"))
    assert.same({ "cpu", 3 }, { reduction("value[3].bytes") })
    assert.same({ "cpu", 4 }, { reduction("value[4].comm") })
    assert.is_nil(expr.parse("key.dst_port", percpu).reduce)
    fails("value[@5].bytes", "there is no CPU 5: they are 1 to 4", percpu)
    fails("@value.comm == 'x'", "'value.comm' is text, which has no sum over CPUs", percpu)
    fails("@value.state == 1", "is an enum, which has no sum over CPUs", percpu)
    assert.equal("max", reduction("cpu_max(value.state)"))
    fails("cpu_max(@value[1].bytes)", "one CPU's already", percpu)
    fails("cpu_max(@1)", "a field of value expected", percpu)
    fails("@cpu_max(value.bytes)", "cpu_max is for per-CPU maps")
  end)
end)

describe("an error", function()
  it("stands where it arose", function()
    for marked, wanted in pairs {
      ["now - value.@byts > 3"] = "no field 'byts' in value (did you mean 'bytes'?)",
      ["value.tuple.@of"] = "no field 'of' in value.tuple",
      ["value.bytes.@x"] = "'value.bytes' is an integer and has no fields",
      ["value.bytes[@1]"] = "'value.bytes' is an integer and has no elements",
      ["value.slots[@0]"] = "index 0 of value.slots is outside 1 to 4",
      ["value.slots[@now]"] = "a constant index expected, found 'now'",
      ["value.slots[1@"] = "']' expected at the end",
      ["@bytes > 1"] = "unknown name 'bytes' (did you mean 'value.bytes'?)",
      ["@src_addr == '1.1.1.1'"] = "(did you mean 'key.src_addr'?)",
      ["@valu.bytes"] = "unknown name 'valu' (did you mean 'value'?)",
      ["@max(1)"] = "unknown function 'max'",
      ["1 @^ 2"] = "exclusive or is '~'",
      ["value.alive @&& true"] = "'&&' is written 'and'",
      ["value.alive @|| true"] = "'||' is written 'or'",
      ["@!value.alive"] = "'!' is written 'not'",
      ["value.bytes @= 1"] = "'=' compares as '=='",
      ["1 @-- 2"] = "there are no comments",
      ["value.bytes @+= 1"] = "'+=' is written out: value.f = value.f + ...",
      ["value.alive@;"] = "';' ends nothing here; ',' separates columns and assignments",
      ["value.comm@:find 'x'"] = "text has no methods here; a function in place of the",
      ["key.src_addr in @10.0.0.0/8"] = "addresses are in quotes: '10.0.0.0/8'",
      ["value.comm == @nginx"] = "unknown name 'nginx' (texts and names of enums are in quotes: ",
      ["1 @# 2"] = "unexpected character \"#\"",
      ["@'abc"] = "the string does not end",
      ["'a@\\q'"] = "unknown escape",
      ["@1.5 + 1"] = "expressions have integers only",
      ["@5x"] = "unknown unit",
      ["@18446744073709551616"] = "does not fit in 64 bits",
      ["@"] = "a value expected at the end",
      ["1 + @"] = "a value expected at the end",
      ["(1@"] = "')' expected at the end",
      ["1 @2"] = "an operator expected, found '2'",
      ["1 + @and"] = "a value expected, found 'and'",
      ["@value.bytes and true"] = "'value.bytes' is an integer where a condition is needed",
      ["not @value.bytes"] = "is an integer where a condition is needed",
      ["if(@1, 2, 3)"] = "is an integer where a condition is needed",
      ["1 + @value.alive"] = "is a condition where an integer is needed",
      ["@value.ratio > 1"] = "'value.ratio' is a float and '1' is an integer",
      ["@value.ratio + 1"] = "expressions have integers only",
      ["@value.ratio > $x"] = "'value.ratio' is a float and does not compare",
      ["@value.lock == 0"] = "is the kernel's own (bpf_spin_lock) and cannot be read",
      ["@value.tuple == 'x'"] = "'value.tuple' is a struct and does not compare; name one of its",
      ["-@value.slots"] = "'value.slots' is an array where an integer is needed; name one of",
      ["1 < 2 < @3"] = "'1 < 2' is a condition and '3' is an integer: they do not compare",
      ["@key.src_addr < '1.1.1.1'"] = "only == ~= and in compare it",
      ["key.src_addr == @'1.1.1'"] = "\"1.1.1\" is not an IPv4 address",
      ["key.src_addr == @'::1'"] = "is not an IPv4 address",
      ["key.src_addr in (@'1.1.1.1/33')"] = "is not an IPv4 address",
      ["key.src_addr == @value.comm"] = "key.src_addr and value.comm do not compare",
      ["key.src_addr == @key.peer"] = "key.src_addr and key.peer do not compare",
      ["key.src_addr in (@5)"] = "do not compare",
      ["key.hw == @'00:11'"] = "is not a MAC address",
      ["value.state == @'close'"] = "enum state has no 'close' (did you mean 'closed'?)",
      ["value.bytes == @'x'"] = "'value.bytes' is an integer and does not compare with a string",
      ["value.comm == @'a234567890123456789'"] = "has 19 characters and there is room for 16",
      ["value.comm == @'a\\0b'"] = "cannot have a zero byte",
      ["value.id == @'abc'"] = "3 bytes to compare with 4",
      ["@'a' == 'b'"] = "one side must be a field",
      ["@'a' == $b"] = "one side must be a field",
      ["@'a'"] = "is a string where an integer is needed",
      ["@'a' in ('a')"] = "a field or an integer stands before 'in'",
      ["value.bytes in @5"] = "a list expected, found '5'",
      ["value.bytes in @'5'"] = "a list expected",
      ["value.bytes in (1, 2@"] = "')' expected at the end",
      ["value.bytes in (@value.alive)"] = "is a condition where an integer is needed",
      ["@$now > 1"] = "a parameter cannot be called 'now'",
      ["(value.bytes == 1) == @(value.packets == 1)"] = "compares only with a bool field",
      ["@value.alive < true"] = "only == ~= and in compare it",
    } do
      -- Of two sides that do not compare the second is pointed at.
      local second = marked == "@value.ratio > 1"
      if second then marked = "value.ratio > @1" end
      fails(marked, wanted)
    end
  end)

  it("shows the line, its tabs and its characters as wide as they are", function()
    local what, column, caret, line, shown = failure("value.bytes > 1 and\n  value.x == 1")
    assert.equal("no field 'x' in value", what)
    assert.same({ 9, 9, 2, "  value.x == 1" }, { column, caret, line, shown })
    what, column, caret = failure("value.comm == 'äöü' and x")
    assert.same({ "unknown name 'x'", 25, 25 }, { what, column, caret })
    local ok, message = pcall(expr.parse, "\t\tx", env)
    assert.is_false(ok)
    assert.equal("expression:1:3: unknown name 'x'\n  \t\tx\n  \t\t^", message)
  end)

  it("limits nesting and depth", function()
    local deep = failure(("("):rep(200) .. "1" .. (")"):rep(200))
    assert.equal("the expression is nested too deeply", deep)
    assert.equal("the expression is too deep", (failure(("1 + "):rep(2000) .. "1")))
    assert.equal("condition", kind(("value.alive or "):rep(5000) .. "value.alive"))
  end)

  it("names the type of what is no text", function()
    assert.error_matches(function() expr.parse(5, env) end, "an expression is text, got number")
  end)

  it("asks for a condition where one is needed", function()
    fails("@value.bytes", "where a condition is needed", env, expr.condition)
    assert.equal("condition", expr.condition("$flag", env).kind)
  end)
end)

describe("columns", function()
  local function named(list)
    local names = {}
    for i, item in ipairs(list) do names[i] = item.name end
    return names
  end

  it("are text, a list, or named", function()
    assert.same({ "bytes" }, named(expr.columns("value.bytes", env)))
    assert.same({ "b", "src_addr" }, named(expr.columns("value.bytes as b, key.src_addr", env)))
    assert.same({ "offset", "slots", "p" }, named(expr.columns(
      { "value.tuple.offset", "value.slots[2]", "value.packets as p" }, env)))
    assert.same({ "a", "z" }, named(expr.columns({ z = "now", a = "value.bytes + 1" }, env)))
    assert.same({ "key", "value" }, named(expr.columns("key, value", scalars)))
    assert.same({ "bytes", "b" },
      named(expr.columns("cpu_max(value.bytes), value[2].bytes as b", percpu)))
    assert.equal("unsigned", expr.columns("value.bytes as b", env)[1].ast.kind)
  end)

  it("have one name each", function()
    fails("value.bytes, @value.packets as bytes", "two columns 'bytes'", env, expr.columns)
    fails("@value.bytes + 1", "needs a name: 'value.bytes + 1 as name'", env, expr.columns)
    fails("value.bytes as @1", "a name expected", env, expr.columns)
    local names = {}
    expr.columns("key.src_addr", env, names)
    fails("@count() as src_addr", "two columns 'src_addr'", env, function(text)
      return expr.aggregates(text, env, names)
    end)
  end)

  it("may be aggregates", function()
    local list = expr.aggregates({ "sum(value.bytes)", "count() as flows", "avg(value.delta + 1)",
      "distinct(key.src_addr) as hosts", hist = "hist(value.packets)" }, env)
    assert.same({ "bytes", "flows", "avg", "hosts", "hist" }, named(list))
    assert.same({ "sum", "count", "avg", "distinct", "hist" },
      { list[1].fn, list[2].fn, list[3].fn, list[4].fn, list[5].fn })
    assert.equal("signed", list[3].arg.kind)
    assert.is_nil(list[2].arg)
    fails("@median(value.bytes)", "unknown aggregate 'median'", env, expr.aggregates)
    fails("count(@value.bytes)", "count() counts entries", env, expr.aggregates)
    fails("sum(@value.comm)", "is text where an integer is needed", env, expr.aggregates)
    fails("sum @value.bytes", "'(' expected", env, expr.aggregates)
  end)
end)

-- LUABPF_FUZZ=seconds goes on for that long (make fuzz).
describe("the parser and the compiler", function()
  local PIECES <const> = { "value", ".", "bytes", "[", "]", "(", ")", "in", "and", "not", "==", "<",
    "~", "'10.0.0.0/8'", "$x", "5", "-", "0x", "30s", "if", ",", "key", "\0", "\xff", "'", "\\" }
  local WORDS <const> = { "+", "-", "*", "/", "//", "%", "&", "|", "~", "<<", ">>", "==", "~=", "<",
    ">=", "and", "or", "not", "(", ")", ",", "0", "63", "64", "0x7fffffffffffffff", "now", "$x" }
  local random = generator.new(os.time())

  local function compiled(text)
    return compile.column(expr.parse(text, env), env)
  end

  -- A piece of the language somewhere, in the place of a few bytes.
  local function overwritten(text)
    local at = random:int(0, #text)
    return text:sub(1, at) .. random:pick(PIECES) .. text:sub(at + random:int(1, 4))
  end

  -- A word or a sign becomes another one, of the text's own or of the language's: such texts get
  -- furthest, to the types and to the compiler.
  local function exchanged(text)
    local places, words = {}, {}
    for from, word, past in text:gmatch "()([%w_.$]+)()" do
      places[#places + 1], words[#words + 1] = { from, past }, word
    end
    for from, past in text:gmatch "()[^%w_.$%s'\"]+()" do places[#places + 1] = { from, past } end
    if #words == 0 then return overwritten(text) end
    local place = random:pick(places)
    return text:sub(1, place[1] - 1) .. random:pick(random:chance(50) and words or WORDS)
      .. text:sub(place[2])
  end

  it("take any text without another error than their own", function()
    local long = tonumber(os.getenv("LUABPF_FUZZ") or nil)
    local deadline = os.clock() + (long or 0.5)
    local texts, taken, text = 0, 0, nil
    repeat
      if not text or random:chance(30) then
        random:enter { key = layouts.key, value = layouts.value }
        text = random:expression()
      end
      text = (random:chance(70) and exchanged or overwritten)(text)
      local ok, message = pcall(compiled, text)
      assert(ok or message:find("^expression:%d+:%d+: "), text .. "\n" .. tostring(message))
      texts, taken = texts + 1, taken + (ok and 1 or 0)
    until os.clock() > deadline
    if long then print(("%d texts, %d taken"):format(texts, taken)) end
  end)
end)
