# A database with streams and views in a dump, and in a new place.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use StreamingTest;
use Test::More;

my $node = new_node('main', 'streaming.scan_interval = 200ms');
my $dir = $node->basedir . '/landing';
mkdir $dir;

$node->safe_psql('postgres', <<SQL);
CREATE SCHEMA app;
CREATE FOREIGN TABLE app.s (k int, v int) SERVER streaming;
CREATE SERVER landing FOREIGN DATA WRAPPER directory OPTIONS (path '$dir');
CREATE FOREIGN TABLE f (k int, v int) SERVER landing OPTIONS (path '*.json');
CREATE VIEW app.sums WITH (streaming.trigger = '50 ms') AS SELECT k, count(*) AS n, sum(v), avg(v) FROM app.s GROUP BY k;
CREATE VIEW "odd ""name""" WITH (streaming.continuous) AS SELECT k AS xmin, v AS "\$hash" FROM app.s WHERE v > 5;
CREATE VIEW odd_keys WITH (streaming.continuous) AS SELECT "\$hash" AS "\$count", count(*) AS ctid FROM "odd ""name""" GROUP BY 1;
CREATE VIEW over WITH (streaming.continuous) AS SELECT n, count(*) AS keys FROM app.sums GROUP BY n;
CREATE VIEW files WITH (streaming.continuous) AS SELECT k, sum(v) FROM f GROUP BY k;
CREATE VIEW sleeping WITH (streaming.enabled = off) AS SELECT max(v) FROM app.s;
CREATE TABLE app.told (k int, v int);
CREATE FUNCTION app."put it"(r record) RETURNS void LANGUAGE plpgsql AS 'BEGIN INSERT INTO app.told VALUES (r.k, r.v); END';
CREATE FUNCTION app.well(error text) RETURNS void LANGUAGE plpgsql AS 'BEGIN END';
CREATE VIEW app.tells WITH (streaming.foreach = 'app."put it"', streaming.foreach_close = 'app.well') AS SELECT k, v FROM app.s;
CREATE VIEW app.remembers WITH (streaming.sink = 'memory') AS SELECT k, sum(v) FROM app.s GROUP BY k;
CREATE VIEW app.prints WITH (streaming.sink = 'console') AS SELECT k FROM app.s;
CREATE FOREIGN TABLE app.large (k int, v int) SERVER streaming;
CREATE VIEW app.finds WITH (streaming.sink = 'app.large') AS SELECT k, v FROM app.s WHERE v > 2;
CREATE VIEW app.large_sums WITH (streaming.continuous) AS SELECT k, count(*), sum(v) FROM app.large GROUP BY k;
CREATE ROLE reader;
GRANT SELECT ON "odd ""name""" TO reader;
COMMENT ON VIEW app.sums IS 'sums of v';
INSERT INTO app.s SELECT i % 4, i FROM generate_series(1, 10) i;
SQL
put_file($dir, 'a.json', qq({"k": 1, "v": 1}\n{"k": 2, "v": 2}\n));
drain($node, $_) foreach 'app.sums', '"odd ""name"""', 'odd_keys', 'over', 'files', 'app.tells', 'app.remembers', 'app.prints', 'app.large_sums';

my @shown = (
	'SELECT * FROM app.sums ORDER BY 1', 'SELECT * FROM "odd ""name""" ORDER BY 1, 2', 'SELECT * FROM odd_keys ORDER BY 1',
	'SELECT * FROM over ORDER BY 1', 'SELECT * FROM files ORDER BY 1',
	'SELECT * FROM app.told ORDER BY 1, 2', 'SELECT * FROM app.remembers ORDER BY 1', 'SELECT * FROM app.large_sums ORDER BY 1');
my %before = map { $_ => $node->safe_psql('postgres', $_) } @shown;
my $listing = 'SELECT view, query, sink, output_mode, trigger, enabled FROM streaming.views ORDER BY view::text';
my $views = $node->safe_psql('postgres', $listing);

my $dump = $node->basedir . '/dump.sql';
command_ok([ 'pg_dump', '-f', $dump, '-d', $node->connstr('postgres') ], 'pg_dump');

