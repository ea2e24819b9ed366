/* src/streaming.sql: objects of the extension streaming, one section per concern */

\echo Use "CREATE EXTENSION streaming" to load this file. \quit

-- ---------------------------------------------------------------------------
-- Schemas
-- ---------------------------------------------------------------------------

CREATE SCHEMA streaming_internal;
COMMENT ON SCHEMA streaming_internal IS 'tables of continuous views and streams, made and dropped with them, and what the extension knows of these';

CREATE FUNCTION streaming_internal.check_loaded() RETURNS void
    LANGUAGE C STRICT AS 'MODULE_PATHNAME', 'streaming_check_loaded';
COMMENT ON FUNCTION streaming_internal.check_loaded() IS 'raises an error unless the server has preloaded the library';
REVOKE EXECUTE ON FUNCTION streaming_internal.check_loaded() FROM PUBLIC;
SELECT streaming_internal.check_loaded();

CREATE SCHEMA streaming;
COMMENT ON SCHEMA streaming IS 'what users of streams and continuous views see';
GRANT USAGE ON SCHEMA streaming, streaming_internal TO PUBLIC;

-- objects that are not qualified are made there: what users read.  Our own are in the other
SELECT pg_catalog.set_config('search_path', 'streaming, pg_catalog, pg_temp', true);

-- ---------------------------------------------------------------------------
-- Catalog
--
-- Everything here is the users' data: pg_dump takes it.  Only the extension
-- writes to it.
-- ---------------------------------------------------------------------------

CREATE SEQUENCE streaming_internal.continuous_view_id AS int CYCLE;
COMMENT ON SEQUENCE streaming_internal.continuous_view_id IS 'numbers that name the tables of continuous views; its start names those of streams. By chance and not dumped, so that a dump of another database brings other names';
DO $$
BEGIN
    EXECUTE pg_catalog.format('ALTER SEQUENCE streaming_internal.continuous_view_id START %s RESTART',
        1 + pg_catalog.floor(pg_catalog.random() * 2147483647)::int8);
END
$$;

CREATE TABLE streaming_internal.continuous_view (
    view                    regclass PRIMARY KEY,
    id                      int      NOT NULL UNIQUE,
    definition              regclass NOT NULL,
    result                  regclass,
    sink_kind               text     NOT NULL,
    sink                    regclass,
    output_mode             text     NOT NULL CHECK (output_mode IN ('append', 'update', 'complete')),
    trigger                 text     NOT NULL,
    start                   text,
    max_rows_per_trigger    bigint,
    max_files_per_trigger   bigint,
    catch_up_rate           bigint,
    enabled                 boolean  NOT NULL DEFAULT true,
    settings                text[]   NOT NULL,
    generation              bigint   NOT NULL DEFAULT 0,
    home                    text     NOT NULL,
    relations               text[]   NOT NULL,
    tables                  regclass[] NOT NULL
);
COMMENT ON TABLE streaming_internal.continuous_view IS 'definition of each continuous view';
COMMENT ON COLUMN streaming_internal.continuous_view.sink_kind IS 'own (its own table), memory, relation (column sink), console, foreach, foreach_batch';
COMMENT ON COLUMN streaming_internal.continuous_view.settings IS 'settings of the session that made the view, name=value, which its batches run with';
COMMENT ON COLUMN streaming_internal.continuous_view.home IS 'cluster, database and view the row was made for; another value tells a restored row';
COMMENT ON COLUMN streaming_internal.continuous_view.relations IS 'relations in streaming_internal that were made for the view';
COMMENT ON COLUMN streaming_internal.continuous_view.tables IS 'ordinary tables of its query that the view follows';

CREATE TABLE checkpoints (
    view            regclass NOT NULL,
    stream          regclass NOT NULL,
    partition       text     NOT NULL,
    position        text     NOT NULL,
    batch_id        bigint   NOT NULL,
    committed_at    timestamptz NOT NULL,
    event_time      timestamptz,
    incarnation     bigint   NOT NULL DEFAULT 0,
    PRIMARY KEY (view, stream, partition)
) WITH (fillfactor = 50);
COMMENT ON TABLE checkpoints IS 'source positions that each continuous view''s sink reflects';

COMMENT ON COLUMN checkpoints.event_time IS 'largest event time before the position, if the view depends on a watermark';
COMMENT ON COLUMN checkpoints.incarnation IS 'the topic that the position is of, in streaming_internal.topics; 0: of no topic';

