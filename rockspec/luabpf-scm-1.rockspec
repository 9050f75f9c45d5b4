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
  copy_directories = { "docs", "examples", "types" },
  install = {
    lib = {
      ["luabpf.core"] = "luabpf/core.so",
    },
    lua = {
      ["luabpf.base.declared"] = "lua/luabpf/base/declared.lua",
      ["luabpf.base.defaults"] = "lua/luabpf/base/defaults.lua",
      ["luabpf.base.errors"] = "lua/luabpf/base/errors.lua",
      ["luabpf.base.iter"] = "lua/luabpf/base/iter.lua",
      ["luabpf.base.later"] = "lua/luabpf/base/later.lua",
      ["luabpf.base.options"] = "lua/luabpf/base/options.lua",
      ["luabpf.base.scan"] = "lua/luabpf/base/scan.lua",
      ["luabpf.base.strict"] = "lua/luabpf/base/strict.lua",
      ["luabpf.base.suggest"] = "lua/luabpf/base/suggest.lua",
      ["luabpf.bench"] = "lua/luabpf/bench.lua",
      ["luabpf.conntrack"] = "lua/luabpf/conntrack.lua",
      ["luabpf.conntrack.condition"] = "lua/luabpf/conntrack/condition.lua",
      ["luabpf.conntrack.connection"] = "lua/luabpf/conntrack/connection.lua",
      ["luabpf.conntrack.endpoint"] = "lua/luabpf/conntrack/endpoint.lua",
      ["luabpf.conntrack.summary"] = "lua/luabpf/conntrack/summary.lua",
      ["luabpf.conntrack.tracker"] = "lua/luabpf/conntrack/tracker.lua",
      ["luabpf.expr.address"] = "lua/luabpf/expr/address.lua",
      ["luabpf.expr.asm"] = "lua/luabpf/expr/asm.lua",
      ["luabpf.expr.branch"] = "lua/luabpf/expr/branch.lua",
      ["luabpf.expr.compile"] = "lua/luabpf/expr/compile.lua",
      ["luabpf.expr.fields"] = "lua/luabpf/expr/fields.lua",
      ["luabpf.expr.functions"] = "lua/luabpf/expr/functions.lua",
      ["luabpf.expr.generator"] = "lua/luabpf/expr/generator.lua",
      ["luabpf.expr.grammar"] = "lua/luabpf/expr/grammar.lua",
      ["luabpf.expr.lexer"] = "lua/luabpf/expr/lexer.lua",
      ["luabpf.expr.literal"] = "lua/luabpf/expr/literal.lua",
      ["luabpf.expr.load"] = "lua/luabpf/expr/load.lua",
      ["luabpf.expr.lower"] = "lua/luabpf/expr/lower.lua",
      ["luabpf.expr.match"] = "lua/luabpf/expr/match.lua",
      ["luabpf.expr.meaning"] = "lua/luabpf/expr/meaning.lua",
      ["luabpf.expr.params"] = "lua/luabpf/expr/params.lua",
      ["luabpf.expr.parse"] = "lua/luabpf/expr/parse.lua",
      ["luabpf.expr.parser"] = "lua/luabpf/expr/parser.lua",
      ["luabpf.expr.path"] = "lua/luabpf/expr/path.lua",
      ["luabpf.expr.search"] = "lua/luabpf/expr/search.lua",
      ["luabpf.expr.sharing"] = "lua/luabpf/expr/sharing.lua",
      ["luabpf.expr.tree"] = "lua/luabpf/expr/tree.lua",
      ["luabpf.expr.width"] = "lua/luabpf/expr/width.lua",
      ["luabpf.expr.word"] = "lua/luabpf/expr/word.lua",
      ["luabpf.file.checkpoint"] = "lua/luabpf/file/checkpoint.lua",
      ["luabpf.file.export"] = "lua/luabpf/file/export.lua",
      ["luabpf.file.import"] = "lua/luabpf/file/import.lua",
      ["luabpf.file.json"] = "lua/luabpf/file/json.lua",
      ["luabpf.file.outlet"] = "lua/luabpf/file/outlet.lua",
      ["luabpf.file.progress"] = "lua/luabpf/file/progress.lua",
      ["luabpf.file.request"] = "lua/luabpf/file/request.lua",
      ["luabpf.file.restore"] = "lua/luabpf/file/restore.lua",
      ["luabpf.file.sink"] = "lua/luabpf/file/sink.lua",
      ["luabpf.file.snapshot"] = "lua/luabpf/file/snapshot.lua",
      ["luabpf.init"] = "lua/luabpf/init.lua",
      ["luabpf.layout.declaration"] = "lua/luabpf/layout/declaration.lua",
      ["luabpf.layout.layout"] = "lua/luabpf/layout/layout.lua",
      ["luabpf.map.globals"] = "lua/luabpf/map/globals.lua",
      ["luabpf.map.methods"] = "lua/luabpf/map/methods.lua",
      ["luabpf.map.open"] = "lua/luabpf/map/open.lua",
      ["luabpf.parallel.parallel"] = "lua/luabpf/parallel/parallel.lua",
      ["luabpf.parallel.transfer"] = "lua/luabpf/parallel/transfer.lua",
      ["luabpf.parallel.worker"] = "lua/luabpf/parallel/worker.lua",
      ["luabpf.query.cost"] = "lua/luabpf/query/cost.lua",
      ["luabpf.query.explain"] = "lua/luabpf/query/explain.lua",
      ["luabpf.query.order"] = "lua/luabpf/query/order.lua",
      ["luabpf.query.prepare"] = "lua/luabpf/query/prepare.lua",
      ["luabpf.query.read"] = "lua/luabpf/query/read.lua",
      ["luabpf.query.run"] = "lua/luabpf/query/run.lua",
      ["luabpf.query.sweep"] = "lua/luabpf/query/sweep.lua",
      ["luabpf.show.features"] = "lua/luabpf/show/features.lua",
      ["luabpf.show.help"] = "lua/luabpf/show/help.lua",
      ["luabpf.show.help_texts"] = "lua/luabpf/show/help_texts.lua",
      ["luabpf.show.show"] = "lua/luabpf/show/show.lua",
    },
  },
}
test = {
  type = "command",
  script = "spec/run.lua",
}