# Into another database of the same server: both live side by side.
$node->safe_psql('postgres', 'CREATE DATABASE copy');
command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-d', $node->connstr('copy'), '-f', $dump ], 'restore');
is($node->safe_psql('copy', $listing), $views, 'definitions are the same');
is($node->safe_psql('copy', $_), $before{$_}, "same rows: $_") foreach @shown;
is($node->safe_psql('copy', q(SELECT has_table_privilege('reader', '"odd ""name"""', 'SELECT'), obj_description('app.sums'::regclass))),
	't|sums of v', 'grants and comments too');

$node->safe_psql('copy', 'INSERT INTO app.s SELECT i % 4, i FROM generate_series(11, 20) i');
put_file($dir, 'b.json', qq({"k": 1, "v": 10}\n));
$node->safe_psql('copy', "SELECT streaming.drain('$_', '60 s')") foreach 'app.sums', '"odd ""name"""', 'odd_keys', 'over', 'files', 'app.tells', 'app.remembers', 'app.prints', 'app.large_sums';
is($node->safe_psql('copy', 'SELECT sum(n), sum(sum) FROM app.sums'), '20|210', 'restored views go on from where they were');
is($node->safe_psql('copy', 'SELECT count(*) FROM "odd ""name"""'), 15, 'without a row');
is($node->safe_psql('copy', 'SELECT * FROM over ORDER BY n'), '5|4', 'and those over them');
is($node->safe_psql('copy', 'SELECT count(*), sum(v) FROM app.told'), '20|210', 'functions are called with the rows after those');
is($node->safe_psql('copy', 'SELECT sum(count), sum(sum) FROM app.large_sums'), '18|207', 'streams between two views go on, too');
is($node->safe_psql('copy', 'SELECT sum(sum) FROM app.remembers'), 210, 'unlogged tables came with the dump');
like(($node->psql('copy', 'DROP FUNCTION app."put it"'))[2], qr/other objects depend on it/, 'and functions are still guarded');
is($node->safe_psql('copy', 'SELECT * FROM files ORDER BY k'), "1|11\n2|2", 'files are not taken again');
drain($node, 'app.sums');
is($node->safe_psql('postgres', 'SELECT sum(n) FROM app.sums'), 10, 'the first database has its own stream');
drain($node, 'files');
is($node->safe_psql('postgres', 'SELECT * FROM files ORDER BY k'), "1|11\n2|2", 'and its own reading of the directory');

# A dump of the copy is the same again, and restores in another server by pg_restore.
command_ok([ 'pg_dump', '-Fc', '-f', "$dump.custom", '-d', $node->connstr('copy') ], 'pg_dump of the restored database');
my $other = PostgreSQL::Test::Cluster->new('other');
$other->init;
$other->append_conf('postgresql.conf', PostgreSQL::Test::Utils::slurp_file($ENV{STREAMING_CONF}));
$other->start;
$other->safe_psql('postgres', 'CREATE ROLE reader');
command_ok([ 'pg_restore', '--exit-on-error', '-d', $other->connstr('postgres'), "$dump.custom" ], 'pg_restore');
$other->safe_psql('postgres', 'INSERT INTO app.s VALUES (0, 1000)');
drain($other, 'app.sums');
is($other->safe_psql('postgres', 'SELECT sum(n), sum(sum) FROM app.sums'), '21|1210', 'views go on in the other server');

# By several jobs, which load tables in any order, and row by row.
$node->safe_psql('copy', <<'SQL');
CREATE FOREIGN TABLE app.wide (k int, filler text) SERVER streaming;
CREATE VIEW app.keys WITH (streaming.continuous) AS SELECT k, count(*) AS n, max(filler) FROM app.wide GROUP BY k;
CREATE VIEW app.all_wide WITH (streaming.continuous) AS SELECT k, filler FROM app.wide;
CREATE VIEW app.over_keys WITH (streaming.continuous) AS SELECT n, count(*) FROM app.keys GROUP BY n;
INSERT INTO app.wide SELECT i, repeat('x', 100) FROM generate_series(1, 5000) i;
SQL
$node->safe_psql('copy', "SELECT streaming.drain('$_', '60 s')") foreach qw(app.keys app.all_wide app.over_keys);
my ($dumped, $warned) = run_command([ 'pg_dump', '-Fd', '-f', "$dump.directory", '-d', $node->connstr('copy') ]);
is($warned, '', 'nothing is missing in the dump');
run_command([ 'pg_dump', '-Fd', '--inserts', '-f', "$dump.inserts", '-d', $node->connstr('copy') ]);
my $orphans = q(SELECT string_agg(relname, chr(44)) FROM pg_class c WHERE relkind = 'r' AND relname ~ '^(push|buffer)_[0-9]'
	AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = c.oid AND refclassid = 'pg_class'::regclass));