CREATE TABLE streaming_internal.progress (
    view            regclass PRIMARY KEY,
    batch_id        bigint NOT NULL DEFAULT 0,
    input_rows      bigint NOT NULL DEFAULT 0,
    output_rows     bigint NOT NULL DEFAULT 0,
    late_rows       bigint NOT NULL DEFAULT 0,
    state_rows      bigint NOT NULL DEFAULT 0,
    watermark       timestamptz,
    last_batch_ms   float8,
    last_batch_at   timestamptz,
    stage_input_rows  bigint[],
    stage_output_rows bigint[],
    stage_state_rows  bigint[],
    stage_ms          float8[],
    stage_kinds       text[],
    unknown_keys    bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
COMMENT ON TABLE streaming_internal.progress IS 'running totals of each continuous view, written with each batch';
COMMENT ON COLUMN streaming_internal.progress.stage_kinds IS 'of its stages (32 at most), as the four before: see stat_operators';

CREATE TABLE files (
    stream          regclass NOT NULL,
    file            bigint   NOT NULL,
    path            text     COLLATE "C" NOT NULL,
    size            bigint   NOT NULL,
    modified        timestamptz NOT NULL,
    records         bigint,
    changed         timestamptz,
    PRIMARY KEY (stream, file),
    UNIQUE (stream, path)
);
COMMENT ON TABLE files IS 'files that directory streams have seen; numbers order them';
COMMENT ON COLUMN files.records IS 'how many it has; NULL: it has not been read to its end, as it is now; -1: it vanished and nobody needed it; -3, -4, -5: it is to be archived or deleted, is hidden for that, is gone';
COMMENT ON COLUMN files.changed IS 'when it was last noticed that the file is not what it was when it was taken; NULL: it is';

CREATE TABLE streaming_internal.topics (
    stream          regclass NOT NULL,
    incarnation     bigint   NOT NULL,
    partition       int      NOT NULL,
    topic           text     COLLATE "C" NOT NULL,
    position        bigint   NOT NULL,
    sent_ms         bigint   NOT NULL,
    digest          bigint   NOT NULL,
    PRIMARY KEY (stream, incarnation, partition)
);
COMMENT ON TABLE streaming_internal.topics IS 'topics that Kafka streams have read, and records by which they are known again';
COMMENT ON COLUMN streaming_internal.topics.incarnation IS 'number of the topic among those that the stream has read';
COMMENT ON COLUMN streaming_internal.topics.partition IS 'partition that has the record; -1: the row is there for the name of the topic';
COMMENT ON COLUMN streaming_internal.topics.sent_ms IS 'timestamp of the record, in milliseconds since 1970';

CREATE TABLE streaming_internal.topic_partitions (
    stream          regclass NOT NULL,
    number          int      NOT NULL,
    topic           text     COLLATE "C" NOT NULL,
    partition       int      NOT NULL,
    gone            boolean  NOT NULL,
    position        bigint,
    sent_ms         bigint,
    digest          bigint,
    PRIMARY KEY (stream, number)
);
COMMENT ON TABLE streaming_internal.topic_partitions IS 'partitions of Kafka streams that read all topics which match a regular expression';
COMMENT ON COLUMN streaming_internal.topic_partitions.number IS 'by which all else knows the partition, as column partition of streaming.checkpoints';
COMMENT ON COLUMN streaming_internal.topic_partitions.gone IS 'the topic has been deleted; one that is made anew gets other numbers';
COMMENT ON COLUMN streaming_internal.topic_partitions.position IS 'of a record by which the partition is known again, as sent_ms and digest; NULL: of none';

CREATE TABLE rejected_rows (
    stream          regclass NOT NULL,
    partition       text     NOT NULL,
    position        text     NOT NULL,
    path            text,
    payload         bytea,
    error           text     NOT NULL,
    column_name     name,
    sqlstate        text,
    rejected_at     timestamptz NOT NULL DEFAULT now(),
    key             bytea,
    sent_ms         bigint,
    whole           boolean  NOT NULL DEFAULT false,
    UNIQUE (stream, partition, position)
);
ALTER TABLE rejected_rows REPLICA IDENTITY USING INDEX rejected_rows_stream_partition_position_key;
COMMENT ON TABLE rejected_rows IS 'records that could not be decoded, with the reason; shown to the owner of the stream';
COMMENT ON COLUMN rejected_rows.path IS 'the file that the record is in; of a stream that reads many topics, topic:partition';
COMMENT ON COLUMN rejected_rows.column_name IS 'the column that has no value for it; NULL: the record as a whole is wrong';
COMMENT ON COLUMN rejected_rows.key IS 'of the message';
COMMENT ON COLUMN rejected_rows.sent_ms IS 'timestamp of the message, in milliseconds since 1970';
COMMENT ON COLUMN rejected_rows.whole IS 'payload is a record, which streaming.retry_rejected can decode again; if not, what could be read of one';

CREATE TABLE streaming_internal.missed_rows (
    stream          regclass NOT NULL,
    partition       text     NOT NULL,
    position        text     NOT NULL,
    view            regclass NOT NULL,
    retried         bigint,
    path            text,
    payload         bytea,
    key             bytea,
    sent_ms         bigint,
    PRIMARY KEY (stream, partition, position, view)
);
CREATE INDEX missed_rows_view ON streaming_internal.missed_rows (view, stream);
COMMENT ON TABLE streaming_internal.missed_rows IS 'rejected records that a continuous view has passed, so that it gets them when they have been retried';
COMMENT ON COLUMN streaming_internal.missed_rows.retried IS 'transaction of the retry that found it good: the view is to take it; NULL: it is in streaming.rejected_rows';
COMMENT ON COLUMN streaming_internal.missed_rows.payload IS 'of one that was retried, as path, key and sent_ms';

CREATE TABLE streaming_internal.push_segments (
    stream          regclass PRIMARY KEY,
    segment         bigint   NOT NULL,
    since           timestamptz NOT NULL,
    made            timestamptz NOT NULL
) WITH (fillfactor = 50);
COMMENT ON TABLE streaming_internal.push_segments IS 'which of their tables new rows of pushed streams go to; positions in these are of no use in another database, so it is not dumped';

CREATE TABLE streaming_internal.outbox (
    stream          regclass NOT NULL,
    xid             xid8     NOT NULL,
    number          int      NOT NULL,
    messages        int      NOT NULL,
    data            bytea    NOT NULL,
    PRIMARY KEY (stream, xid, number)
) WITH (toast_tuple_target = 8160);
COMMENT ON TABLE streaming_internal.outbox IS 'messages that wait to be delivered to Kafka or a directory; not dumped';
ALTER TABLE streaming_internal.outbox ALTER data SET STORAGE EXTERNAL;

CREATE TABLE streaming_internal.outbox_transactions (
    stream          regclass NOT NULL,
    place           pg_lsn   NOT NULL,
    xid             xid8     NOT NULL,
    home            oid      NOT NULL,
    PRIMARY KEY (stream, place, xid)
);
COMMENT ON TABLE streaming_internal.outbox_transactions IS 'transactions whose messages wait in the outbox, in the order in which they leave it; not dumped';
COMMENT ON COLUMN streaming_internal.outbox_transactions.place IS 'end of the log when the transaction was about to commit';
COMMENT ON COLUMN streaming_internal.outbox_transactions.home IS 'database the row was made in; another value tells a transaction of the original of a copy, which delivers it';

CREATE TABLE streaming_internal.deliveries (
    stream          regclass PRIMARY KEY,
    home            oid      NOT NULL,
    identity        uuid     NOT NULL,
    number          bigint   NOT NULL,
    pending         boolean  NOT NULL,
    token           uuid,
    snapshot        pg_snapshot,
    bound_place     pg_lsn,
    bound_xid       xid8,
    bound_number    int,
    note            text,
    messages        bigint   NOT NULL,
    bytes           bigint   NOT NULL,
    delivered_at    timestamptz
) WITH (fillfactor = 50);
COMMENT ON TABLE streaming_internal.deliveries IS 'the last delivery to each stream that was ever written to; not dumped, since a copy must not deliver in the name of the original';
COMMENT ON COLUMN streaming_internal.deliveries.home IS 'database the row was made in; another value tells a copy made by CREATE DATABASE';
COMMENT ON COLUMN streaming_internal.deliveries.identity IS 'names the stream to Kafka: part of the transactional id and of the group';
COMMENT ON COLUMN streaming_internal.deliveries.pending IS 'the delivery may not have happened yet: it consists of what snapshot sees in the outbox, up to the bound';
COMMENT ON COLUMN streaming_internal.deliveries.token IS 'names this delivery, to tell it from that of a copy of the database';
COMMENT ON COLUMN streaming_internal.deliveries.note IS 'what the place needs to know to finish the delivery after a crash';

CREATE TABLE streaming_internal.planned_batches (
    view            regclass NOT NULL,
    batch_id        bigint   NOT NULL,
    partitions      text[]   NOT NULL,
    positions       text[]   NOT NULL,
    watermark       timestamptz,
    PRIMARY KEY (view, batch_id)
);
COMMENT ON TABLE streaming_internal.planned_batches IS 'where batches end that have called functions and are not committed; not dumped';
COMMENT ON COLUMN streaming_internal.planned_batches.positions IS 'of the partitions, as in checkpoints; none: the batch takes no input';

CREATE TABLE streaming_internal.registry_schemas (
    server          oid      NOT NULL,
    role            oid      NOT NULL,
    registry        text     COLLATE "C" NOT NULL,
    schema_id       int      NOT NULL,
    subject         text     COLLATE "C" NOT NULL,
    schema          text     COLLATE "C" NOT NULL,
    fetched_at      timestamptz NOT NULL
);
CREATE INDEX registry_schemas_id ON streaming_internal.registry_schemas (server, role, schema_id);
COMMENT ON TABLE streaming_internal.registry_schemas IS 'schemas that a registry has told; may be deleted at any time; not dumped';
COMMENT ON COLUMN streaming_internal.registry_schemas.role IS 'whose user mapping was shown: another role may not be told the same';
COMMENT ON COLUMN streaming_internal.registry_schemas.subject IS 'that the schema was registered for by a writer; empty: it was read by its number';

-- definitions are for all, as those of ordinary views
GRANT SELECT ON streaming_internal.continuous_view TO PUBLIC;
GRANT SELECT ON SEQUENCE streaming_internal.continuous_view_id TO PUBLIC;

-- event_time is a value of a column
GRANT SELECT ON checkpoints TO PUBLIC;
ALTER TABLE checkpoints ENABLE ROW LEVEL SECURITY;
CREATE POLICY reader_of_view ON checkpoints FOR SELECT USING (
    pg_catalog.has_table_privilege(view, 'SELECT') OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE'));
COMMENT ON POLICY reader_of_view ON checkpoints IS 'who may read the view, or has the rights of pg_read_all_stats, sees its rows';

-- so is the watermark; who owns all that is in a database can dump it
GRANT SELECT ON streaming_internal.progress TO PUBLIC;
ALTER TABLE streaming_internal.progress ENABLE ROW LEVEL SECURITY;
CREATE POLICY reader_of_view ON streaming_internal.progress FOR SELECT USING (
    pg_catalog.has_table_privilege(view, 'SELECT') OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE'));
COMMENT ON POLICY reader_of_view ON streaming_internal.progress IS 'who may read the view, or has the rights of pg_read_all_stats, sees its rows';

-- so are names of files
GRANT SELECT ON files TO PUBLIC;
ALTER TABLE files ENABLE ROW LEVEL SECURITY;
CREATE POLICY owner_of_stream ON files FOR SELECT USING (
    (SELECT pg_catalog.pg_has_role(relowner, 'USAGE') FROM pg_catalog.pg_class WHERE oid = stream));
COMMENT ON POLICY owner_of_stream ON files IS 'who has the rights of the stream''s owner sees its rows';
CREATE POLICY read_all_data ON files FOR SELECT USING (
    pg_catalog.pg_has_role('pg_read_all_data', 'USAGE'));
COMMENT ON POLICY read_all_data ON files IS 'members of pg_read_all_data see all rows';

-- so are names of topics
GRANT SELECT ON streaming_internal.topics TO PUBLIC;
ALTER TABLE streaming_internal.topics ENABLE ROW LEVEL SECURITY;
CREATE POLICY owner_of_stream ON streaming_internal.topics FOR SELECT USING (
    (SELECT pg_catalog.pg_has_role(relowner, 'USAGE') FROM pg_catalog.pg_class WHERE oid = stream));
COMMENT ON POLICY owner_of_stream ON streaming_internal.topics IS 'who has the rights of the stream''s owner sees its rows';
CREATE POLICY read_all_data ON streaming_internal.topics FOR SELECT USING (
    pg_catalog.pg_has_role('pg_read_all_data', 'USAGE'));
COMMENT ON POLICY read_all_data ON streaming_internal.topics IS 'members of pg_read_all_data see all rows';

GRANT SELECT ON streaming_internal.topic_partitions TO PUBLIC;
ALTER TABLE streaming_internal.topic_partitions ENABLE ROW LEVEL SECURITY;
CREATE POLICY owner_of_stream ON streaming_internal.topic_partitions FOR SELECT USING (
    (SELECT pg_catalog.pg_has_role(relowner, 'USAGE') FROM pg_catalog.pg_class WHERE oid = stream));
COMMENT ON POLICY owner_of_stream ON streaming_internal.topic_partitions IS 'who has the rights of the stream''s owner sees its rows';
CREATE POLICY read_all_data ON streaming_internal.topic_partitions FOR SELECT USING (
    pg_catalog.pg_has_role('pg_read_all_data', 'USAGE'));
COMMENT ON POLICY read_all_data ON streaming_internal.topic_partitions IS 'members of pg_read_all_data see all rows';

-- payloads are as secret as the stream.  Its owner may delete them by a function: with the
-- right to DELETE comes that to LOCK TABLE, and so to stop all streams
GRANT SELECT ON rejected_rows TO PUBLIC;
ALTER TABLE rejected_rows ENABLE ROW LEVEL SECURITY;
CREATE POLICY owner_of_stream ON rejected_rows FOR SELECT USING (
    (SELECT pg_catalog.pg_has_role(relowner, 'USAGE') FROM pg_catalog.pg_class WHERE oid = stream));
COMMENT ON POLICY owner_of_stream ON rejected_rows IS 'who has the rights of the stream''s owner sees its rows';
CREATE POLICY read_all_data ON rejected_rows FOR SELECT USING (
    pg_catalog.pg_has_role('pg_read_all_data', 'USAGE'));
COMMENT ON POLICY read_all_data ON rejected_rows IS 'members of pg_read_all_data see all rows';

GRANT SELECT ON streaming_internal.missed_rows TO PUBLIC;
ALTER TABLE streaming_internal.missed_rows ENABLE ROW LEVEL SECURITY;
CREATE POLICY owner_of_stream ON streaming_internal.missed_rows FOR SELECT USING (
    (SELECT pg_catalog.pg_has_role(relowner, 'USAGE') FROM pg_catalog.pg_class WHERE oid = stream));
COMMENT ON POLICY owner_of_stream ON streaming_internal.missed_rows IS 'who has the rights of the stream''s owner sees its rows';
CREATE POLICY read_all_data ON streaming_internal.missed_rows FOR SELECT USING (
    pg_catalog.pg_has_role('pg_read_all_data', 'USAGE'));
COMMENT ON POLICY read_all_data ON streaming_internal.missed_rows IS 'members of pg_read_all_data see all rows';

CREATE FUNCTION streaming_internal.check_dump(view oid, stream oid) RETURNS boolean
    LANGUAGE C STRICT AS 'MODULE_PATHNAME', 'streaming_check_dump';
COMMENT ON FUNCTION streaming_internal.check_dump(oid, oid) IS 'has the view taken all rows pushed into the stream, which the caller may read? if not, a dump leaves out its checkpoint';

SELECT pg_catalog.pg_extension_config_dump('streaming_internal.continuous_view', '');
SELECT pg_catalog.pg_extension_config_dump('checkpoints', 'WHERE streaming_internal.check_dump(view, stream)');
SELECT pg_catalog.pg_extension_config_dump('streaming_internal.progress', '');
SELECT pg_catalog.pg_extension_config_dump('files', '');
SELECT pg_catalog.pg_extension_config_dump('streaming_internal.topics', '');
SELECT pg_catalog.pg_extension_config_dump('streaming_internal.topic_partitions', '');
SELECT pg_catalog.pg_extension_config_dump('rejected_rows', '');
SELECT pg_catalog.pg_extension_config_dump('streaming_internal.missed_rows', '');

CREATE FUNCTION streaming_internal.restore_rows() RETURNS boolean
    LANGUAGE C AS 'MODULE_PATHNAME', 'streaming_restore_rows';
COMMENT ON FUNCTION streaming_internal.restore_rows() IS 'what the refresh of streaming_internal.restored does: makes continuous views of those that a dump without data has brought';
REVOKE EXECUTE ON FUNCTION streaming_internal.restore_rows() FROM PUBLIC;

CREATE FUNCTION streaming_internal.notify_workers() RETURNS trigger
    LANGUAGE C AS 'MODULE_PATHNAME', 'streaming_notify_workers';
COMMENT ON FUNCTION streaming_internal.notify_workers() IS 'tells the workers to read the catalogs anew';
REVOKE EXECUTE ON FUNCTION streaming_internal.notify_workers() FROM PUBLIC;

-- rows that the extension writes itself fire no triggers: this is for pg_restore
CREATE TRIGGER notify_workers AFTER INSERT OR UPDATE OR DELETE ON streaming_internal.continuous_view
    FOR EACH STATEMENT EXECUTE FUNCTION streaming_internal.notify_workers();
COMMENT ON TRIGGER notify_workers ON streaming_internal.continuous_view IS 'tells the workers of restored views';

-- ---------------------------------------------------------------------------
-- Streams
-- ---------------------------------------------------------------------------

CREATE FUNCTION streaming_fdw_handler() RETURNS fdw_handler
    LANGUAGE C STRICT AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION streaming_fdw_handler() IS 'foreign-data wrapper of all streams';

CREATE FUNCTION kafka_fdw_validator(text[], oid) RETURNS void
    LANGUAGE C STRICT AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION kafka_fdw_validator(text[], oid) IS 'checks options of Kafka servers and streams';

CREATE FUNCTION directory_fdw_validator(text[], oid) RETURNS void
    LANGUAGE C STRICT AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION directory_fdw_validator(text[], oid) IS 'checks options of directories';

CREATE FUNCTION streaming_push_validator(text[], oid) RETURNS void
    LANGUAGE C STRICT AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION streaming_push_validator(text[], oid) IS 'checks options of streams fed by INSERT and COPY';

-- PostgreSQL calls them for whoever makes an object of the wrappers
REVOKE EXECUTE ON FUNCTION streaming_fdw_handler(), kafka_fdw_validator(text[], oid),
    directory_fdw_validator(text[], oid), streaming_push_validator(text[], oid) FROM PUBLIC;

CREATE FOREIGN DATA WRAPPER kafka
    HANDLER streaming_fdw_handler VALIDATOR kafka_fdw_validator;
COMMENT ON FOREIGN DATA WRAPPER kafka IS 'topics of Kafka brokers';

CREATE FOREIGN DATA WRAPPER directory
    HANDLER streaming_fdw_handler VALIDATOR directory_fdw_validator;
COMMENT ON FOREIGN DATA WRAPPER directory IS 'files that appear in directories of the server';

CREATE FOREIGN DATA WRAPPER streaming
    HANDLER streaming_fdw_handler VALIDATOR streaming_push_validator;
COMMENT ON FOREIGN DATA WRAPPER streaming IS 'streams fed by INSERT and COPY';

CREATE SERVER streaming FOREIGN DATA WRAPPER streaming;
COMMENT ON SERVER streaming IS 'streams fed by INSERT and COPY';
GRANT USAGE ON FOREIGN SERVER streaming TO PUBLIC;

-- ---------------------------------------------------------------------------
-- Continuous views
-- ---------------------------------------------------------------------------

CREATE FUNCTION explain(view regclass) RETURNS SETOF text
    LANGUAGE C STRICT STABLE AS 'MODULE_PATHNAME', 'streaming_explain';
COMMENT ON FUNCTION explain(regclass) IS 'the incremental plan of a continuous view';

CREATE FUNCTION viewdef(view regclass) RETURNS text
    LANGUAGE C STRICT STABLE AS 'MODULE_PATHNAME', 'streaming_viewdef';
COMMENT ON FUNCTION viewdef(regclass) IS 'the CREATE VIEW ... WITH (...) that makes a continuous view';

CREATE FUNCTION watermark(view regclass) RETURNS timestamptz
    LANGUAGE C STRICT STABLE AS 'MODULE_PATHNAME', 'streaming_watermark';
COMMENT ON FUNCTION watermark(regclass) IS 'the watermark of a continuous view, for who may read it; NULL if it has none yet';

CREATE FUNCTION streaming_internal.capture_change() RETURNS trigger
    LANGUAGE C AS 'MODULE_PATHNAME', 'streaming_capture_change';
COMMENT ON FUNCTION streaming_internal.capture_change() IS 'pushes the changes of a table that continuous views follow';
REVOKE EXECUTE ON FUNCTION streaming_internal.capture_change() FROM PUBLIC;

-- These four are called in statements that run as the owner or a reader of any
-- view, and so by anybody.
CREATE FUNCTION streaming_internal.refuse_write() RETURNS trigger
    LANGUAGE C AS 'MODULE_PATHNAME', 'streaming_refuse_write';
COMMENT ON FUNCTION streaming_internal.refuse_write() IS 'raises an error: only the workers write what continuous views show';

CREATE FUNCTION streaming_internal.no_result() RETURNS boolean
    LANGUAGE C AS 'MODULE_PATHNAME', 'streaming_no_result';
COMMENT ON FUNCTION streaming_internal.no_result() IS 'raises an error: the rows of this continuous view are not kept';

CREATE FUNCTION streaming_internal.window_end(start timestamptz, width interval, zone text) RETURNS timestamptz
    LANGUAGE C STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'streaming_window_end';
COMMENT ON FUNCTION streaming_internal.window_end(timestamptz, interval, text) IS 'the end of a window by the clock of a time zone (NULL: of the session); infinity: beyond the range of timestamps';

CREATE FUNCTION streaming_internal.in_time(closes timestamptz, must_close boolean) RETURNS boolean
    LANGUAGE C VOLATILE COST 1000 AS 'MODULE_PATHNAME', 'streaming_in_time';
COMMENT ON FUNCTION streaming_internal.in_time(timestamptz, boolean) IS 'true; NULL for rows of a batch whose group has closed, which are counted';

-- Aggregates over rows that appear so often as a weight says, or disappear.
CREATE AGGREGATE streaming_internal.sum_weights(weight int8)
    (SFUNC = int8pl, STYPE = int8, COMBINEFUNC = int8pl, INITCOND = '0', PARALLEL = SAFE);
COMMENT ON AGGREGATE streaming_internal.sum_weights(int8) IS 'the sum of weights, 0 for none';

CREATE FUNCTION streaming_internal.weighted_add(state numeric[], value numeric, weight int8) RETURNS numeric[]
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'streaming_weighted_add';
COMMENT ON FUNCTION streaming_internal.weighted_add(numeric[], numeric, int8) IS 'adds a value that appears so often to the state of weighted_sum';

CREATE FUNCTION streaming_internal.weighted_combine(a numeric[], b numeric[]) RETURNS numeric[]
    LANGUAGE C STRICT IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'streaming_weighted_combine';
COMMENT ON FUNCTION streaming_internal.weighted_combine(numeric[], numeric[]) IS 'adds states of weighted_sum';

CREATE FUNCTION streaming_internal.weighted_sum_result(state numeric[]) RETURNS numeric
    LANGUAGE C STRICT IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'streaming_weighted_sum';
COMMENT ON FUNCTION streaming_internal.weighted_sum_result(numeric[]) IS 'the sum that a state of weighted_sum stands for';

CREATE FUNCTION streaming_internal.weighted_avg_result(state numeric[]) RETURNS numeric
    LANGUAGE C STRICT IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'streaming_weighted_avg';
COMMENT ON FUNCTION streaming_internal.weighted_avg_result(numeric[]) IS 'the average that a state of weighted_sum stands for';

CREATE AGGREGATE streaming_internal.weighted_sum(value numeric, weight int8)
    (SFUNC = streaming_internal.weighted_add, STYPE = numeric[], COMBINEFUNC = streaming_internal.weighted_combine,
     FINALFUNC = streaming_internal.weighted_sum_result, PARALLEL = SAFE);
COMMENT ON AGGREGATE streaming_internal.weighted_sum(numeric, int8) IS 'sum(value) of rows that appear so often';

CREATE AGGREGATE streaming_internal.weighted_avg(value numeric, weight int8)
    (SFUNC = streaming_internal.weighted_add, STYPE = numeric[], COMBINEFUNC = streaming_internal.weighted_combine,
     FINALFUNC = streaming_internal.weighted_avg_result, PARALLEL = SAFE);
COMMENT ON AGGREGATE streaming_internal.weighted_avg(numeric, int8) IS 'avg(value) of rows that appear so often';

CREATE FUNCTION streaming_internal.variance_of(count int8, sum numeric, squares numeric, of_sample boolean, root boolean) RETURNS numeric
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'streaming_variance_of';
COMMENT ON FUNCTION streaming_internal.variance_of(int8, numeric, numeric, boolean, boolean) IS 'the variance of so many values, or its root, from their sum and that of their squares';

CREATE FUNCTION streaming_internal.weighted_bits_add(state int8[], value int8, weight int8) RETURNS int8[]
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'streaming_weighted_bits_add';
COMMENT ON FUNCTION streaming_internal.weighted_bits_add(int8[], int8, int8) IS 'counts a value that appears so often, and its bits';

CREATE FUNCTION streaming_internal.weighted_bits_combine(a int8[], b int8[]) RETURNS int8[]
    LANGUAGE C STRICT IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'streaming_weighted_bits_combine';
COMMENT ON FUNCTION streaming_internal.weighted_bits_combine(int8[], int8[]) IS 'adds counts of bits';

CREATE FUNCTION streaming_internal.weighted_bit_and_result(state int8[]) RETURNS int8
    LANGUAGE C STRICT IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'streaming_weighted_bit_and';
COMMENT ON FUNCTION streaming_internal.weighted_bit_and_result(int8[]) IS 'the bits that all values have that were counted';

CREATE FUNCTION streaming_internal.weighted_bit_or_result(state int8[]) RETURNS int8
    LANGUAGE C STRICT IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'streaming_weighted_bit_or';
COMMENT ON FUNCTION streaming_internal.weighted_bit_or_result(int8[]) IS 'the bits that some value has of those that were counted';

CREATE FUNCTION streaming_internal.weighted_bit_xor_result(state int8[]) RETURNS int8
    LANGUAGE C STRICT IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'streaming_weighted_bit_xor';
COMMENT ON FUNCTION streaming_internal.weighted_bit_xor_result(int8[]) IS 'the bits that an odd number of values have of those that were counted';

CREATE AGGREGATE streaming_internal.weighted_bit_and(value int8, weight int8)
    (SFUNC = streaming_internal.weighted_bits_add, STYPE = int8[], COMBINEFUNC = streaming_internal.weighted_bits_combine,
     FINALFUNC = streaming_internal.weighted_bit_and_result, PARALLEL = SAFE);
COMMENT ON AGGREGATE streaming_internal.weighted_bit_and(int8, int8) IS 'bit_and(value) of rows that appear so often';

CREATE AGGREGATE streaming_internal.weighted_bit_or(value int8, weight int8)
    (SFUNC = streaming_internal.weighted_bits_add, STYPE = int8[], COMBINEFUNC = streaming_internal.weighted_bits_combine,
     FINALFUNC = streaming_internal.weighted_bit_or_result, PARALLEL = SAFE);
COMMENT ON AGGREGATE streaming_internal.weighted_bit_or(int8, int8) IS 'bit_or(value) of rows that appear so often';

CREATE AGGREGATE streaming_internal.weighted_bit_xor(value int8, weight int8)
    (SFUNC = streaming_internal.weighted_bits_add, STYPE = int8[], COMBINEFUNC = streaming_internal.weighted_bits_combine,
     FINALFUNC = streaming_internal.weighted_bit_xor_result, PARALLEL = SAFE);
COMMENT ON AGGREGATE streaming_internal.weighted_bit_xor(int8, int8) IS 'bit_xor(value) of rows that appear so often';

CREATE FUNCTION streaming_internal.is_narrow(value "any") RETURNS boolean
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'streaming_is_narrow';
COMMENT ON FUNCTION streaming_internal.is_narrow("any") IS 'does a value fit into an entry of a B-tree index, with a key before it?';

CREATE FUNCTION drain(view regclass, timeout interval DEFAULT NULL) RETURNS bigint
    LANGUAGE C AS 'MODULE_PATHNAME', 'streaming_drain';
COMMENT ON FUNCTION drain(regclass, interval) IS 'waits until a continuous view has taken all that its sources hold at the call, and shows all that the watermark closes; the number of input rows taken meanwhile';

CREATE FUNCTION reset(view regclass, force boolean DEFAULT false) RETURNS void
    LANGUAGE C STRICT AS 'MODULE_PATHNAME', 'streaming_reset';
COMMENT ON FUNCTION reset(regclass, boolean) IS 'lets a continuous view, and those that read it, forget everything and begin again; force: also without pushed rows that its stream no longer has';

CREATE FUNCTION restart_delivery(stream regclass, resend boolean) RETURNS void
    LANGUAGE C STRICT AS 'MODULE_PATHNAME', 'streaming_restart_delivery';
COMMENT ON FUNCTION restart_delivery(regclass, boolean) IS 'lets delivery to a stream go on when it cannot be told whether the last one was committed; with resend that one is made again';

CREATE FUNCTION delete_rejected_rows(stream regclass, before timestamptz DEFAULT 'infinity') RETURNS bigint
    LANGUAGE C STRICT AS 'MODULE_PATHNAME', 'streaming_delete_rejected_rows';
COMMENT ON FUNCTION delete_rejected_rows(regclass, timestamptz) IS 'deletes the rejected records of a stream, or those rejected before a time; their number';

CREATE FUNCTION retry_rejected(stream regclass) RETURNS bigint
    LANGUAGE C STRICT AS 'MODULE_PATHNAME', 'streaming_retry_rejected';
COMMENT ON FUNCTION retry_rejected(regclass) IS 'decodes the rejected records of a stream again and hands those that are good now to the views that are without them; their number';

-- ---------------------------------------------------------------------------
-- Event-time windows
-- ---------------------------------------------------------------------------

CREATE FUNCTION tumble(at timestamptz, size interval) RETURNS tstzrange
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'streaming_tumble';
COMMENT ON FUNCTION tumble(timestamptz, interval) IS 'the window that a time is in, of windows that follow each other from the epoch';

CREATE FUNCTION hop(at timestamptz, slide interval, size interval) RETURNS SETOF tstzrange
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE ROWS 5 AS 'MODULE_PATHNAME', 'streaming_hop';
COMMENT ON FUNCTION hop(timestamptz, interval, interval) IS 'the windows that a time is in, of windows that begin every slide from the epoch';

CREATE FUNCTION session(at timestamptz, gap interval) RETURNS tstzrange
    LANGUAGE C STABLE AS 'MODULE_PATHNAME', 'streaming_session';
COMMENT ON FUNCTION session(timestamptz, interval) IS 'in GROUP BY of a continuous view: rows at most gap apart share a window that ends gap after the last';

-- ---------------------------------------------------------------------------
-- Monitoring
--
-- Functions in a view are called by who reads the view, so anybody may call
-- these; they themselves know what they tell whom.
-- ---------------------------------------------------------------------------

CREATE FUNCTION streaming_internal.view_query(definition oid) RETURNS text
    LANGUAGE C STRICT STABLE AS 'MODULE_PATHNAME', 'streaming_view_query';
COMMENT ON FUNCTION streaming_internal.view_query(oid) IS 'the query of a continuous view; NULL if it is no more';

CREATE FUNCTION streaming_internal.view_status(view oid, enabled boolean,
    OUT status text, OUT last_error text, OUT running_since timestamptz)
    LANGUAGE C STRICT AS 'MODULE_PATHNAME', 'streaming_view_status';
COMMENT ON FUNCTION streaming_internal.view_status(oid, boolean) IS 'how a continuous view is doing, from shared memory';

CREATE FUNCTION streaming_internal.sink_function(id int) RETURNS text
    LANGUAGE C STRICT STABLE AS 'MODULE_PATHNAME', 'streaming_sink_function_name';
COMMENT ON FUNCTION streaming_internal.sink_function(int) IS 'the function that gets the rows of a continuous view';

CREATE FUNCTION streaming_internal.view_lag(view oid) RETURNS bigint
    LANGUAGE C STRICT AS 'MODULE_PATHNAME', 'streaming_view_lag';
COMMENT ON FUNCTION streaming_internal.view_lag(oid) IS 'records that a continuous view has not taken yet; NULL if that is not known';

CREATE FUNCTION streaming_internal.view_lag_seconds(view oid) RETURNS float8
    LANGUAGE C STRICT AS 'MODULE_PATHNAME', 'streaming_view_lag_seconds';
COMMENT ON FUNCTION streaming_internal.view_lag_seconds(oid) IS 'how long records have been waiting for a continuous view, at most; NULL if none are, or that is not known';

CREATE FUNCTION streaming_internal.view_bytes(relations text[]) RETURNS bigint
    LANGUAGE SQL STABLE STRICT
    SET search_path = pg_catalog, pg_temp
    AS $$SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class
         WHERE relnamespace = 'streaming_internal'::regnamespace
           AND relkind = 'r' AND relname = ANY (relations)$$;
COMMENT ON FUNCTION streaming_internal.view_bytes(text[]) IS 'size of the tables of a continuous view, with indexes';

CREATE FUNCTION streaming_internal.batches(OUT view regclass, OUT batch_id bigint,
    OUT started_at timestamptz, OUT duration_ms float8, OUT input_rows bigint,
    OUT output_rows bigint, OUT input_rows_per_second float8, OUT phases jsonb)
    RETURNS SETOF record
    LANGUAGE C STRICT AS 'MODULE_PATHNAME', 'streaming_batches';
COMMENT ON FUNCTION streaming_internal.batches() IS 'the last batches of each continuous view, from shared memory';

CREATE FUNCTION streaming_internal.stream_partitions(stream oid, OUT partition text,
    OUT "position" text, OUT end_position text, OUT lag_rows bigint, OUT rows_read bigint,
    OUT bytes_read bigint, OUT rejected_rows bigint, OUT absent_columns text[], OUT last_error text,
    OUT topic_partition text)
    RETURNS SETOF record
    LANGUAGE C STRICT AS 'MODULE_PATHNAME', 'streaming_stream_partitions';
COMMENT ON FUNCTION streaming_internal.stream_partitions(oid) IS 'what is known of a stream, by partition, from shared memory';

CREATE VIEW views AS
    SELECT v.view, streaming_internal.view_query(v.definition) AS query,
           CASE WHEN v.sink_kind IN ('console', 'memory') THEN v.sink_kind
                WHEN v.sink_kind IN ('foreach', 'foreach_batch') THEN streaming_internal.sink_function(v.id)
                ELSE coalesce(v.sink, v.result)::text END AS sink,
           v.output_mode, v.trigger, v.enabled, s.status, s.last_error,
           s.running_since, v.settings
    FROM streaming_internal.continuous_view v
    JOIN pg_catalog.pg_class c ON c.oid = v.view
    CROSS JOIN LATERAL streaming_internal.view_status(v.view, v.enabled) s;
COMMENT ON VIEW views IS 'continuous views and how they are doing';
COMMENT ON COLUMN views.status IS 'running, waiting (for its source, its sink or a worker), paused, retrying (failed, tried again with back-off), failed (tried again every streaming.retry_max and when something changes)';
COMMENT ON COLUMN views.running_since IS 'when the batch under way began; NULL if there is none';
COMMENT ON COLUMN views.settings IS 'settings that its batches run with: those of the session that made it';
COMMENT ON COLUMN views.last_error IS 'why it is waiting, retrying or failed; shown to who has the rights of the owner or of pg_read_all_stats';

CREATE VIEW stat_views AS
    SELECT v.view, coalesce(p.batch_id, 0) AS batches, coalesce(p.input_rows, 0) AS input_rows,
           coalesce(p.output_rows, 0) AS output_rows, coalesce(p.late_rows, 0) AS late_rows,
           coalesce(p.state_rows, 0) AS state_rows,
           streaming_internal.view_bytes(v.relations) AS state_bytes,
           CASE WHEN pg_catalog.has_table_privilege(v.view, 'SELECT')
                  OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE')
                THEN p.watermark END AS watermark, p.last_batch_ms, p.last_batch_at,
           streaming_internal.view_lag(v.view) AS lag_rows, coalesce(p.unknown_keys, 0) AS unknown_keys
    FROM streaming_internal.continuous_view v
    JOIN pg_catalog.pg_class c ON c.oid = v.view
    LEFT JOIN streaming_internal.progress p USING (view);
COMMENT ON VIEW stat_views IS 'totals of each continuous view since it was made or reset';
COMMENT ON COLUMN stat_views.watermark IS 'shown to who may read the view or has the rights of pg_read_all_stats';
COMMENT ON COLUMN stat_views.state_bytes IS 'size of all tables of the view, its result included';
COMMENT ON COLUMN stat_views.unknown_keys IS 'records of streams whose rows change that have updated or deleted a row that was not there';
COMMENT ON COLUMN stat_views.lag_rows IS 'records between the view''s checkpoint and the known end of its source; NULL if that is not known';

CREATE FUNCTION streaming_internal.view_progress(view oid, OUT stream regclass, OUT phase text,
    OUT rows_done bigint, OUT rows_total bigint, OUT bytes_done bigint, OUT bytes_total bigint,
    OUT rows_per_second float8, OUT expected_end timestamptz)
    RETURNS SETOF record
    LANGUAGE C STRICT AS 'MODULE_PATHNAME', 'streaming_view_progress';
COMMENT ON FUNCTION streaming_internal.view_progress(oid) IS 'how far a continuous view is with what it has to take, by input, from shared memory';

CREATE VIEW stat_progress AS
    SELECT v.view, p.stream, p.phase, p.rows_done, p.rows_total, p.bytes_done, p.bytes_total,
           p.rows_per_second, p.expected_end
    FROM streaming_internal.continuous_view v
    JOIN pg_catalog.pg_class c ON c.oid = v.view
    CROSS JOIN LATERAL streaming_internal.view_progress(v.view) p;
COMMENT ON VIEW stat_progress IS 'how far continuous views are that have much to take, by stream; those that keep up are not shown';
COMMENT ON COLUMN stat_progress.stream IS 'stream, view or table that is read';
COMMENT ON COLUMN stat_progress.phase IS 'catch-up (it has been taking rows for more than a second without coming to the end), drain (somebody waits for that), reset (it begins again), initial load (it reads the table or view itself)';
COMMENT ON COLUMN stat_progress.rows_done IS 'since that began; NULL if the rows are not counted';
COMMENT ON COLUMN stat_progress.rows_total IS 'these and those that are left; of an initial load as the last ANALYZE has found; NULL if that is not known';
COMMENT ON COLUMN stat_progress.bytes_done IS 'of the files of a directory, in whole files where their number of records is not known';
COMMENT ON COLUMN stat_progress.bytes_total IS 'of files: from the one that it began with; of an initial load, the size of the table';
COMMENT ON COLUMN stat_progress.rows_per_second IS 'since that began';
COMMENT ON COLUMN stat_progress.expected_end IS 'if it goes on as fast as until now';

CREATE VIEW stat_operators AS
    SELECT v.view, s.stage::int AS stage, s.kind, s.input_rows, s.output_rows, s.state_rows,
           streaming_internal.view_bytes(ARRAY(
               SELECT r FROM unnest(v.relations) r
               WHERE r ~ format('^(state|bag|rows)_%s_%s(_[0-9]+)?$', v.id, s.stage)
                  OR (r = 'result_' || v.id AND s.stage = pg_catalog.cardinality(p.stage_kinds)))) AS state_bytes,
           s.ms
    FROM streaming_internal.continuous_view v
    JOIN pg_catalog.pg_class c ON c.oid = v.view
    JOIN streaming_internal.progress p USING (view)
    CROSS JOIN LATERAL unnest(p.stage_kinds, p.stage_input_rows, p.stage_output_rows,
                              p.stage_state_rows, p.stage_ms)
        WITH ORDINALITY AS s(kind, input_rows, output_rows, state_rows, ms, stage);
COMMENT ON VIEW stat_operators IS 'totals of the stages of each continuous view (see streaming.explain) since it was made or reset';
COMMENT ON COLUMN stat_operators.stage IS 'from 1; the first 32 are shown';
COMMENT ON COLUMN stat_operators.kind IS 'append, combine, multiset, recompute, session, partition or join';
COMMENT ON COLUMN stat_operators.input_rows IS 'that have come to it, from sources and from the stages below; where it reads them twice they count twice';
COMMENT ON COLUMN stat_operators.output_rows IS 'that it has handed up; of the last one, rows that changed in the result';
COMMENT ON COLUMN stat_operators.state_rows IS 'rows of its tables, counted as they are written; those of the result are the last stage''s';
COMMENT ON COLUMN stat_operators.state_bytes IS 'size of these tables, with indexes';
COMMENT ON COLUMN stat_operators.ms IS 'time spent in it';

CREATE VIEW stat_streams AS
    SELECT f.ftrelid::regclass AS stream, p.partition, p.position, p.end_position,
           p.lag_rows, p.rows_read, p.bytes_read, p.rejected_rows, p.absent_columns,
           p.last_error, p.topic_partition
    FROM pg_catalog.pg_foreign_table f
    JOIN pg_catalog.pg_class c ON c.oid = f.ftrelid
    CROSS JOIN LATERAL streaming_internal.stream_partitions(f.ftrelid) p
    WHERE c.relnamespace <> 'streaming_internal'::regnamespace;
COMMENT ON VIEW stat_streams IS 'what the ingest worker of each stream has read since the server started, by partition';
COMMENT ON COLUMN stat_streams.rows_read IS 'of the whole stream, as bytes_read, rejected_rows and absent_columns; on the first of its rows, NULL on others';
COMMENT ON COLUMN stat_streams.rejected_rows IS 'records that could not be decoded, also those that streaming.rejected_rows no longer has';
COMMENT ON COLUMN stat_streams.absent_columns IS 'columns that no JSON record has had a field for since reading began; NULL if there are none';
COMMENT ON COLUMN stat_streams.topic_partition IS 'of a stream that reads many topics, what Kafka calls the partition: topic:partition; shown as last_error is';
COMMENT ON COLUMN stat_streams.position IS 'next record that the ingest worker takes';
COMMENT ON COLUMN stat_streams.end_position IS 'end of the partition as last known';
COMMENT ON COLUMN stat_streams.lag_rows IS 'records that the ingest worker has not taken; NULL if that is not known';
COMMENT ON COLUMN stat_streams.last_error IS 'the trouble its source is in now; shown to who has the rights of the owner or of pg_read_all_stats';

CREATE FUNCTION streaming_internal.sink_status(stream oid, OUT pending_rows bigint,
    OUT pending_bytes bigint, OUT status text, OUT last_error text)
    LANGUAGE C STRICT AS 'MODULE_PATHNAME', 'streaming_sink_status';
COMMENT ON FUNCTION streaming_internal.sink_status(oid) IS 'how delivery to a stream is doing, from shared memory';

CREATE VIEW stat_sinks AS
    SELECT d.stream, s.pending_rows, s.pending_bytes, d.messages AS delivered_rows,
           d.bytes AS delivered_bytes, d.delivered_at AS last_delivery_at, s.status,
           s.last_error
    FROM streaming_internal.deliveries d
    JOIN pg_catalog.pg_class c ON c.oid = d.stream
    CROSS JOIN LATERAL streaming_internal.sink_status(d.stream) s;
COMMENT ON VIEW stat_sinks IS 'streams that were ever written to, and how delivery to them is doing';
COMMENT ON COLUMN stat_sinks.pending_rows IS 'messages that are committed and not delivered yet; NULL until the worker has counted them, and without one';
COMMENT ON COLUMN stat_sinks.delivered_bytes IS 'size of the messages in the outbox';
COMMENT ON COLUMN stat_sinks.status IS 'running, retrying (failed, tried again with back-off), failed (needs attention; tried again now and then), idle (no worker, since there was nothing to do)';
COMMENT ON COLUMN stat_sinks.last_error IS 'why it is retrying or failed; shown to who has the rights of the owner or of pg_read_all_stats';

-- An index of a view is one of its table, whose name stands before the view's name for it.
CREATE VIEW indexes AS
    SELECT c.view, substr(i.relname, length(t.relname) + 2) AS name,
           format('CREATE INDEX %I ON %I.%I', substr(i.relname, length(t.relname) + 2), n.nspname, v.relname)
           || substr(pg_catalog.pg_get_indexdef(i.oid),
                     length(format('CREATE INDEX %I ON streaming_internal.%I', i.relname, t.relname)) + 1) AS definition,
           x.indisvalid AS valid
    FROM streaming_internal.continuous_view c
    JOIN pg_catalog.pg_class v ON v.oid = c.view
    JOIN pg_catalog.pg_namespace n ON n.oid = v.relnamespace
    JOIN pg_catalog.pg_class t ON t.relname = 'result_' || c.id AND t.relnamespace = 'streaming_internal'::regnamespace
    JOIN pg_catalog.pg_index x ON x.indrelid = t.oid AND NOT x.indisunique
    JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid
    WHERE starts_with(i.relname, t.relname || '_') AND i.relname <> ALL (c.relations)
      AND c.sink_kind <> 'relation';
COMMENT ON VIEW indexes IS 'indexes of continuous views';
COMMENT ON COLUMN indexes.name IS 'as users call it; "$key" was made by the view itself, on its group key';
COMMENT ON COLUMN indexes.definition IS 'with the names of columns that the view was made with';

CREATE VIEW batches AS SELECT * FROM streaming_internal.batches();
COMMENT ON VIEW batches IS 'the last batches of each continuous view';

CREATE VIEW status AS
    SELECT v.view, v.status AS state,
           CASE WHEN v.status <> 'paused' THEN v.last_error
                WHEN v.enabled THEN 'the server is a standby'
                ELSE 'streaming.enabled is off' END AS why,
           s.lag_rows,
           CASE WHEN s.lag_rows = 0 THEN 0
                ELSE streaming_internal.view_lag_seconds(v.view) END AS lag_seconds,
           coalesce(b.rows_per_second, 0) AS rows_per_second,
           s.last_batch_at, s.last_batch_ms
    FROM views v
    JOIN stat_views s USING (view)
    LEFT JOIN (SELECT view, pg_catalog.sum(input_rows)::float8 / greatest(1,
                          EXTRACT(epoch FROM pg_catalog.clock_timestamp() - pg_catalog.min(started_at))::float8) AS rows_per_second
               FROM batches
               WHERE started_at > pg_catalog.clock_timestamp() - interval '1 minute'
               GROUP BY view) b USING (view);
COMMENT ON VIEW status IS 'how each continuous view is doing, in a row';
COMMENT ON COLUMN status.state IS 'as views.status';
COMMENT ON COLUMN status.why IS 'why it is not running; errors are shown to who has the rights of the owner or of pg_read_all_stats';
COMMENT ON COLUMN status.lag_rows IS 'as stat_views.lag_rows';
COMMENT ON COLUMN status.lag_seconds IS 'how long the oldest of these has been waiting, at most; NULL if that is not known';
COMMENT ON COLUMN status.rows_per_second IS 'input rows taken in the last minute, or since the oldest of the view''s batches in streaming.batches if that is less';

GRANT SELECT ON views, stat_views, stat_progress, stat_operators, stat_streams, stat_sinks, indexes, batches, status TO PUBLIC;
