std = "lua54"
max_line_length = 100
include_files = { "**/*.lua", "rockspec/*.rockspec", "scripts/layers", "scripts/release", ".busted",
  ".luacheckrc" }
-- What is built, the systems of `make test-kernels` among it.
exclude_files = { ".build" }
-- 512: loops that are left at once are what is tested.
files["spec"] = { std = "+busted", ignore = { "512" } }
files["rockspec"] = { std = "+rockspec" }
-- Declarations for editors; nothing in them runs.
-- LDoc's own Lua is older.
files["scripts/docs/dump.lua"] = { std = "lua51" }
files["lua/luabpf/base/declared.lua"] = { max_line_length = false }
files["types"] = { ignore = { "122", "212", "241", "631" } }
