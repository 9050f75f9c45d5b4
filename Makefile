# luabpf: a Lua 5.4 module for the maps of a running Linux kernel.
#
#   make          the module (luabpf/core.so) and the BPF objects (bpf/*.bpf.o)
#   make demo     a connection table of real traffic, read, summed up and cleaned
#   make test     the specs, against the running kernel; ARGS=--filter=pattern
#   make shell    a Lua prompt that has this checkout's luabpf as bpf
#   make paths    prints the lines that have scripts find this checkout
#   make lint     luacheck, and what a script can check of the house style
#   make docs     the reference, types, help and option tables, from the comments beside the code
#   make bench    the module against a C baseline; ARGS=--quick
#   make performance   docs/performance.md from a long benchmark; make fit: the cost model
#   make race     sweeps and scans against a process that refreshes entries: minutes
#   make storm    changes and resets while programs count, ten minutes each; ARGS=SECONDS
#   make fuzz     ten minutes each of damaged code in the interpreter, damaged object files,
#                 damaged expressions, and sound ones and functions in every engine against
#                 Lua; ARGS=SECONDS
#   make mutants  whether that finds wrong versions of the compiler of functions; ARGS=FUNCTIONS
#   make soak     all kinds of work on maps under churn, a minute; ARGS=SECONDS
#   make faults   each public operation with every call of it failing, and more that may befall
#                 it: half an hour; ARGS='--seconds=60 --only=map:count', see
#                 spec/support/faults/run.lua
#   make asan     the specs under AddressSanitizer and UndefinedBehaviorSanitizer
#   make tsan     those of threads, and of readers of events, under ThreadSanitizer
#   make test-kernels        specs on Debian's Linux 6.1 and 6.12, emulated; KERNELS=6.1,
#                            ARGS=spec/map/methods_spec.lua
#   make test-kernels-short  a minute of it, on 6.1
#   make clean
#
# All but the first and the last set up what they need (scripts/setup). V=1 shows the
# commands, WERROR=1 makes warnings errors.

ifeq ($(origin CC),default)
CC = gcc
endif
CLANG ?= clang
LUA ?= lua5.4
PKG_CONFIG ?= pkg-config
BUILD ?= .build
# Where the module goes: a folder luabpf in a folder that is on LUA_CPATH as ?.so.
MODULE ?= luabpf/core.so
CFLAGS ?= -O2 -g

LUA_CFLAGS ?= $(if $(LUA_INCDIR),-I$(LUA_INCDIR),$(or \
	$(shell $(PKG_CONFIG) --cflags lua5.4 2>/dev/null),-I/usr/include/lua5.4))
LIBBPF_CFLAGS ?= $(if $(LIBBPF_INCDIR),-I$(LIBBPF_INCDIR))
LIBBPF_LIBS ?= $(if $(LIBBPF_LIBDIR),-L$(LIBBPF_LIBDIR)) -lbpf
LIBELF_LIBS ?= -lelf
LIBFLAG ?= -shared

WARN = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings \
	-Wpointer-arith -Wcast-qual -Wundef -Wvla -Wformat=2 -Wnull-dereference -Wdouble-promotion \
	-Wframe-larger-than=69632 $(if $(WERROR),-Werror)
override ALL_CFLAGS = -std=gnu11 -D_GNU_SOURCE -fPIC -fvisibility=hidden $(WARN) $(CFLAGS) \
	-Iluabpf $(LIBBPF_CFLAGS) -MMD -MP
SANITIZE = -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined \
	-fno-sanitize-recover=undefined
SANITIZE_THREADS = -O1 -g -fno-omit-frame-pointer -fsanitize=thread

