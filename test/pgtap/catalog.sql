-- The extension's objects: names, columns, privileges and comments.
SELECT * FROM no_plan();

SELECT has_extension('streaming');
SELECT schemas_are(ARRAY['public', 'streaming', 'streaming_internal']);

-- what users may rely on
SELECT columns_are('streaming', 'checkpoints', ARRAY['view', 'stream', 'partition', 'position', 'batch_id', 'committed_at', 'event_time', 'incarnation']);
SELECT columns_are('streaming', 'rejected_rows', ARRAY['stream', 'partition', 'position', 'path', 'payload', 'error', 'column_name', 'sqlstate', 'rejected_at', 'key', 'sent_ms', 'whole']);
SELECT is(
    ARRAY(SELECT column_name || ' ' || data_type FROM information_schema.columns
          WHERE table_schema = 'streaming' AND table_name = 'views' ORDER BY ordinal_position LIMIT 8),
    ARRAY['view regclass', 'query text', 'sink text', 'output_mode text', 'trigger text', 'enabled boolean', 'status text', 'last_error text'],
    'columns of streaming.views');
SELECT is(
    ARRAY(SELECT column_name || ' ' || data_type FROM information_schema.columns
          WHERE table_schema = 'streaming' AND table_name = 'stat_progress' ORDER BY ordinal_position),
    ARRAY['view regclass', 'stream regclass', 'phase text', 'rows_done bigint', 'rows_total bigint', 'bytes_done bigint',
          'bytes_total bigint', 'rows_per_second double precision', 'expected_end timestamp with time zone'],
    'columns of streaming.stat_progress');
SELECT has_function('streaming', 'explain', ARRAY['regclass']);
SELECT function_returns('streaming', 'retry_rejected', ARRAY['regclass'], 'bigint');
SELECT function_returns('streaming', 'explain', ARRAY['regclass'], 'setof text');
SELECT function_returns('streaming', 'watermark', ARRAY['regclass'], 'timestamp with time zone');

SELECT set_eq(
    'SELECT fdwname FROM pg_foreign_data_wrapper', ARRAY['kafka', 'directory', 'streaming'], 'wrappers');
SELECT set_eq('SELECT srvname FROM pg_foreign_server', ARRAY['streaming'], 'servers');

-- everything has a comment
SELECT is_empty($$
    SELECT pg_describe_object(classid, objid, 0)
    FROM pg_depend d
    WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
      AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'streaming')
      AND coalesce(obj_description(objid, classid::regclass::name), '') = ''
      AND classid <> 'pg_type'::regclass AND classid <> 'pg_am'::regclass
$$, 'every object has a comment');

-- functions of the library say so where it is not preloaded, and are no way around privileges
SELECT is_empty($$
    SELECT oid::regprocedure FROM pg_proc WHERE pronamespace::regnamespace::text LIKE 'streaming%' AND prosecdef
$$, 'no function runs with the rights of its owner');
SELECT is_empty($$
    SELECT oid::regprocedure FROM pg_proc
    WHERE pronamespace::regnamespace::text LIKE 'streaming%' AND 'internal'::regtype = ANY (proargtypes)
$$, 'no function takes internal arguments');

-- nobody but the extension writes its tables
CREATE ROLE streaming_test_nobody;
SELECT table_privs_are('streaming', t, 'streaming_test_nobody', ARRAY['SELECT'])
FROM unnest(ARRAY['checkpoints', 'files', 'views', 'stat_progress']) t;
SELECT table_privs_are('streaming_internal', t, 'streaming_test_nobody', ARRAY['SELECT'])
FROM unnest(ARRAY['continuous_view', 'progress', 'topics', 'topic_partitions', 'missed_rows']) t;
SELECT table_privs_are('streaming_internal', t, 'streaming_test_nobody', ARRAY[]::text[])
FROM unnest(ARRAY['push_segments', 'outbox', 'outbox_transactions', 'deliveries', 'planned_batches', 'registry_schemas']) t;
SELECT table_privs_are('streaming', 'rejected_rows', 'streaming_test_nobody', ARRAY['SELECT']);
SELECT schema_privs_are('streaming', 'streaming_test_nobody', ARRAY['USAGE']);
SELECT schema_privs_are('streaming_internal', 'streaming_test_nobody', ARRAY['USAGE']);
SELECT fdw_privs_are(f, 'streaming_test_nobody', ARRAY[]::text[]) FROM unnest(ARRAY['kafka', 'directory', 'streaming']) f;
SELECT server_privs_are('streaming', 'streaming_test_nobody', ARRAY['USAGE']);
DROP ROLE streaming_test_nobody;

-- pg_dump takes the tables
SELECT set_eq(
    $$SELECT c.relname FROM pg_extension e, unnest(extconfig) o JOIN pg_class c ON c.oid = o WHERE extname = 'streaming'$$,
    ARRAY['continuous_view', 'checkpoints', 'progress', 'files', 'topics', 'topic_partitions', 'rejected_rows', 'missed_rows'],
    'tables in dumps');

-- settings
SELECT is_empty($$
    SELECT name FROM pg_settings WHERE name LIKE 'streaming.%' AND coalesce(short_desc, '') = ''
$$, 'every setting is described');
SELECT is_empty($$
    SELECT name FROM pg_settings WHERE name LIKE 'streaming.%' AND vartype = 'integer' AND unit IS NULL
      AND name NOT IN ('streaming.max_streams', 'streaming.max_views', 'streaming.role_share', 'streaming.query_workers', 'streaming.max_query_workers', 'streaming.batch_rows', 'streaming.catch_up_rate', 'streaming.batches_kept', 'streaming.rejected_limit')
$$, 'every size and time has a unit');
SELECT throws_ok('SET streaming.nonsense = 1', '42602', NULL, 'names of settings are checked');
SELECT throws_ok('SET streaming.work_mem = ''1GB''', '55P02', NULL, 'settings of workers are not the session''s');

SELECT * FROM finish();
