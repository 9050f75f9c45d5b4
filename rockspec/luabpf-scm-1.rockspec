rockspec_format = "3.0"
package = "luabpf"
version = "scm-1"
source = {
  url = "git+https://github.com/luabpf/luabpf.git",
}
description = {
  summary = "The maps of a running Linux kernel, in bulk, from Lua",
  detailed = [[
    Handles on eBPF maps for Lua 5.4: reading, updating, deleting, filtering and summing
    up millions of entries, with the filter run inside the kernel. Needs Linux 5.15 or
    newer and libbpf; clang to build the connection tracker that comes with it.
  ]],
  license = "MIT",
  labels = { "linux", "bpf", "ebpf", "network" },
}
supported_platforms = { "linux" }
dependencies = {
  "lua >= 5.4, < 5.5",
}
external_dependencies = {
  LIBBPF = { header = "bpf/libbpf.h", library = "bpf" },
}
build = {
  type = "make",
  build_variables = {
    CC = "$(CC)",
    CFLAGS = "$(CFLAGS)",
    LIBFLAG = "$(LIBFLAG)",
    LUA_INCDIR = "$(LUA_INCDIR)",
    LIBBPF_INCDIR = "$(LIBBPF_INCDIR)",
    LIBBPF_LIBDIR = "$(LIBBPF_LIBDIR)",
  },
  -- make installs the BPF objects, which are left out where there is no clang;
  -- everything else is listed here.
  install_target = "install-bpf",
  install_variables = {
    LUADIR = "$(LUADIR)",
  },
  install = {
    lib = {
      ["luabpf.core"] = "luabpf/core.so",
    },
    lua = {
      ["luabpf.address"] = "lua/luabpf/address.lua",
      ["luabpf.asm"] = "lua/luabpf/asm.lua",
      ["luabpf.bench"] = "lua/luabpf/bench.lua",
      ["luabpf.checkpoint"] = "lua/luabpf/checkpoint.lua",
      ["luabpf.compile"] = "lua/luabpf/compile.lua",
      ["luabpf.connection"] = "lua/luabpf/connection.lua",
      ["luabpf.conntrack"] = "lua/luabpf/conntrack.lua",
      ["luabpf.cost"] = "lua/luabpf/cost.lua",
      ["luabpf.declaration"] = "lua/luabpf/declaration.lua",
      ["luabpf.endpoint"] = "lua/luabpf/endpoint.lua",
      ["luabpf.engine"] = "lua/luabpf/engine.lua",
      ["luabpf.explain"] = "lua/luabpf/explain.lua",
      ["luabpf.export"] = "lua/luabpf/export.lua",
      ["luabpf.expr"] = "lua/luabpf/expr.lua",
      ["luabpf.features"] = "lua/luabpf/features.lua",
      ["luabpf.fields"] = "lua/luabpf/fields.lua",
      ["luabpf.globals"] = "lua/luabpf/globals.lua",
      ["luabpf.import"] = "lua/luabpf/import.lua",
      ["luabpf.init"] = "lua/luabpf/init.lua",
      ["luabpf.iter"] = "lua/luabpf/iter.lua",
      ["luabpf.json"] = "lua/luabpf/json.lua",
      ["luabpf.layout"] = "lua/luabpf/layout.lua",
      ["luabpf.lexer"] = "lua/luabpf/lexer.lua",
      ["luabpf.literal"] = "lua/luabpf/literal.lua",
      ["luabpf.lower"] = "lua/luabpf/lower.lua",
      ["luabpf.map"] = "lua/luabpf/map.lua",
      ["luabpf.maps"] = "lua/luabpf/maps.lua",
      ["luabpf.options"] = "lua/luabpf/options.lua",
      ["luabpf.outlet"] = "lua/luabpf/outlet.lua",
      ["luabpf.parallel"] = "lua/luabpf/parallel.lua",
      ["luabpf.prepare"] = "lua/luabpf/prepare.lua",
      ["luabpf.progress"] = "lua/luabpf/progress.lua",
      ["luabpf.query"] = "lua/luabpf/query.lua",
      ["luabpf.rest"] = "lua/luabpf/rest.lua",
      ["luabpf.restore"] = "lua/luabpf/restore.lua",
      ["luabpf.show"] = "lua/luabpf/show.lua",
      ["luabpf.snapshot"] = "lua/luabpf/snapshot.lua",
      ["luabpf.summary"] = "lua/luabpf/summary.lua",
      ["luabpf.sweep"] = "lua/luabpf/sweep.lua",
      ["luabpf.transfer"] = "lua/luabpf/transfer.lua",
      ["luabpf.word"] = "lua/luabpf/word.lua",
      ["luabpf.worker"] = "lua/luabpf/worker.lua",
    },
  },
}
test = {
  type = "command",
  script = "spec/run.lua",
}