foreach my $round (1 .. 4)
{
	my $from = $round == 4 ? "$dump.inserts" : "$dump.directory";

	$other->safe_psql('postgres', "CREATE DATABASE jobs$round");
	command_ok([ 'pg_restore', '--exit-on-error', '-j', 4, '-d', $other->connstr("jobs$round"), $from ], "pg_restore -j 4 of $from");
	$other->safe_psql("jobs$round", q(INSERT INTO app.wide SELECT i, 'y' FROM generate_series(1, 5001) i));
	$other->safe_psql("jobs$round", "SELECT streaming.drain('$_', '60 s')") foreach qw(app.keys app.all_wide app.over_keys);
	is($other->safe_psql("jobs$round", 'SELECT sum(n), count(*), min(max), (SELECT count(*) FROM app.all_wide) FROM app.keys'),
		'10001|5001|y|10001', 'views go on');
	is($other->safe_psql("jobs$round", 'SELECT * FROM app.over_keys ORDER BY n'), "1|1\n2|5000", 'and those over them');
	is($other->safe_psql("jobs$round", $orphans), q(), 'tables of the old streams are gone');
	$other->safe_psql('postgres', "DROP DATABASE jobs$round");
}

# Without data: views wait until it is said that no data are to come, and begin then.
$node->safe_psql('copy', q(ALTER VIEW app.keys RENAME TO "renamed keys"; ALTER VIEW app.sums SET (streaming.trigger = '70 ms', streaming.timezone = 'Asia/Kolkata');
	CREATE TABLE app.sunk (k int PRIMARY KEY, n bigint); CREATE VIEW app.sinks WITH (streaming.sink = 'app.sunk') AS SELECT k, count(*) AS n FROM app.s GROUP BY k));
command_ok([ 'pg_dump', '-s', '-f', "$dump.schema", '-d', $node->connstr('copy') ], 'pg_dump -s');
my $all = q(SELECT view, query, CASE WHEN v.sink !~ '^streaming_internal' THEN v.sink END, v.output_mode, v.trigger, v.enabled, v.settings, sink_kind
	FROM streaming.views v JOIN streaming_internal.continuous_view USING (view) ORDER BY view::text);
foreach my $name (qw(bare later))
{
	$other->safe_psql('postgres', "CREATE DATABASE $name");
	command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-d', $other->connstr($name), '-f', "$dump.schema" ], 'restore of pg_dump -s');
}
is($other->safe_psql('bare', 'SELECT count(*) FROM streaming.views'), 0, 'nothing runs yet');
$other->safe_psql('bare', q(REFRESH MATERIALIZED VIEW streaming_internal.restored));
my $number = $node->safe_psql('copy', q(SELECT count(*) FROM streaming.views));
ok(wait_until(sub { $other->safe_psql('bare', q(SELECT count(*) FROM streaming.views WHERE status IN ('running', 'paused'))) == $number }), 'all begin');
is($other->safe_psql('bare', $all), $node->safe_psql('copy', $all), 'as they were defined');
$other->safe_psql('bare', <<'SQL');
INSERT INTO app.s SELECT i % 4, i FROM generate_series(1, 10) i;
INSERT INTO app.wide SELECT i, 'z' FROM generate_series(1, 3) i;
SQL
$other->safe_psql('bare', "SELECT streaming.drain('$_', '60 s')")
  foreach 'app.sums', '"odd ""name"""', 'odd_keys', 'over', 'app.tells', 'app.remembers', 'app.prints', 'app."renamed keys"', 'app.over_keys', 'app.sinks', 'app.large_sums', 'files';
