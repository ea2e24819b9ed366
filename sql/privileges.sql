-- Who may do what: GRANT and ownership mean what they mean elsewhere.
CREATE ROLE regress_streaming_app;
CREATE ROLE regress_streaming_other;
CREATE ROLE regress_streaming_reader;
CREATE SCHEMA app AUTHORIZATION regress_streaming_app;
CREATE FOREIGN TABLE secret (a int, b text) SERVER streaming;

-- an ordinary user makes streams and views where it may make tables
SET ROLE regress_streaming_app;
SET search_path = app;
CREATE FOREIGN TABLE s (a int, b text) SERVER streaming;
CREATE VIEW v WITH (streaming.continuous) AS SELECT a, count(*) AS n FROM s GROUP BY a;
CREATE VIEW above WITH (streaming.continuous) AS SELECT n, count(*) AS m FROM v GROUP BY n;
GRANT SELECT ON v TO regress_streaming_reader;
GRANT USAGE ON SCHEMA app TO regress_streaming_reader;
-- but not elsewhere
CREATE VIEW streaming_internal.x WITH (streaming.continuous) AS SELECT a FROM s;
CREATE TABLE streaming_internal.x (a int);
CREATE SERVER x FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers 'x');
-- nor of what it may not read
CREATE VIEW x WITH (streaming.continuous) AS SELECT a FROM public.secret;
CREATE TABLE target (a int PRIMARY KEY, n bigint);
REVOKE INSERT ON target FROM regress_streaming_app;
CREATE VIEW x WITH (streaming.sink = 'target') AS SELECT a, count(*) AS n FROM s GROUP BY a;
-- and does not write the catalogs
UPDATE streaming_internal.continuous_view SET enabled = false;
DELETE FROM streaming.checkpoints;
INSERT INTO streaming.rejected_rows VALUES ('s', '0', '0', '', '');

-- a reader reads the view, and nothing behind it
SET ROLE regress_streaming_reader;
SELECT * FROM v;
SELECT * FROM above;
SELECT * FROM s;
DO $$ BEGIN
    EXECUTE format('SELECT * FROM %s', (SELECT result FROM streaming_internal.continuous_view WHERE view = 'app.v'::regclass));
EXCEPTION WHEN insufficient_privilege THEN
    RAISE NOTICE 'permission denied';
END $$;
ALTER VIEW v SET (streaming.enabled = off);
DROP VIEW above;

-- rejected records are the stream owner's
RESET ROLE;
INSERT INTO streaming.rejected_rows (stream, partition, position, payload, error)
VALUES ('app.s', '0', '1', 'x', 'of app'), ('public.secret', '0', '1', 'x', 'of another');
SET ROLE regress_streaming_app;
SELECT stream, error FROM streaming.rejected_rows;
SELECT streaming.delete_rejected_rows('s');
DELETE FROM streaming.rejected_rows;
SET ROLE regress_streaming_reader;
SELECT stream, error FROM streaming.rejected_rows;
RESET ROLE;
GRANT pg_read_all_data TO regress_streaming_reader;
SET ROLE regress_streaming_reader;
SELECT stream, error FROM streaming.rejected_rows;
SELECT streaming.delete_rejected_rows('public.secret');
RESET ROLE;

-- parts belong to the extension's owner; a new owner of the view may read them, and the old one may not
CREATE VIEW public.owners AS
    SELECT v.view, bool_and(c.relowner = e.extowner) AS of_extension,
           array_agg(DISTINCT a.grantee::regrole) FILTER (WHERE a.grantee <> c.relowner AND relkind = 'r') AS readers,
           bool_or(a.grantee <> c.relowner) FILTER (WHERE relkind = 'v') AS definition_read
    FROM streaming_internal.continuous_view v
    JOIN pg_depend d ON d.refobjid = v.view AND d.deptype = 'i' AND d.classid = 'pg_class'::regclass
    JOIN pg_class c ON c.oid = d.objid AND relkind IN ('r', 'v')
    JOIN pg_extension e ON e.extname = 'streaming'
    CROSS JOIN LATERAL aclexplode(coalesce(relacl, acldefault('r', relowner))) a
    GROUP BY v.view;
SELECT * FROM public.owners ORDER BY view::text;
ALTER VIEW v OWNER TO regress_streaming_other;
SELECT * FROM public.owners ORDER BY view::text;
REASSIGN OWNED BY regress_streaming_app TO regress_streaming_other;
SELECT * FROM public.owners ORDER BY view::text;
DROP OWNED BY regress_streaming_other CASCADE;
SELECT * FROM public.owners;
SELECT stream, error FROM streaming.rejected_rows;
DROP FOREIGN TABLE public.secret;
SELECT count(*) FROM streaming.rejected_rows;

RESET search_path;
DROP VIEW owners;
DROP OWNED BY regress_streaming_app, regress_streaming_other, regress_streaming_reader;
DROP ROLE regress_streaming_app, regress_streaming_other, regress_streaming_reader;
