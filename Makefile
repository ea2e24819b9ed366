# Builds and installs with PGXS; the goals that need no installed server are
# at the end and work on a machine that has nothing but make.

TEST_GOALS = check check-sanitized demo bench fuzz

ifeq ($(filter $(TEST_GOALS),$(MAKECMDGOALS)),)

MODULE_big = streaming
EXTENSION = streaming
DATA_built = streaming--1.0.sql
PGFILEDESC = "streaming - continuous views over streams"

OBJS = \
	src/base/attempt.o \
	src/base/call_memo.o \
	src/base/clean_text.o \
	src/base/closest_match.o \
	src/base/column_set.o \
	src/base/depend.o \
	src/base/durable.o \
	src/base/extend.o \
	src/base/index_lookup.o \
	src/base/settings.o \
	src/base/statement.o \
	src/base/stop_point.o \
	src/base/vacuum.o \
	src/buffer/buffer.o \
	src/buffer/buffer_page.o \
	src/buffer/buffer_table.o \
	src/buffer/shift_slot.o \
	src/catalog/catalog_table.o \
	src/catalog/checkpoint.o \
	src/catalog/extension.o \
	src/catalog/internal.o \
	src/catalog/missed_rows.o \
	src/catalog/object_name.o \
	src/catalog/planned_batch.o \
	src/catalog/position.o \
	src/catalog/progress.o \
	src/catalog/read_columns.o \
	src/catalog/relation_locks.o \
	src/catalog/run_as.o \
	src/catalog/stream.o \
	src/catalog/stream_changes.o \
	src/catalog/stream_key.o \
	src/catalog/view.o \
	src/command/alter_stream.o \
	src/command/alter_view.o \
	src/command/create_view.o \
	src/command/drop.o \
	src/command/explain.o \
	src/command/format_options.o \
	src/command/import_columns.o \
	src/command/import_directory.o \
	src/command/import_kafka.o \
	src/command/import_registry.o \
	src/command/import_schema.o \
	src/command/parts.o \
	src/command/reachable.o \
	src/command/retry_rejected.o \
	src/command/row_type.o \
	src/command/shown_names.o \
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
	src/exec/edge.o \
	src/exec/extreme.o \
	src/exec/first_rows.o \
	src/exec/fold.o \
	src/exec/group.o \
	src/exec/hash_order.o \
	src/exec/late.o \
	src/exec/look_up.o \
	src/exec/match.o \
	src/exec/merge_session.o \
	src/exec/partial.o \
	src/exec/partition.o \
	src/exec/prune.o \
	src/exec/recompute.o \
	src/exec/recursion.o \
	src/exec/result_index.o \
	src/exec/stage.o \
	src/exec/touched.o \
	src/exec/table_join.o \
	src/exec/top.o \
	src/exec/upsert.o \
	src/exec/view_state.o \
	src/exec/weigh.o \
	src/exec/weighted_bits.o \
	src/exec/weighted_sum.o \
	src/fdw.o \
	src/format/avro_constant.o \
	src/format/avro_file.o \
	src/format/avro_file_write.o \
	src/format/avro_pack.o \
	src/format/avro_read.o \
	src/format/avro_resolve.o \
	src/format/avro_schema.o \
	src/format/avro_type.o \
	src/format/avro_unpack.o \
	src/format/avro_value.o \
	src/format/change.o \
	src/format/columnar_file.o \
	src/format/columnar_type.o \
	src/format/columnar_value.o \
	src/format/columnar_write.o \
	src/format/compression.o \
	src/format/convert.o \
	src/format/copy_record.o \
	src/format/decoder.o \
	src/format/encode.o \
	src/format/encode_avro.o \
	src/format/encode_columnar.o \
	src/format/encode_protobuf.o \
	src/format/encode_source.o \
	src/format/encode_value.o \
	src/format/format_avro.o \
	src/format/format_columnar.o \
	src/format/format_csv.o \
	src/format/format_json.o \
	src/format/format_protobuf.o \
	src/format/format_text.o \
	src/format/json_reader.o \
	src/format/orc_process.o \
	src/format/key.o \
	src/format/path_partition.o \
	src/format/protobuf_derive.o \
	src/format/protobuf_descriptor.o \
	src/format/protobuf_json.o \
	src/format/protobuf_link.o \
	src/format/protobuf_parse.o \
	src/format/protobuf_read.o \
	src/format/protobuf_schema.o \
	src/format/protobuf_type.o \
	src/format/protobuf_value.o \
	src/format/protobuf_write_json.o \
	src/format/reject.o \
	src/format/row_group.o \
	src/format/scalar.o \
	src/format/scan_condition.o \
	src/format/schema_readers.o \
	src/format/schema_registry.o \
	src/format/split.o \
	src/format/wanted.o \
	src/guc.o \
	src/http.o \
	src/input/input.o \
	src/input/input_buffer.o \
	src/input/input_event_time.o \
	src/input/input_progress.o \
	src/input/input_retried.o \
	src/input/input_snapshot.o \
	src/input/input_source.o \
	src/kafka.o \
	src/kafka_abort.o \
	src/kafka_handle.o \
	src/kafka_pace.o \
	src/kafka_property.o \
	src/push/follow.o \
	src/push/follow_tables.o \
	src/push/follow_trigger.o \
	src/push/push_position.o \
	src/push/push_scan.o \
	src/push/push_tables.o \
	src/push/push_trim.o \
	src/push/source_push.o \
	src/query/bounds.o \
	src/query/check.o \
	src/query/compile.o \
	src/query/compile_aggregation.o \
	src/query/compile_bag.o \
	src/query/compile_changes.o \
	src/query/compile_edge.o \
	src/query/compile_join.o \
	src/query/compile_match.o \
	src/query/compile_panes.o \
	src/query/compile_partition.o \
	src/query/compile_recursion.o \
	src/query/compile_rows.o \
	src/query/compile_table_join.o \
	src/query/compile_top.o \
	src/query/compile_union.o \
	src/query/compile_values.o \
	src/query/compile_weights.o \
	src/query/evaluate_once.o \
	src/query/event_time.o \
	src/query/expand_views.o \
	src/query/flatten_joins.o \
	src/query/fold.o \
	src/query/followed.o \
	src/query/key_index.o \
	src/query/layout.o \
	src/query/mutable.o \
	src/query/nest_joins.o \
	src/query/normalize.o \
	src/query/normalize_exists.o \
	src/query/normalize_order.o \
	src/query/normalize_recursion.o \
	src/query/normalize_rows.o \
	src/query/normalize_with.o \
	src/query/partition_keys.o \
	src/query/partition_leaves.o \
	src/query/partition_sql.o \
	src/query/session.o \
	src/query/suffix.o \
	src/query/suffix_sql.o \
	src/query/time_bound.o \
	src/query/unused_outputs.o \
	src/query/weighted_forms.o \
	src/query/windows.o \
	src/shared/shmem.o \
	src/shared/sink_slots.o \
	src/shared/slots.o \
	src/shared/view_slots.o \
	src/sink/delivery_directory.o \
	src/sink/delivery_kafka.o \
	src/sink/file_place.o \
	src/sink/file_writer.o \
	src/sink/outbox.o \
	src/sink/outbox_table.o \
	src/sink/sink.o \
	src/sink/sink_call.o \
	src/sink/sink_console.o \
	src/sink/sink_cycle.o \
	src/sink/sink_directory.o \
	src/sink/sink_foreach.o \
	src/sink/sink_foreach_batch.o \
	src/sink/sink_functions.o \
	src/sink/sink_kafka.o \
	src/sink/sink_memory.o \
	src/sink/sink_push.o \
	src/sink/sink_rows.o \
	src/sink/sink_stream.o \
	src/sink/sink_table.o \
	src/sink/sink_table_sql.o \
	src/sink/stream_writer.o \
	src/source/beneath.o \
	src/source/directory_files.o \
	src/source/directory_numbers.o \
	src/source/directory_reader.o \
	src/source/directory_release.o \
	src/source/directory_tree.o \
	src/source/directory_watch.o \
	src/source/kafka_group.o \
	src/source/kafka_identity.o \
	src/source/kafka_marks.o \
	src/source/kafka_messages.o \
	src/source/kafka_survey.o \
	src/source/kafka_topic.o \
	src/source/kafka_topics.o \
	src/source/source.o \
	src/source/source_directory.o \
	src/source/source_kafka.o \
	src/source/source_scan.o \
	src/source/source_topics.o \
	src/source/topic_numbers.o \
	src/source/topic_parts.o \
	src/source/topic_pattern.o \
	src/state/group_key.o \
	src/state/row_image.o \
	src/state/row_map.o \
	src/state/state_look_up.o \
	src/state/state_table.o \
	src/state/state_ways.o \
	src/stats.o \
	src/stats_progress.o \
	src/streaming.o \
	src/worker/assign.o \
	src/worker/coordinator.o \
	src/worker/delivery_start.o \
	src/worker/delivery_worker.o \
	src/worker/drain.o \
	src/worker/ingest_release.o \
	src/worker/ingest_show.o \
	src/worker/ingest_start.o \
	src/worker/ingest_stream.o \
	src/worker/ingest_streams.o \
	src/worker/ingest_worker.o \
	src/worker/launcher.o \
	src/worker/query_due.o \
	src/worker/query_error.o \
	src/worker/query_worker.o \
	src/worker/reset.o \
	src/worker/restore.o \
	src/worker/watch.o \
	src/worker/worker_session.o