is($other->safe_psql('bare', $_), $before{$_}, "the same again from the beginning: $_") foreach grep { !/files/ } @shown;
is($other->safe_psql('bare', 'SELECT * FROM files ORDER BY k'), "1|11\n2|2", 'sources are read from the start');
is($other->safe_psql('bare', 'SELECT n, count, (SELECT max(n) FROM app.sunk) FROM app.over_keys'), '1|3|3', 'views over views and sinks');
is($other->safe_psql('bare', 'SELECT count(*) FROM streaming.rejected_rows'), 0, 'nothing is missing');
my $parts = q(SELECT count(*) FROM pg_class WHERE relnamespace = 'streaming_internal'::regnamespace AND relkind IN ('r', 'v')
	AND relname !~ ALL (SELECT '_' || id || '(_|$)' FROM streaming_internal.continuous_view) AND relname ~ '_\d+(_|$)' AND relname !~ '^(push|buffer)_');
$other->safe_psql('bare', 'DROP VIEW app.sinks; DROP VIEW app.tells; DROP FOREIGN TABLE app.wide CASCADE');
is($other->safe_psql('bare', $parts), 0, 'parts go with their views');

# Data that come by a dump of their own.
command_ok([ 'pg_dump', '-a', '--disable-triggers', '-f', "$dump.data", '-d', $node->connstr('copy') ], 'pg_dump -a');
command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-d', $other->connstr('later'), '-f', "$dump.data" ], 'restore');
$other->safe_psql('later', 'REFRESH MATERIALIZED VIEW streaming_internal.restored');
$other->safe_psql('later', q(INSERT INTO app.wide VALUES (1, 'y'); SELECT streaming.drain('app."renamed keys"', '60 s')));
is($other->safe_psql('later', 'SELECT sum(n), count(*) FROM app."renamed keys"'), '5001|5000', 'views with data go on');
$node->safe_psql('copy', 'DROP VIEW app.sinks; ALTER VIEW app."renamed keys" RENAME TO keys');

# Into a database that has continuous views of its own, and was made just alike.
foreach my $name (qw(left_hand right_hand))
{
	$other->safe_psql('postgres', "CREATE DATABASE $name");
	$other->safe_psql($name, "CREATE EXTENSION streaming; CREATE SCHEMA $name; SET search_path = $name;" . <<'SQL');
CREATE FOREIGN TABLE s (k int, v int) SERVER streaming;
CREATE VIEW v WITH (streaming.continuous) AS SELECT k, count(*) AS n, count(DISTINCT v) AS d FROM s GROUP BY k;
CREATE VIEW over WITH (streaming.continuous) AS SELECT n, count(*) FROM v GROUP BY n;
INSERT INTO s SELECT i % 3, i FROM generate_series(1, 9) i;
SQL
	$other->safe_psql($name, "SELECT streaming.drain('$name.$_', '60 s')") foreach qw(v over);
}
command_ok([ 'pg_dump', '-Fc', '-f', "$dump.left", '-d', $other->connstr('left_hand') ], 'pg_dump');
command_ok([ 'pg_restore', '--exit-on-error', '-d', $other->connstr('right_hand'), "$dump.left" ], 'pg_restore into a database with views');
foreach my $name (qw(left_hand right_hand))
{
	$other->safe_psql('right_hand', "INSERT INTO $name.s VALUES (0, 100); SELECT streaming.drain('$name.v', '60 s'), streaming.drain('$name.over', '60 s')");
	is($other->safe_psql('right_hand', "SELECT * FROM $name.v ORDER BY k"), "0|4|4\n1|3|3\n2|3|3", "$name.v goes on");
	is($other->safe_psql('right_hand', "SELECT * FROM $name.over ORDER BY n"), "3|2\n4|1", "$name.over goes on");
}
$other->safe_psql('right_hand', 'CREATE VIEW left_hand.third WITH (streaming.continuous) AS SELECT v FROM right_hand.s');
is($other->safe_psql('right_hand', 'SELECT count(*), count(DISTINCT id) FROM streaming_internal.continuous_view'), '5|5', 'and new views can be made');
$other->stop;