LIB_OBJ = $(patsubst luabpf/%.c,$(BUILD)/%.o,$(wildcard luabpf/lib/*/*.c))
BIND_OBJ = $(patsubst luabpf/%.c,$(BUILD)/%.o,$(wildcard luabpf/*.c luabpf/bind/*.c luabpf/bind/*/*.c))
OBJ = $(LIB_OBJ) $(BIND_OBJ)
BPF_OBJ = $(patsubst %.c,%.o,$(wildcard bpf/*.bpf.c))
ENGINE_TESTS = $(patsubst spec/engine/%.c,$(BUILD)/engine/%,$(wildcard spec/engine/*.c))
TRAFFIC = $(patsubst examples/%.c,$(BUILD)/%,$(wildcard examples/*.c))
BENCH = $(patsubst bench/%.c,$(BUILD)/%,$(wildcard bench/*.c))
SUPPORT = $(patsubst spec/support/%.c,$(BUILD)/support/%.so,$(wildcard spec/support/*.c))

MSG = $(if $(V),,@printf '  %-7s %s\n' $(1) $(2);)
SETUP = CC='$(CC)' CLANG='$(CLANG)' LUA='$(LUA)' LUA_CFLAGS='$(LUA_CFLAGS)' \
	LIBBPF_CFLAGS='$(LIBBPF_CFLAGS)' scripts/setup
# Set-up may have brought the compilers: what is built after it is left to another make, which
# uses every processor unless it is told how many.
THEN = @$(MAKE) --no-print-directory $(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell nproc))
# Runs a program with this checkout's module and Lua files.
RUN = @env -u MAKEFLAGS -u MFLAGS LUA_PATH='$(CURDIR)/lua/?.lua;$(CURDIR)/lua/?/init.lua;;' \
	LUA_CPATH='$(patsubst %/luabpf/core.so,%,$(abspath $(MODULE)))/?.so;;' \
	LUABPF_BUILD='$(abspath $(BUILD))'

.DELETE_ON_ERROR:
.PHONY: all bpf install-bpf demo test shell paths lint docs bench performance fit race storm \
	fuzz mutants soak faults asan tsan test-kernels test-kernels-short build-demo build-test \
	build-bench build-asan run-asan run-tsan clean FORCE

all: $(MODULE) bpf

# ---- the module ------------------------------------------------------------------

$(MODULE): $(OBJ)
	@mkdir -p $(@D)
	$(call MSG,LINK,$@)$(CC) $(LIBFLAG) $(CFLAGS) $(LDFLAGS) -o $@ $(OBJ) $(LIBBPF_LIBS) $(LIBELF_LIBS) -pthread -ldl

# What is below luabpf/lib cannot include Lua's headers: it is not told where they are.
$(BIND_OBJ): CORE_CFLAGS = $(LUA_CFLAGS)

$(BUILD)/%.o: luabpf/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call MSG,CC,$@)$(CC) $(ALL_CFLAGS) $(CORE_CFLAGS) -c -o $@ $<

# Another compiler or other flags: everything is built again, if the headers are there.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)/engine
	@[ "$$(cat $@ 2>/dev/null)" = '$(CC) $(ALL_CFLAGS) $(LUA_CFLAGS)' ] || \
		{ $(SETUP) --check module && echo '$(CC) $(ALL_CFLAGS) $(LUA_CFLAGS)' >$@; }

# ---- BPF objects ------------------------------------------------------------------

ifneq ($(shell command -v $(CLANG) 2>/dev/null),)
bpf: $(BPF_OBJ)
else
bpf:
	@echo "luabpf: $(CLANG) not found: the example BPF programs (bpf/*.bpf.c) were left out" >&2
endif

BPF_INC ?= $(shell echo | $(CLANG) -xc -v -E - 2>&1 | \
	sed -n '/<...> search starts here:/,/End of search list./{ s| \(/.*\)|-idirafter \1|p }')

bpf/%.bpf.o: bpf/%.bpf.c $(wildcard bpf/*.h) Makefile
	$(call MSG,BPF,$@)$(CLANG) -g -O2 -Wall -Werror -target bpf -mcpu=v3 $(LIBBPF_CFLAGS) \
		$(BPF_INC) -c -o $@ $<

# For the rockspec, after all: the objects that the Lua modules load, if they could be built.
install-bpf:
	@[ ! -e bpf/conntrack.bpf.o ] || install -D -m 644 bpf/conntrack.bpf.o \
		'$(LUADIR)/luabpf/bpf/conntrack.bpf.o'

# ---- programs for the demo, the specs and the benchmark ----------------------------

$(BUILD)/%: examples/%.c $(BUILD)/flags
	$(call MSG,CC,$@)$(CC) $(ALL_CFLAGS) -o $@ $< $(LDFLAGS) -pthread

$(BUILD)/%: bench/%.c $(BUILD)/flags
	$(call MSG,CC,$@)$(CC) $(ALL_CFLAGS) -o $@ $< $(LDFLAGS) $(LIBBPF_LIBS) -pthread

# Lua modules of the specs' own.
$(BUILD)/support/%.so: spec/support/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call MSG,CC,$@)$(CC) $(LIBFLAG) $(ALL_CFLAGS) $(LUA_CFLAGS) -o $@ $< $(LDFLAGS)

# Without Lua: what is in the library stands on its own.
$(BUILD)/engine/%: spec/engine/%.c $(BUILD)/lib.a
	$(call MSG,CC,$@)$(CC) $(ALL_CFLAGS) -o $@ $< $(LDFLAGS) $(BUILD)/lib.a \
		$(LIBBPF_LIBS) $(LIBELF_LIBS) -pthread

$(BUILD)/lib.a: $(LIB_OBJ)
	@rm -f $@
	$(call MSG,AR,$@)$(AR) rcs $@ $(LIB_OBJ)

# Preloaded, for `make faults`. What is in it must not be taken for the C library's own.
$(BUILD)/faults.so: $(wildcard spec/support/faults/*.[ch]) $(BUILD)/flags
	$(call MSG,CC,$@)$(CC) $(filter-out -MMD -MP,$(ALL_CFLAGS)) -fno-builtin $(LUA_CFLAGS) -shared \
		-o $@ $(filter %.c,$^) $(LDFLAGS)

# ---- the targets that people type ---------------------------------------------------

build-demo: all $(TRAFFIC)
build-test: all $(TRAFFIC) $(BENCH) $(ENGINE_TESTS) $(SUPPORT) $(BUILD)/faults.so
build-bench: all $(BENCH)

demo:
	@$(SETUP) demo
	$(THEN) build-demo
	$(RUN) $(LUA) examples/demo.lua $(ARGS)

shell:
	@$(SETUP) shell
	$(THEN) all
	$(RUN) $(LUA) bin/luabpf $(ARGS)

paths:
	@echo "export LUA_PATH='$(CURDIR)/lua/?.lua;$(CURDIR)/lua/?/init.lua;;'"
	@echo "export LUA_CPATH='$(patsubst %/luabpf/core.so,%,$(abspath $(MODULE)))/?.so;;'"

test:
	@$(SETUP) test
	$(THEN) build-test
	$(RUN) $(LUA) spec/run.lua $(ARGS)

bench:
	@$(SETUP) bench
	$(THEN) build-bench
	$(RUN) $(LUA) bench/bench.lua $(ARGS)

race:
	@$(SETUP) test
	$(THEN) build-test
	$(RUN) LUABPF_RACE=long $(LUA) spec/run.lua spec/query/race_spec.lua

# Each race of changes and resets for so many seconds; the figures are those of docs/updates.md.
storm:
	@$(SETUP) test
	$(THEN) build-test
	$(RUN) LUABPF_STORM=$(or $(ARGS),600) $(LUA) spec/run.lua spec/query/storm_spec.lua

# Meant to find nothing: a failure says the seed or the text that it is found again with.
FUZZ_SECONDS = $(or $(ARGS),600)
FUZZ_LIMIT = timeout $$(($(FUZZ_SECONDS) * 3 + 60))

fuzz:
	@$(SETUP) test
	$(THEN) .build/asan/engine/fuzz_interp .build/asan/engine/fuzz_object bpf \
		BUILD=.build/asan CFLAGS='$(SANITIZE)'
	$(THEN) build-test
	@SEED=$${SEED:-$$(date +%s)} $(FUZZ_LIMIT) .build/asan/engine/fuzz_interp $(FUZZ_SECONDS)
	@$(FUZZ_LIMIT) .build/asan/engine/fuzz_object $$(date +%s)000000 0 $(FUZZ_SECONDS) bpf/*.bpf.o
	$(RUN) LUABPF_FUZZ=$(FUZZ_SECONDS) $(FUZZ_LIMIT) \
		$(LUA) spec/run.lua --filter='take any text' spec/expr/parse_spec.lua
	$(RUN) LUABPF_FUZZ=$(FUZZ_SECONDS) $(FUZZ_LIMIT) \
		$(LUA) spec/run.lua spec/query/differential_spec.lua
	$(RUN) LUABPF_FUZZ=$(FUZZ_SECONDS) $(FUZZ_LIMIT) \
		$(LUA) spec/run.lua spec/function/differential_spec.lua

# Whether that fuzz finds wrong versions of the compiler of functions, by 20,000 functions each.
mutants:
	@$(SETUP) test
	$(THEN) build-test
	$(RUN) $(LUA) spec/mutants/run.lua $(ARGS)

performance:
	@$(SETUP) bench
	$(THEN) build-bench
	$(RUN) $(LUA) bench/bench.lua --all --json $(ARGS) >docs/performance.json
	$(RUN) $(LUA) bench/charts.lua docs/performance.json docs

fit:
	@$(SETUP) bench
	$(THEN) all
	$(RUN) $(LUA) bench/fit.lua $(ARGS)

soak:
	@$(SETUP) test
	$(THEN) build-test
	$(RUN) $(LUA) spec/support/soak.lua $(ARGS)

faults:
	@$(SETUP) test
	$(THEN) build-test
	$(RUN) LUABPF_FAULTS='$(abspath $(BUILD))/faults.so' $(LUA) spec/support/faults/run.lua $(ARGS)

# Leaks are looked for in the engine tests only: Lua leaves its memory to exit(2). Tests
# tagged #resident measure memory, of which the sanitizers take their own share.
SANITIZED = BUILD=.build/asan MODULE=.build/asan/luabpf/core.so CFLAGS='$(SANITIZE)'

asan:
	@$(SETUP) asan
	$(THEN) run-asan $(SANITIZED)

build-asan:
	@$(SETUP) asan
	$(THEN) build-test $(SANITIZED)

run-asan: build-test
	$(RUN) LD_PRELOAD="$$($(CC) -print-file-name=libasan.so)" ASAN_OPTIONS=detect_leaks=0 \
		$(LUA) spec/run.lua --cpath='$(CURDIR)/.build/asan/?.so' \
		--exclude-tags=resident,preload,forked $(ARGS)

# Each thread's Lua state is its own: what Lua itself does needs no look. Addresses are not
# random: gcc 12's runtime refuses some that newer kernels give. The runtime is loaded into Lua
# alone, by the dynamic linker: a shell (dash) crashes with it.
LD_SO = $(firstword $(wildcard /lib64/ld-linux-x86-64.so.2 /lib/ld-linux-aarch64.so.1))
LUA_TSAN = $(LD_SO) --preload $$($(CC) -print-file-name=libtsan.so) $$(command -v $(LUA))
THREAD_SPECS = spec/parallel spec/function/differential_spec.lua \
	$(patsubst %,spec/event/%_spec.lua,holders odd reader views wait)

tsan:
	@$(SETUP) asan
	$(THEN) run-tsan BUILD=.build/tsan MODULE=.build/tsan/luabpf/core.so \
		CFLAGS='$(SANITIZE_THREADS)'

run-tsan: build-test
	$(RUN) LUABPF_LUA="$(LUA_TSAN)" LUABPF_FUNCTIONS=$${LUABPF_FUNCTIONS:-400} \
		TSAN_OPTIONS='exitcode=66 halt_on_error=1' \
		setarch -R $(LUA_TSAN) spec/run.lua --cpath='$(CURDIR)/.build/tsan/?.so' \
		--exclude-tags=resident,preload,forked $(or $(ARGS),$(THREAD_SPECS))

# Specs of what depends on the kernel; none of them is decided by timings. What compiles,
# parses, lays out or checks documents is the same on all kernels.
KERNELS ?= 6.1 6.12
KERNEL_SPECS_SHORT = smoke map/methods map/open map/keys object/program query/read query/sweep
KERNEL_SPECS = $(KERNEL_SPECS_SHORT) map/batches base/iter map/churn layout/codec layout/btf \
	engine/engine object/object object/link map/limits map/keyset query/differential privilege \
	show/features conntrack/conntrack conntrack/conntrack_packets docs/conntrack_doc docs/examples \
	event/reader event/wait event/odd event/volume event/delay event/symbol query/groups map/mapping \
	query/computed query/computed_groups query/fold query/selected \
	query/cpus query/edit query/reset query/storm query/update \
	base/preemption expr/search expr/functions query/order $(FUNCTION_SPECS:%=function/%)
FUNCTION_SPECS = changes compile differential effects effects_differential emit_sets networks places rows \
	sets tables
KERNEL_TEST = @for kernel in $(KERNELS); do BUILD='$(BUILD)' LUA='$(LUA)' MODULE='$(MODULE)' \
	scripts/kernel-test "$$kernel" --exclude-tags=slow

test-kernels:
	@$(SETUP) kernels
	$(THEN) build-test
	$(KERNEL_TEST) $(or $(ARGS),$(KERNEL_SPECS:%=spec/%_spec.lua)) || exit; done

test-kernels-short: KERNELS = 6.1
test-kernels-short:
	@$(SETUP) kernels
	$(THEN) build-test
	$(KERNEL_TEST) $(or $(ARGS),$(KERNEL_SPECS_SHORT:%=spec/%_spec.lua)) || exit; done

lint:
	@$(SETUP) lint
	$(THEN) all
	@luacheck -q --no-color .
	$(RUN) $(LUA) spec/support/faults/covered.lua
	@LUA='$(LUA)' scripts/lint
	@BUILD='$(BUILD)' LUA='$(LUA)' scripts/docs/run --check

docs:
	@$(SETUP) docs
	@BUILD='$(BUILD)' LUA='$(LUA)' scripts/docs/run
	@$(LUA) scripts/layers --draw

clean:
	rm -rf .build luabpf/core.so bpf/*.bpf.o

-include $(shell find $(BUILD) -maxdepth 4 -name '*.d' -not -path '*/kernels/*' 2>/dev/null)
