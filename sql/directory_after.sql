-- What becomes of files that all views have taken: who may say it, and how.
CREATE SERVER landing FOREIGN DATA WRAPPER directory OPTIONS (path '/nonexistent/landing');
CREATE FOREIGN TABLE f (a int) SERVER landing OPTIONS (path '*.json', after 'remove');
CREATE FOREIGN TABLE f (a int) SERVER landing OPTIONS (path '*.json', after 'archive');
CREATE FOREIGN TABLE f (a int) SERVER landing OPTIONS (path '*.json', archive_path 'old');
CREATE FOREIGN TABLE f (a int) SERVER landing OPTIONS (path '*.json', after 'delete', archive_path 'old');
CREATE FOREIGN TABLE f (a int) SERVER landing OPTIONS (path '*.json', after 'archive', archive_path '');
CREATE FOREIGN TABLE f (a int) SERVER landing OPTIONS (path '*.json', after 'archive', archive_path '/srv/old');
CREATE FOREIGN TABLE f (a int) SERVER landing OPTIONS (path '*.json', after 'archive', archive_path '../old');
CREATE FOREIGN TABLE f (a int) SERVER landing OPTIONS (path '*.json', after 'archive', archive_path 'old/..');
CREATE FOREIGN TABLE f (a int) SERVER landing OPTIONS (path '*.json', after 'archive', archive_path '.');
CREATE FOREIGN TABLE f (a int) SERVER landing OPTIONS (path '*.json', after 'archive', archive_path 'old//all');
ALTER SERVER landing OPTIONS (ADD after 'delete');

-- whoever moves files of the server must be allowed to write them
CREATE ROLE regress_reader;
GRANT USAGE ON FOREIGN SERVER landing TO regress_reader;
GRANT CREATE ON SCHEMA public TO regress_reader;
GRANT pg_read_server_files TO regress_reader;
SET ROLE regress_reader;
CREATE FOREIGN TABLE f (a int) SERVER landing OPTIONS (path '*.json', after 'keep');
ALTER FOREIGN TABLE f OPTIONS (SET after 'delete');
ALTER FOREIGN TABLE f OPTIONS (SET after 'archive', ADD archive_path 'old');
RESET ROLE;
GRANT pg_write_server_files TO regress_reader;
SET ROLE regress_reader;
ALTER FOREIGN TABLE f OPTIONS (SET after 'archive', ADD archive_path 'old');
ALTER FOREIGN TABLE f OPTIONS (SET after 'keep');
ALTER FOREIGN TABLE f OPTIONS (SET after 'delete', DROP archive_path);
RESET ROLE;
DROP OWNED BY regress_reader;
DROP ROLE regress_reader;
DROP SERVER landing;