# Rows that a view has not taken are not in a dump: that is said, then and later.
$node->safe_psql('copy', <<'SQL');
ALTER VIEW app.keys SET (streaming.enabled = off);
INSERT INTO app.wide VALUES (1, 'late'), (2, 'late');
SELECT streaming.drain('app.all_wide', '60 s');
SQL
(undef, $warned) = run_command([ 'pg_dump', '-v', '-Fc', '-f', "$dump.late", '-d', $node->connstr('copy') ]);
like($warned, qr/WARNING:  continuous view "keys" has not taken 2 rows of stream "wide", which a dump does not carry/, 'pg_dump -v warns');
like($warned, qr/HINT:  .*streaming\.drain/, 'and says what to do');
unlike($warned, qr/WARNING:  .*all_wide/, 'not of a view that has taken all');
$node->safe_psql('postgres', 'CREATE DATABASE late');
command_ok([ 'pg_restore', '--exit-on-error', '-j', 2, '-d', $node->connstr('late'), "$dump.late" ], 'pg_restore');
$node->safe_psql('late', <<'SQL');
INSERT INTO app.wide VALUES (3, 'after');
SELECT streaming.drain('app.all_wide', '60 s');
ALTER VIEW app.keys SET (streaming.enabled = on);
SELECT streaming.drain('app.keys', '60 s');
SQL
is($node->safe_psql('late', 'SELECT sum(n), (SELECT count(*) FROM app.all_wide) FROM app.keys'), '5001|5003', 'what the view had not taken is missing');
is($node->safe_psql('late', q(SELECT stream, position, error FROM streaming.rejected_rows WHERE position = 'restore of app.keys')),
	'app.wide|restore of app.keys|pushed rows that continuous view app.keys had not taken when the database was dumped are missing',
	'streaming.rejected_rows says so');
is($node->safe_psql('late', 'SELECT string_agg(position, $$, $$ ORDER BY position) FROM streaming.rejected_rows'),
	'restore of app.keys, restore of public.sleeping', 'of no other view');
$node->safe_psql('postgres', 'DROP DATABASE late');
$node->safe_psql('copy', 'DROP FOREIGN TABLE app.wide CASCADE');

# DROP DATABASE and ALTER DATABASE RENAME with workers in it; CREATE DATABASE from it.
$node->safe_psql('postgres', 'ALTER DATABASE copy RENAME TO moved');
$node->safe_psql('moved', q(INSERT INTO app.s VALUES (0, 1); SELECT streaming.drain('app.sums', '60 s')));
is($node->safe_psql('moved', 'SELECT sum(n) FROM app.sums'), 21, 'workers come back after a rename');
$node->safe_psql('postgres', 'CREATE DATABASE clone TEMPLATE moved');
$node->safe_psql('clone', q(INSERT INTO app.s VALUES (0, 1); SELECT streaming.drain('app.sums', '60 s')));
is($node->safe_psql('clone', 'SELECT sum(n) FROM app.sums'), 22, 'a copied database has views of its own');
$node->safe_psql('postgres', 'DROP DATABASE clone');
$node->safe_psql('postgres', 'DROP DATABASE moved');
ok(wait_for($node, q(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'streaming coordinator'), '1'), 'and are gone with it');

# DROP EXTENSION takes all, and may be made again.
my ($ret, $out, $err) = $node->psql('postgres', 'DROP EXTENSION streaming');
isnt($ret, 0, 'the extension is not dropped while there are streams');
$node->safe_psql('postgres', 'DROP EXTENSION streaming CASCADE');
is($node->safe_psql('postgres', q(SELECT count(*) FROM pg_class WHERE relname IN ('s', 'f', 'sums', 'over', 'files') OR relnamespace = 0)),
	0, 'CASCADE takes streams and views');
is($node->safe_psql('postgres', q(SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'streaming%')), 0, 'and the schemas');
ok(wait_for($node, q(SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'streaming %' AND backend_type <> 'streaming launcher'), '0'),
	'the workers leave');
$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION streaming;
CREATE FOREIGN TABLE s (v int) SERVER streaming;
CREATE VIEW total WITH (streaming.continuous) AS SELECT sum(v) FROM s;
INSERT INTO s VALUES (1), (2);
SQL
drain($node, 'total');
is($node->safe_psql('postgres', 'SELECT * FROM total'), 3, 'and come back with it');

$node->stop;
done_testing();
