# Builds and installs with PGXS; the goals that need no installed server are
# at the end and work on a machine that has nothing but make.

TEST_GOALS = check check-sanitized demo bench fuzz

ifeq ($(filter $(TEST_GOALS),$(MAKECMDGOALS)),)

MODULE_big = streaming
EXTENSION = streaming
DATA_built = streaming--1.0.sql
PGFILEDESC = "streaming - continuous views over streams"

OBJS = \
	src/attempt.o \
	src/beneath.o \
	src/buffer.o \
	src/buffer_page.o \
	src/buffer_table.o \
	src/catalog.o \
	src/catalog_table.o \
	src/checkpoint.o \
	src/closest_match.o \
	src/command/alter_stream.o \
	src/command/alter_view.o \
	src/command/create_view.o \
	src/command/drop.o \
	src/command/internal.o \
	src/command/parts.o \
	src/command/reachable.o \
	src/command/restore.o \
	src/command/row_type.o \
	src/command/stream_options.o \
	src/command/utility.o \
	src/command/view_definition.o \
	src/command/view_functions.o \
	src/command/view_index.o \
	src/command/view_options.o \
	src/exec/aggregate.o \
	src/exec/batch.o \
	src/exec/change_stream.o \
	src/exec/close.o \
	src/exec/group.o \
	src/exec/late.o \
	src/exec/edge.o \
	src/exec/merge_session.o \
	src/exec/partition.o \
	src/exec/progress.o \
	src/exec/prune.o \
	src/exec/recompute.o \
	src/exec/result_index.o \
	src/exec/stage.o \
	src/exec/weigh.o \
	src/extension.o \
	src/fdw.o \
	src/format/avro_constant.o \
	src/format/avro_file.o \
	src/format/avro_read.o \
	src/format/avro_resolve.o \
	src/format/avro_schema.o \
	src/format/avro_value.o \
	src/format/convert.o \
	src/format/copy_record.o \
	src/format/decoder.o \
	src/format/encode.o \
	src/format/encode_avro.o \
	src/format/encode_value.o \
	src/format/format_avro.o \
	src/format/format_csv.o \
	src/format/format_json.o \
	src/format/format_text.o \
	src/format/json_reader.o \
	src/format/split.o \
	src/guc.o \
	src/http.o \
	src/index_lookup.o \
	src/input.o \
	src/input_buffer.o \
	src/input_event_time.o \
	src/input_snapshot.o \
	src/input_source.o \
	src/kafka.o \
	src/kafka_property.o \
	src/planned_batch.o \
	src/push_scan.o \
	src/query/bounds.o \
	src/query/check.o \
	src/query/compile.o \
	src/query/compile_bag.o \
	src/query/compile_partition.o \
	src/query/event_time.o \
	src/query/expand_views.o \
	src/query/explain.o \
	src/query/flatten_joins.o \
	src/query/fold.o \
	src/query/hash_order.o \
	src/query/key_index.o \
	src/query/layout.o \
	src/query/mutable.o \
	src/query/nest_joins.o \
	src/query/normalize.o \
	src/query/partial.o \
	src/query/session.o \
	src/query/time_bound.o \
	src/read_columns.o \
	src/reject.o \
	src/relation_locks.o \
	src/run_as.o \
	src/schema_registry.o \
	src/settings.o \
	src/shift_slot.o \
	src/shmem.o \
	src/sink/delivery_directory.o \
	src/sink/delivery_kafka.o \
	src/sink/file_place.o \
	src/sink/file_writer.o \
	src/sink/outbox.o \
	src/sink/outbox_table.o \
	src/sink/sink.o \
	src/sink/sink_call.o \
	src/sink/sink_console.o \
	src/sink/sink_directory.o \
	src/sink/sink_foreach.o \
	src/sink/sink_foreach_batch.o \
	src/sink/sink_functions.o \
	src/sink/sink_kafka.o \
	src/sink/sink_memory.o \
	src/sink/sink_rows.o \
	src/sink/sink_slots.o \
	src/sink/sink_stream.o \
	src/sink/sink_table.o \
	src/sink/sink_table_sql.o \
	src/sink/stream_writer.o \
	src/source/directory_files.o \
	src/source/directory_numbers.o \
	src/source/directory_reader.o \
	src/source/directory_tree.o \
	src/source/directory_watch.o \
	src/source/kafka_identity.o \
	src/source/kafka_marks.o \
	src/source/kafka_topic.o \
	src/source/push_tables.o \
	src/source/push_trim.o \
	src/source/source.o \
	src/source/source_directory.o \
	src/source/source_kafka.o \
	src/source/source_push.o \
	src/source/source_scan.o \
	src/state/group_key.o \
	src/state/row_map.o \
	src/state/state_table.o \
	src/statement.o \
	src/stats.o \
	src/stop_point.o \
	src/stream.o \
	src/streaming.o \
	src/vacuum.o \
	src/windows.o \
	src/worker/assign.o \
	src/worker/coordinator.o \
	src/worker/delivery_start.o \
	src/worker/delivery_worker.o \
	src/worker/drain.o \
	src/worker/ingest_start.o \
	src/worker/ingest_worker.o \
	src/worker/launcher.o \
	src/worker/query_worker.o \
	src/worker/reset.o \
	src/worker/slots.o \
	src/worker/view_slots.o \
	src/worker/watch.o \
	src/worker/worker_session.o

UNLISTED = $(filter-out $(OBJS),$(addsuffix .o,$(basename $(wildcard src/*.c src/*/*.c src/*/*.cc))))
ifneq ($(UNLISTED),)
$(error Makefile: OBJS lacks $(UNLISTED))
endif

REGRESS = $(patsubst sql/%.sql,%,$(sort $(wildcard sql/*.sql)))
REGRESS_OPTS = --load-extension=streaming

EXTRA_CLEAN = test/kafka/kafka_admin

# The server's own headers are not clean under the three that are switched off.
PG_CPPFLAGS = -Isrc
PG_CFLAGS = -Wextra -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers
PG_CXXFLAGS = -std=c++17 -fno-exceptions -fno-rtti -Wextra
SHLIB_LINK = -lrdkafka -lcurl -lsimdjson -lstdc++ -lz -lzstd

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

check:
	@test/check

check-sanitized:
	@test/sanitized

demo bench fuzz:
	@test/$@/run

# Other goals on the same command line.
$(filter-out $(TEST_GOALS),$(MAKECMDGOALS)):
	@$(MAKE) $@

endif

.PHONY: $(TEST_GOALS)
