# Builds and installs with PGXS; the goals that need no installed server are
# at the end and work on a machine that has nothing but make.

TEST_GOALS = check demo bench fuzz

ifeq ($(filter $(TEST_GOALS),$(MAKECMDGOALS)),)

MODULE_big = streaming
EXTENSION = streaming
DATA_built = streaming--1.0.sql
PGFILEDESC = "streaming - continuous views over streams"

OBJS = \
	$(addsuffix .o,$(basename $(sort $(wildcard src/*.c src/*/*.c src/*/*.cc src/*/*.cpp))))

REGRESS = $(patsubst sql/%.sql,%,$(sort $(wildcard sql/*.sql)))
REGRESS_OPTS = --load-extension=streaming

EXTRA_CLEAN = test/kafka/kafka_admin

# The server's own headers are not clean under the three that are switched off.
PG_CPPFLAGS = -Isrc
PG_CFLAGS = -Wextra -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers
PG_CXXFLAGS = -std=c++17 -fno-exceptions -fno-rtti -Wextra
SHLIB_LINK = -lrdkafka -lsimdjson -lstdc++ -lz -lzstd

# JIT could inline our functions from bitcode, but none of them is worth it,
# and making bitcode would need a clang of the server's version.
override with_llvm = no

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
ifeq ($(PGXS),)
$(error $(PG_CONFIG) does not run: install postgresql-server-dev for your server, or say PG_CONFIG=/path/to/pg_config; "make check" installs what it needs)
endif
include $(PGXS)

# Debian's PGXS tracks no dependencies, so every object depends on every header.
$(OBJS): $(wildcard src/*.h src/*/*.h) Makefile

streaming--1.0.sql: src/streaming.sql
	cp $< $@

# What the tests ask of a broker and kcat cannot do.
test/kafka/kafka_admin: test/kafka/kafka_admin.c
	$(CC) -O2 -g -Wall -Wextra -o $@ $< -lrdkafka

else

check demo bench fuzz:
	@test/$(if $(filter check,$@),check,$@/run)

# Other goals on the same command line.
$(filter-out $(TEST_GOALS),$(MAKECMDGOALS)):
	@$(MAKE) $@

endif

.PHONY: $(TEST_GOALS)