# Of the module streaming_arrow, see below.
ARROW_OBJS = src/arrow/magic.o src/arrow/streaming_arrow.o
ORC_OBJS = src/arrow/streaming_orc.o

UNLISTED = $(filter-out $(OBJS) $(ARROW_OBJS) $(ORC_OBJS),$(addsuffix .o,$(basename $(wildcard src/*.c src/*/*.c src/*/*.cc))))
ifneq ($(UNLISTED),)
$(error Makefile: OBJS lacks $(UNLISTED))
endif

REGRESS = $(patsubst sql/%.sql,%,$(sort $(wildcard sql/*.sql)))
REGRESS_OPTS = --load-extension=streaming

EXTRA_CLEAN = test/kafka/kafka_admin $(OBJS:.o=.d) $(ARROW_OBJS) $(ARROW_OBJS:.o=.d) $(ORC_OBJS) $(ORC_OBJS:.o=.d) \
	streaming_arrow$(DLSUFFIX) streaming_orc

# -MMD notes which headers an object is made of, which Debian's PGXS does not.
PG_CPPFLAGS = -Isrc -MMD -MP
# The server's own headers are not clean under the three that are switched off.
PG_CFLAGS = -Wextra -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers
PG_CXXFLAGS = -std=c++17 -fno-exceptions -fno-rtti -Wextra
SHLIB_LINK = -lrdkafka -lcurl -lsimdjson -lstdc++ -lz -lzstd -lsnappy -lbz2 -llzma

# JIT could inline our functions from bitcode, but none of them is worth it,
# and making bitcode would need a clang of the server's version.
override with_llvm = no

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
ifeq ($(PGXS),)
$(error $(PG_CONFIG) does not run: install postgresql-server-dev for your server, or say PG_CONFIG=/path/to/pg_config; "make check" installs what it needs)
endif
include $(PGXS)

$(OBJS): Makefile
-include $(OBJS:.o=.d)

# The module for Parquet, ORC and Arrow's own files is a library of its own, since Arrow's is
# large: it is built where that is found. ARROW is a directory with include/ and the
# libraries, such as the package pyarrow of Python has it; else pkg-config is asked.
ifneq ($(ARROW),)
ARROW_CPPFLAGS = -isystem $(ARROW)/include
ARROW_LIBS = $(firstword $(wildcard $(ARROW)/libparquet.so*)) $(firstword $(wildcard $(ARROW)/libarrow.so*)) -Wl,-rpath,$(ARROW)
else ifeq ($(shell pkg-config --exists 'arrow >= 25' 'parquet >= 25' 2>/dev/null && echo yes),yes)
ARROW_CPPFLAGS = $(shell pkg-config --cflags arrow parquet)
ARROW_LIBS = $(shell pkg-config --libs arrow parquet)
endif

ifneq ($(ARROW_LIBS),)
all: streaming_arrow$(DLSUFFIX)
install: install-arrow
# ORC is read by a program, where Arrow has its adapter.
ifneq ($(shell echo '\#include <arrow/adapters/orc/adapter.h>' | $(CXX) -std=c++20 $(ARROW_CPPFLAGS) -x c++ -E - >/dev/null 2>&1 && echo yes),)
all: streaming_orc
install: install-orc
endif
endif

$(filter-out src/arrow/magic.o,$(ARROW_OBJS) $(ORC_OBJS)): %.o: %.cc Makefile
	$(CXX) -std=c++20 -O2 -g -fPIC -fvisibility=hidden -Wall -Wextra -Wno-unused-parameter $(COPT) -Isrc -MMD -MP $(ARROW_CPPFLAGS) -c -o $@ $<
-include $(ARROW_OBJS:.o=.d) $(ORC_OBJS:.o=.d)

streaming_arrow$(DLSUFFIX): $(ARROW_OBJS)
	$(CXX) -shared -o $@ $^ $(ARROW_LIBS)

streaming_orc: $(ORC_OBJS)
	$(CXX) -o $@ $^ $(ARROW_LIBS)

install-arrow: streaming_arrow$(DLSUFFIX)
	$(MKDIR_P) '$(DESTDIR)$(pkglibdir)'
	$(INSTALL_SHLIB) $< '$(DESTDIR)$(pkglibdir)/'

install-orc: streaming_orc
	$(MKDIR_P) '$(DESTDIR)$(pkglibdir)'
	$(INSTALL_PROGRAM) $< '$(DESTDIR)$(pkglibdir)/'

uninstall: uninstall-arrow
uninstall-arrow:
	rm -f '$(DESTDIR)$(pkglibdir)/streaming_arrow$(DLSUFFIX)' '$(DESTDIR)$(pkglibdir)/streaming_orc'

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

.PHONY: $(TEST_GOALS) install-arrow install-orc uninstall-arrow
