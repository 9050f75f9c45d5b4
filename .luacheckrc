std = "lua54"
max_line_length = 100
include_files = { "**/*.lua", "rockspec/*.rockspec", ".busted", ".luacheckrc" }
files["spec"] = { std = "+busted" }
files["rockspec"] = { std = "+rockspec" }
-- Declarations for editors; nothing in them runs.
files["types"] = { ignore = { "122", "212", "241" } }
