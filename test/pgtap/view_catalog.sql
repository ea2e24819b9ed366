-- Rows of the catalog come and go with views, whatever the command.
SELECT * FROM no_plan();

CREATE FOREIGN TABLE s (a int, b text, at timestamptz OPTIONS (watermark '1 minute')) SERVER streaming;
CREATE VIEW rows AS SELECT count(*) FROM streaming_internal.continuous_view;
CREATE VIEW relations AS
    SELECT relname FROM pg_class WHERE relnamespace = 'streaming_internal'::regnamespace
    AND relname ~ '^(definition|result|state|bag|changes)_';

CREATE VIEW v WITH (streaming.trigger = 'manual') AS SELECT a, count(*) FROM s GROUP BY a;
SELECT results_eq('SELECT * FROM rows', ARRAY[1::bigint], 'a view has a row');
SELECT results_eq(
    'SELECT view, definition::text LIKE ''streaming_internal.definition_%'', result::text LIKE ''streaming_internal.result_%'', sink, output_mode, trigger, enabled FROM streaming_internal.continuous_view',
    $$VALUES ('v'::regclass, true, true, NULL::regclass, 'update', 'manual', true)$$, 'with its options');
SELECT results_eq('SELECT view, sink IS NOT NULL, output_mode, trigger, enabled FROM streaming.views',
    $$VALUES ('v'::regclass, true, 'update', 'manual', true)$$, 'which streaming.views shows');
SELECT set_eq('SELECT unnest(relations) FROM streaming_internal.continuous_view',
    $$SELECT relname FROM pg_class WHERE relnamespace = 'streaming_internal'::regnamespace AND relname ~ '^(definition|result|options)_'$$,
    'and names what was made');
SELECT is(relname::text, 'result_' || id, 'the result is named by number')
FROM streaming_internal.continuous_view JOIN pg_class ON pg_class.oid = result;

-- each change of options is a new generation
ALTER VIEW v SET (streaming.enabled = off);
ALTER VIEW v SET (streaming.enabled = on);
SELECT results_eq('SELECT generation FROM streaming_internal.continuous_view', ARRAY[2::bigint], 'generations');
ALTER VIEW v RENAME TO w;
SELECT results_eq('SELECT view FROM streaming_internal.continuous_view', $$VALUES ('w'::regclass)$$, 'a renamed view');

-- a watermark
SELECT is(streaming.watermark('w'), NULL, 'a view begins without watermark');
INSERT INTO streaming_internal.progress (view, watermark) VALUES ('w', '2024-01-01')
    ON CONFLICT (view) DO UPDATE SET watermark = excluded.watermark;
SELECT is(streaming.watermark('w'), '2024-01-01'::timestamptz, 'the watermark of the last batch');
SELECT throws_ok('SELECT streaming.watermark(''s'')', '42809', NULL, 'a stream has no watermark');
SELECT throws_ok('SELECT streaming.watermark(''pg_class'')', '42809', NULL, 'nor has a table');
SELECT throws_ok('SELECT streaming.watermark(0)', '42P01', NULL, 'nor has nothing');
SELECT throws_ok('SELECT streaming.explain(''rows'')', '42809', NULL, 'an ordinary view has no plan');

-- all that was known of a view goes with it, and comes back if the command is undone
INSERT INTO streaming.checkpoints VALUES ('w', 's', '0', '1', 1, now()) ON CONFLICT DO NOTHING;
BEGIN;
DROP FOREIGN TABLE s CASCADE;
SELECT is_empty('SELECT * FROM streaming_internal.continuous_view', 'DROP ... CASCADE of the stream');
ROLLBACK;
SELECT isnt_empty('SELECT * FROM streaming_internal.continuous_view', 'that is undone');
DROP VIEW w;
SELECT is_empty('SELECT * FROM streaming_internal.continuous_view', 'no row is left of a dropped view');
SELECT is_empty('SELECT * FROM streaming.checkpoints', 'no checkpoint');
SELECT is_empty('SELECT * FROM streaming_internal.progress', 'no totals');
SELECT is_empty('SELECT * FROM relations', 'no relation');

-- a failed CREATE VIEW leaves nothing
SELECT throws_ok('CREATE VIEW v WITH (streaming.continuous) AS SELECT a FROM s FOR UPDATE', '0A000');
SELECT throws_ok('CREATE VIEW v WITH (streaming.continuous, streaming.sink = ''nothing'') AS SELECT a FROM s', '42P01');
SELECT is_empty('SELECT * FROM relations', 'no relation is left of a failed CREATE VIEW');
SELECT hasnt_view('v');

-- by other ways of dropping
CREATE SCHEMA place;
CREATE VIEW place.v WITH (streaming.continuous) AS SELECT a FROM s;
DROP SCHEMA place CASCADE;
SELECT is_empty('SELECT * FROM streaming_internal.continuous_view', 'DROP SCHEMA');
CREATE ROLE streaming_test_owner;
GRANT CREATE ON SCHEMA public TO streaming_test_owner;
GRANT SELECT ON s TO streaming_test_owner;
SET ROLE streaming_test_owner;
CREATE VIEW v WITH (streaming.continuous) AS SELECT a FROM s;
RESET ROLE;
DROP OWNED BY streaming_test_owner;
SELECT is_empty('SELECT * FROM streaming_internal.continuous_view', 'DROP OWNED');
SELECT is_empty('SELECT * FROM relations', 'and its relations');
DROP ROLE streaming_test_owner;

-- rows of a stream
INSERT INTO streaming.rejected_rows (stream, partition, position, error) VALUES ('s', '0', '1', 'bad');
INSERT INTO streaming.files VALUES ('s', 1, 'x', 1, now());
DROP FOREIGN TABLE s;
SELECT is_empty('SELECT * FROM streaming.rejected_rows', 'rejected rows go with the stream');
SELECT is_empty('SELECT * FROM streaming.files', 'files go with the stream');

SELECT * FROM finish();
