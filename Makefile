# luabpf: a Lua 5.4 module for the maps of a running Linux kernel.
#
#   make          the module (luabpf/core.so) and the BPF objects (bpf/*.bpf.o)
#   make demo     a connection table of real traffic, read, summed up and cleaned
#   make test     the specs, against the running kernel
#
# demo and test set up what they need (scripts/setup). V=1 shows the commands,
# WERROR=1 makes warnings errors.

CC ?= gcc
CLANG ?= clang
LUA ?= lua5.4
PKG_CONFIG ?= pkg-config
BUILD ?= .build
CFLAGS ?= -O2 -g

LUA_CFLAGS ?= $(if $(LUA_INCDIR),-I$(LUA_INCDIR),$(shell $(PKG_CONFIG) --cflags lua5.4 2>/dev/null))
LIBBPF_CFLAGS ?= $(if $(LIBBPF_INCDIR),-I$(LIBBPF_INCDIR))
LIBBPF_LIBS ?= $(if $(LIBBPF_LIBDIR),-L$(LIBBPF_LIBDIR)) -lbpf
LIBFLAG ?= -shared

WARN = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings \
	-Wpointer-arith -Wcast-qual -Wundef -Wvla -Wformat=2 -Wnull-dereference -Wdouble-promotion \
	$(if $(WERROR),-Werror)
override ALL_CFLAGS = -std=gnu11 -D_GNU_SOURCE -fPIC -fvisibility=hidden $(WARN) $(CFLAGS) \
	$(LUA_CFLAGS) $(LIBBPF_CFLAGS) -MMD -MP

SRC = $(wildcard luabpf/*.c)
OBJ = $(SRC:luabpf/%.c=$(BUILD)/%.o)
BPF_SRC = $(wildcard bpf/*.bpf.c)
BPF_OBJ = $(BPF_SRC:.c=.o)

MSG = $(if $(V),,@printf '  %-7s %s\n' $(1) $(2);)

.DELETE_ON_ERROR:
.PHONY: all bpf demo test lint clean

all: luabpf/core.so bpf

luabpf/core.so: $(OBJ)
	$(call MSG,LINK,$@)$(CC) $(LIBFLAG) $(CFLAGS) $(LDFLAGS) -o $@ $(OBJ) $(LIBBPF_LIBS) -pthread

$(BUILD)/%.o: luabpf/%.c Makefile | $(BUILD)
	$(call MSG,CC,$@)$(CC) $(ALL_CFLAGS) -c -o $@ $<

$(BUILD):
	@mkdir -p $@

ifneq ($(shell command -v $(CLANG) 2>/dev/null),)
bpf: $(BPF_OBJ)
else
bpf:
	@echo "$(CLANG) not found: the example BPF programs (bpf/*.bpf.c) were left out" >&2
endif

BPF_INC ?= $(shell echo | $(CLANG) -xc -v -E - 2>&1 | \
	sed -n '/<...> search starts here:/,/End of search list./{ s| \(/.*\)|-idirafter \1|p }')

bpf/%.bpf.o: bpf/%.bpf.c Makefile
	$(call MSG,BPF,$@)$(CLANG) -g -O2 -Wall -Werror -target bpf -mcpu=v3 $(LIBBPF_CFLAGS) \
		$(BPF_INC) -c -o $@ $<

clean:
	rm -rf $(BUILD) luabpf/core.so bpf/*.bpf.o

-include $(OBJ:.o=.d)
