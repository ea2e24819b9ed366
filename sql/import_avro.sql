-- IMPORT FOREIGN SCHEMA from a directory server: Avro files say themselves which columns they have.
\getenv srcdir PG_ABS_SRCDIR
\getenv builddir PG_ABS_BUILDDIR
\set dir :builddir '/import_avro'
\set make 'rm -rf \'' :dir '\'; mkdir -p \'' :dir '\'/visits/dt=2026-11-30 \'' :dir '\'/bad; cd \'' :srcdir '/test/avro/files\' && cp fastavro-snappy.avro apache-bzip2.avro \'' :dir '/visits/dt=2026-11-30\' && cp damaged-codec.avro \'' :dir '/bad\'; cat > /dev/null'
COPY (SELECT 1) TO PROGRAM :'make';
CREATE SERVER landing FOREIGN DATA WRAPPER directory OPTIONS (path :'dir');
CREATE SCHEMA found;
\set VERBOSITY terse
\set QUIET 1
SET client_min_messages = error;
IMPORT FOREIGN SCHEMA "." FROM SERVER landing INTO found;
RESET client_min_messages;
SELECT foreign_table_name FROM information_schema.foreign_tables WHERE foreign_table_schema = 'found';
SELECT a.attname, format_type(a.atttypid, a.atttypmod) AS type, a.attfdwoptions FROM pg_attribute a
WHERE a.attrelid = 'found.visits'::regclass AND a.attnum > 0 ORDER BY a.attnum;
SELECT option_name, option_value FROM information_schema.foreign_table_options WHERE foreign_table_schema = 'found' ORDER BY 1;
SELECT count(*), sum(ms), min(page), max(page), max(dt) FROM found.visits;

\set clean 'rm -rf \'' :dir '\'; cat > /dev/null'
COPY (SELECT 1) TO PROGRAM :'clean';
SET client_min_messages = warning;
DROP SERVER landing CASCADE;
DROP SCHEMA found;
