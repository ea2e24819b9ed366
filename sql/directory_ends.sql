-- Ends of lines and byte order marks are those of the programs that wrote the
-- files; fields are found by names that PostgreSQL has folded.
\getenv builddir PG_ABS_BUILDDIR
\set dir :builddir '/directory_ends'
\set make 'rm -rf \'' :dir '\'; mkdir -p \'' :dir '\'; cd \'' :dir '\'; '
\set make :make 'printf "a,b\\r1,x\\r2,\\"y\\rz\\"\\r3," > cr.csv; '
\set make :make 'printf "a,b\\r\\n1,x\\r\\n2,\\"y\\rz\\"\\r\\n3," > crlf.csv; '
\set make :make 'printf "a,b\\n1,x\\n2,\\"y\\rz\\"\\n3," > lf.csv; '
\set make :make 'printf "a,b\\r1,x\\r2,y\\nz\\r" > mixed.csv; '
\set make :make 'printf "1\\tx\\r2\\ty\\\\\\rz\\r" > cr.txt; printf "1\\tx\\n2\\ty\\n" > lf.txt; '
\set make :make 'printf "\\357\\273\\277a,b\\n1,x\\n" > mark.csv; printf "\\357\\273\\277\\"1\\",x\\r2,y\\r" > mark.cr; '
\set make :make 'printf "\\357\\273\\2771\\tx\\n" > mark.txt; printf "\\357\\273\\277one\\n\\357\\273\\277two\\n" > mark.lines; '
\set make :make 'printf "\\357\\273\\277{\\"a\\": 1}\\n{\\"a\\": 2}\\n" > mark.json; printf "\\357\\273\\277" > only.json; printf "\\357\\273" > half.json; '
\set make :make 'printf "\\357\\273\\277{\\"a\\": 4}\\n" | gzip > zipped.json.gz; '
\set make :make 'printf "a,b\\n1,x\\n" > mark8859.latin; cat > /dev/null'
COPY (SELECT 1) TO PROGRAM :'make';

CREATE SERVER landing FOREIGN DATA WRAPPER directory OPTIONS (path :'dir');
CREATE FOREIGN TABLE separated (a int, b text, file text OPTIONS (metadata 'path'), line bigint OPTIONS (metadata 'line'))
    SERVER landing OPTIONS (path '*.csv', format 'csv', header 'true');
CREATE FOREIGN TABLE matched (a int, b text) SERVER landing OPTIONS (path 'mark.csv', format 'csv', header 'match');
CREATE FOREIGN TABLE quoted (a int, b text) SERVER landing OPTIONS (path 'mark.cr', format 'csv');
CREATE FOREIGN TABLE tabbed (a int, b text, file text OPTIONS (metadata 'path')) SERVER landing OPTIONS (path '*.txt', format 'text');
CREATE FOREIGN TABLE lines (line text) SERVER landing OPTIONS (path '*.lines', format 'text');
CREATE FOREIGN TABLE objects (a int) SERVER landing OPTIONS (path '*.json*');

SELECT regexp_replace(file, '.*/', '') AS file, line, a, regexp_replace(b, '\r', '<CR>') AS b FROM separated ORDER BY 1, 2;
SELECT * FROM matched;
SELECT * FROM quoted;
SELECT regexp_replace(file, '.*/', '') AS file, a, regexp_replace(b, '\r', '<CR>') AS b FROM tabbed ORDER BY 1, 2;
SELECT replace(line, U&'\FEFF', '<mark>') AS line FROM lines ORDER BY octet_length(line);
SELECT * FROM objects ORDER BY a;
CREATE VIEW from_objects WITH (streaming.trigger = 'manual') AS SELECT a FROM objects;
CREATE VIEW from_separated WITH (streaming.trigger = 'manual') AS SELECT count(*), sum(a) FROM separated;
SELECT streaming.drain('from_objects') AS objects, streaming.drain('from_separated') AS separated;
TABLE from_separated;
SELECT stream, payload, error FROM streaming.rejected_rows WHERE stream IN ('objects'::regclass, 'separated'::regclass) ORDER BY 1, 2;

-- names of fields
\set make 'cd \'' :dir '\' && cat > .part && mv .part names.ndjson'
COPY (SELECT * FROM (VALUES
    ('{"userId": 1, "A": 1}'),
    ('{"USERID": 2, "b": 2}'),
    ('{"userid": 3, "userId": 33, "B": 2}'),
    ('{"userId": 44, "userid": 4}'),
    ('{"userId": 55, "UserID": 5}'),
    ('{"user": {"Id": 6}, "USER": {"id": 66}, "user\u0049d": 6}'),
    ('{"userId": null, "userID": 7}')) x) TO PROGRAM :'make' (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02');
CREATE FOREIGN TABLE named (userId int, nested int OPTIONS (field 'user.id'), a int, "A" int, b int, line bigint OPTIONS (metadata 'line'))
    SERVER landing OPTIONS (path 'names.ndjson');
CREATE FOREIGN TABLE another (userId int, exact int OPTIONS (field 'userId'), line bigint OPTIONS (metadata 'line'))
    SERVER landing OPTIONS (path 'names.ndjson');
SELECT * FROM named ORDER BY line;
SELECT * FROM another ORDER BY line;
SELECT count(userid), count(a), count("A"), count(b) FROM named;

\set clean 'rm -rf \'' :dir '\'; cat > /dev/null'
COPY (SELECT 1) TO PROGRAM :'clean';
SET client_min_messages = warning;
DROP SERVER landing CASCADE;
