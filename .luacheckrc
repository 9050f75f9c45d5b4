std = "lua54"
max_line_length = 100
include_files = { "lua", "spec", "examples", "bench", "rockspec", ".busted", ".luacheckrc" }
files["spec"] = { std = "+busted" }
files["rockspec"] = { std = "+rockspec" }
