-- Foreign tables found by looking at files.
\getenv builddir PG_ABS_BUILDDIR
\set dir :builddir '/import_directory'
\set make 'rm -rf \'' :dir '\'; mkdir -p \'' :dir '/landing/orders\' \'' :dir '/landing/people\' \'' :dir '/landing/eu/users\' \'' :dir '/landing/visits/dt=2026-11-30/hour=05\' \'' :dir '/landing/visits/dt=2026-12-01/hour=__HIVE_DEFAULT_PARTITION__\' \'' :dir '/landing/_hidden\' \'' :dir '/landing/odd [1]\' \'' :dir '/landing/empty\' \'' :dir '/landing/other\'; cd \'' :dir '/landing\'; '
\set make :make 'printf "id,code,price,placed,paid,note\\n1,007,1.5,2026-11-30,true,\\"a, b\\"\\n" > orders/a.csv; printf "id,code,price,placed,paid,note\\n2,12,3,2026-11-30 05:00:00,false,\\n" > orders/b.csv; '
\set make :make 'printf "1;Ann;2026-11-30T05:00:00Z\\n2;Bob;\\n" > people/p.csv; printf "{\\"x\\": 1}\\n" | gzip > people/p.json.gz; '
\set make :make 'printf "{\\"u\\": 1}\\n" > eu/users/u.jsonl; printf "a\\tb\\n1\\tx\\n" > top.tsv; printf "{\\"h\\": 1}\\n" > _hidden/h.json; '
\set make :make 'printf "{\\"v\\": 1}\\n" > visits/dt=2026-11-30/hour=05/v.json; printf "{\\"v\\": 2, \\"dt\\": \\"x\\"}\\n" > visits/dt=2026-12-01/hour=__HIVE_DEFAULT_PARTITION__/v.json; '
\set make :make 'printf "{\\"Mixed Case\\": 1, \\"a.b\\": true, \\"ctid\\": 2, \\"select\\": null}\\n" > "odd [1]/o.json"; touch empty/e.json; echo text > other/x.txt; cat > /dev/null'
COPY (SELECT 1) TO PROGRAM :'make';
\set put 'cat > \'' :dir '/landing/people/q.json\''
COPY (SELECT * FROM (VALUES
    ('{"i": 1, "n": 1, "d": 1e3, "big": 12345678901234567890, "b": true, "t": "2026-11-30T05:00:00+01:00", "day": "2026-11-30", "o": {"a": 1}, "l": [1]}'),
    ('no record'),
    ('{"i": -2, "n": 1.50, "d": 2, "big": 1, "b": null, "t": "2026-11-30 05:00", "day": "2026-12-01", "o": "none", "l": null, "mixed": 1, "never": null}'),
    ('{"mixed": "x", "i": null, "text": "1", "nested": {"deep": [{}]}, "nested2": 1}'),
    ('[1]'), ('{"nested2": {}}')) x) TO PROGRAM :'put' (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02');

SET client_min_messages = error;
CREATE SERVER landing FOREIGN DATA WRAPPER directory OPTIONS (path :'dir');
RESET client_min_messages;
CREATE SCHEMA found;
CREATE VIEW found_columns AS
    SELECT table_name, column_name, data_type,
        (SELECT string_agg(option_name || ' ' || option_value, ', ' ORDER BY option_name) FROM information_schema.column_options AS o
         WHERE (o.table_schema, o.table_name, o.column_name) = (c.table_schema, c.table_name, c.column_name)) AS options
    FROM information_schema.columns AS c WHERE table_schema = 'found' ORDER BY table_name COLLATE "C", ordinal_position;
CREATE VIEW found_tables AS
    SELECT foreign_table_name, string_agg(option_name || ' ' || option_value, ', ' ORDER BY option_name COLLATE "C") AS options
    FROM information_schema.foreign_table_options WHERE foreign_table_schema = 'found' GROUP BY 1 ORDER BY foreign_table_name COLLATE "C";

IMPORT FOREIGN SCHEMA landing FROM SERVER landing INTO found;
TABLE found_tables;
TABLE found_columns;
SELECT * FROM found.orders ORDER BY id;
SELECT * FROM found.people_csv ORDER BY column1;
SELECT i, n, d, t AT TIME ZONE 'UTC' AS t, day, o, nested FROM found.people_json ORDER BY i;
SELECT * FROM found.visits ORDER BY v;
SELECT * FROM found."odd [1]";
SELECT * FROM found.landing;
SELECT (SELECT sum(u) FROM found.eu_users) AS users, (SELECT count(*) FROM streaming.rejected_rows WHERE stream = 'found.people_json'::regclass) AS rejected;

-- some of them
DROP SCHEMA found CASCADE;
CREATE SCHEMA found;
IMPORT FOREIGN SCHEMA landing LIMIT TO (orders, visits, missing) FROM SERVER landing INTO found;
TABLE found_tables;
IMPORT FOREIGN SCHEMA landing EXCEPT (orders, visits, people_csv, people_json, empty) FROM SERVER landing INTO found;
TABLE found_tables;
DROP SCHEMA found CASCADE;
CREATE SCHEMA found;
IMPORT FOREIGN SCHEMA "landing/eu" FROM SERVER landing INTO found;
TABLE found_tables;

-- what is none
\set VERBOSITY terse
IMPORT FOREIGN SCHEMA "../landing" FROM SERVER landing INTO found;
IMPORT FOREIGN SCHEMA "landing/../.." FROM SERVER landing INTO found;
IMPORT FOREIGN SCHEMA "/etc" FROM SERVER landing INTO found;
IMPORT FOREIGN SCHEMA landing FROM SERVER landing INTO found OPTIONS (depth '1');
IMPORT FOREIGN SCHEMA landing FROM SERVER streaming INTO found;

-- who may not name files of the server
CREATE ROLE regress_importer;
GRANT USAGE ON FOREIGN SERVER landing TO regress_importer;
GRANT CREATE, USAGE ON SCHEMA found TO regress_importer;
SET ROLE regress_importer;
IMPORT FOREIGN SCHEMA landing FROM SERVER landing INTO found;
RESET ROLE;
GRANT pg_read_server_files TO regress_importer;
SET ROLE regress_importer;
IMPORT FOREIGN SCHEMA landing LIMIT TO (orders) FROM SERVER landing INTO found;
SELECT count(*) FROM found.orders;
RESET ROLE;

\set clean 'rm -rf \'' :dir '\'; cat > /dev/null'
COPY (SELECT 1) TO PROGRAM :'clean';
SET client_min_messages = warning;
DROP SERVER landing CASCADE;
DROP VIEW found_columns, found_tables;
DROP SCHEMA found CASCADE;
DROP OWNED BY regress_importer;
DROP ROLE regress_importer;
