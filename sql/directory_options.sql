-- Options of directory servers and streams are checked where they are given.
CREATE SERVER relative FOREIGN DATA WRAPPER directory OPTIONS (path 'landing');
CREATE SERVER nowhere FOREIGN DATA WRAPPER directory;
CREATE SERVER typo FOREIGN DATA WRAPPER directory OPTIONS (pth '/srv');
CREATE SERVER landing FOREIGN DATA WRAPPER directory OPTIONS (path '/nonexistent/landing');

CREATE FOREIGN TABLE f (a int) SERVER landing;
CREATE FOREIGN TABLE f (a int) SERVER landing OPTIONS (path '');
CREATE FOREIGN TABLE f (a int) SERVER landing OPTIONS (path '/etc/passwd');
CREATE FOREIGN TABLE f (a int) SERVER landing OPTIONS (path '../*.json');
CREATE FOREIGN TABLE f (a int) SERVER landing OPTIONS (path '*.json', format 'jsn');
CREATE FOREIGN TABLE f (a int) SERVER landing OPTIONS (path '*.json', header 'true');
CREATE FOREIGN TABLE f (a int) SERVER landing OPTIONS (path '*.csv', format 'csv', delimiter ';;');
CREATE FOREIGN TABLE f (a int) SERVER landing OPTIONS (path '*.csv', format 'csv', quote ',');
CREATE FOREIGN TABLE f (a int) SERVER landing OPTIONS (path '*.json', on_error 'ignore');
CREATE FOREIGN TABLE f (a int) SERVER landing OPTIONS (path '*.json', start 'sometime');
CREATE FOREIGN TABLE f (a int) SERVER landing OPTIONS (path '*.json', compression 'lz4');
CREATE FOREIGN TABLE f (a int) SERVER landing OPTIONS (path '*.json', order 'size');
CREATE FOREIGN TABLE f (a int OPTIONS (metadata 'offset')) SERVER landing OPTIONS (path '*.json');
CREATE FOREIGN TABLE f (a text OPTIONS (metadata 'path', field 'x')) SERVER landing OPTIONS (path '*.json');
CREATE FOREIGN TABLE f (a timestamptz OPTIONS (watermark '-1 s')) SERVER landing OPTIONS (path '*.json');
CREATE FOREIGN TABLE f (a timestamptz OPTIONS (time_format 'epoch')) SERVER landing OPTIONS (path '*.json');

-- whoever names files of the server must be allowed to read them
CREATE ROLE regress_outsider;
GRANT USAGE ON FOREIGN SERVER landing TO regress_outsider;
GRANT CREATE ON SCHEMA public TO regress_outsider;
SET ROLE regress_outsider;
CREATE FOREIGN TABLE f (a int) SERVER landing OPTIONS (path '*.json');
RESET ROLE;
GRANT pg_read_server_files TO regress_outsider;
SET ROLE regress_outsider;
CREATE FOREIGN TABLE f (a int) SERVER landing OPTIONS (path '*.json');
DROP FOREIGN TABLE f;
RESET ROLE;
DROP OWNED BY regress_outsider;
DROP ROLE regress_outsider;
DROP SERVER landing;
