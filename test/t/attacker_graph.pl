# Queries that want to break the compiler of queries or what it writes: a role that
# has nothing but a schema of its own makes views that are large, deep, circular or
# misnamed, and changes what they are made of.  The server lives, others go on, and
# what is shown is what the query says.

use strict;
use warnings;

use StreamingTest;
use Test::More;

my $node = new_node('main', 'streaming.retry_max = 500ms', 'streaming.query_workers = 1', 'log_min_error_statement = panic');

$node->safe_psql('postgres', <<'SQL');
CREATE ROLE alice LOGIN;
CREATE ROLE mallory LOGIN;
CREATE SCHEMA alice AUTHORIZATION alice;
CREATE SCHEMA mallory AUTHORIZATION mallory;
GRANT USAGE ON SCHEMA alice TO mallory;
SET SESSION AUTHORIZATION alice;
CREATE FOREIGN TABLE alice.orders (id int, item text, price float8) SERVER streaming OPTIONS (retention '1 day');
GRANT SELECT ON alice.orders TO mallory;
SET SESSION AUTHORIZATION mallory;
CREATE FOREIGN TABLE mallory.a (id int, v text, d date) SERVER streaming OPTIONS (retention '1 day');
CREATE FOREIGN TABLE mallory.b (id int, v text, d date) SERVER streaming OPTIONS (retention '1 day');
INSERT INTO mallory.a VALUES (1, 'x', '2026-01-01'), (2, 'y', '2026-01-02'), (2, 'y', NULL), (NULL, NULL, NULL);
INSERT INTO mallory.b VALUES (2, 'y', '2026-01-02'), (3, 'z', '2026-01-03');
SQL

# Runs SQL as a role; returns what psql says.
sub run_as
{
	my ($role, $sql) = @_;
	my ($rc, $out, $err) = $node->psql('postgres', "SET SESSION AUTHORIZATION $role;\n\\set VERBOSITY verbose\n$sql",
		on_error_stop => 0);
	return "$out\n$err";
}

# The view of a query shows what the query says.
sub is_kept
{
	my ($query, $name) = @_;
	my $result = run_as('mallory', <<SQL);
SET client_min_messages = warning;
CREATE VIEW mallory.kept WITH (streaming.trigger = 'manual') AS $query;
SELECT streaming.drain('mallory.kept') IS NOT NULL AS drained;
SELECT 'missing ' || x::text FROM ($query EXCEPT ALL TABLE mallory.kept) x;
SELECT 'extra ' || x::text FROM (TABLE mallory.kept EXCEPT ALL ($query)) x;
DROP VIEW mallory.kept;
SQL
	is($result, "t\n", $name);
}

my $pid = $node->safe_psql('postgres', 'SELECT pg_postmaster_start_time()') . live_launcher();

# The launcher is another one after a crash.
sub live_launcher
{
	return $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE backend_type = 'streaming launcher'");
}

# --- keys that are not selected, and names ----------------------------------

is_kept('SELECT count(*) FROM mallory.a GROUP BY CUBE (id, d)', 'grouping sets whose keys are not selected');
is_kept('SELECT count(*), grouping(d) FROM mallory.a GROUP BY ROLLUP (d, abs(id)) HAVING grouping(d) = 0',
	'and of which one is an expression');
is_kept('SELECT DISTINCT count(*) FROM mallory.a GROUP BY GROUPING SETS ((), (), (id), (id, d))', 'below DISTINCT');
is_kept('SELECT 1 AS one FROM mallory.a x WHERE id IN (SELECT 1 FROM mallory.b GROUP BY d)
	OR 1 = ALL (SELECT count(*) FROM mallory.b WHERE b.id = x.id GROUP BY CUBE (v, d))', 'in sublinks');

for my $name ('$leaf_1', '$edge')
{
	is_kept(qq(WITH "$name" AS (SELECT 99 AS id) SELECT a.id, "$name".id AS i FROM mallory.a JOIN mallory.b USING (id), "$name"),
		"a WITH query named $name");
}
is_kept('WITH delta_1 AS (SELECT 5 AS m) SELECT x.id, n, m FROM (SELECT id, count(*) AS n FROM mallory.a GROUP BY id) x, delta_1',
	'a WITH query that is named as a stage');
is_kept('SELECT a.id, k FROM mallory.a LEFT JOIN mallory.b USING (id) JOIN (VALUES (1)) "$leaf_1"(k) ON true',
	'a relation that is named as a leaf');

# --- constants ---------------------------------------------------------------

is(run_as('mallory', <<'SQL'), "t\nt|t|t\n", 'constants of an ordinary view are what they were, whatever the settings');
CREATE FOREIGN TABLE mallory.one (id int) SERVER streaming;
SET datestyle = 'SQL, DMY';
SET extra_float_digits = -10;
SET intervalstyle = sql_standard;
CREATE VIEW mallory.constants AS
	SELECT id, '0.30000000000000004'::float8 AS f, '01/02/2026'::date AS d, '-1 day +02:00:00'::interval AS i FROM mallory.one;
CREATE VIEW mallory.of_constants WITH (streaming.trigger = 'manual') AS SELECT * FROM mallory.constants;
RESET ALL;
INSERT INTO mallory.one VALUES (1);
SELECT streaming.drain('mallory.of_constants') = 1;
SELECT f = '0.30000000000000004'::float8, d = '2026-02-01', i = '-1 day +02:00:00' FROM mallory.of_constants;
SQL

# --- what a row of an input does not have --------------------------------------

run_as('mallory', "CREATE VIEW mallory.below WITH (streaming.trigger = 'manual') AS SELECT id, count(*) AS n FROM mallory.a GROUP BY id");
for my $what ('x', '(SELECT x) AS y', 'count(x) AS n', 'row_to_json(x)::text AS j')
{
	is_kept("SELECT $what FROM mallory.below x", "$what of a continuous view");
}
like(run_as('mallory', "CREATE VIEW mallory.ctids WITH (streaming.trigger = 'manual') AS SELECT (SELECT x.ctid) AS c FROM mallory.a x"),
	qr/0A000: continuous views do not support system columns of a stream/, 'a system column in a sublink');

# --- too much -------------------------------------------------------------------

my $too_complex = qr/54001: query is too complex for a continuous view/;
my $doubling = 'WITH c0 AS (SELECT * FROM mallory.a)';
$doubling .= sprintf ', c%d AS (SELECT * FROM c%d UNION ALL SELECT * FROM c%d)', $_, $_ - 1, $_ - 1 for 1 .. 40;
like(run_as('mallory', "CREATE VIEW mallory.much WITH (streaming.trigger = 'manual') AS $doubling SELECT * FROM c40"),
	$too_complex, 'WITH queries that name others twice');
my $ordinary = 'CREATE VIEW mallory.o0 AS SELECT * FROM mallory.a;';
$ordinary .= sprintf "CREATE VIEW mallory.o%d AS SELECT * FROM mallory.o%d UNION ALL SELECT * FROM mallory.o%d;\n", $_, $_ - 1, $_ - 1 for 1 .. 40;
run_as('mallory', $ordinary);
like(run_as('mallory', "CREATE VIEW mallory.much WITH (streaming.trigger = 'manual') AS SELECT * FROM mallory.o40"),
	$too_complex, 'ordinary views that name others twice');
like(run_as('mallory', "CREATE VIEW mallory.much WITH (streaming.trigger = 'manual') AS SELECT count(*) AS n
	FROM (SELECT id a, id b, id c, id d, id e, id f, id g, id h, id i, id j, id k, id l FROM mallory.a) x
	GROUP BY CUBE (a, b, c, d, e, f, g, h, i, j, k, l)"), $too_complex, '4,096 grouping sets');
run_as('mallory', 'DROP VIEW mallory.o0 CASCADE');
my $branches = join ' UNION ALL ', ('SELECT id FROM mallory.a') x 20000;
like(run_as('mallory', "CREATE VIEW mallory.much WITH (streaming.trigger = 'manual') AS $branches"), qr/54001/, '20,000 branches');
my $columns = join ', ', map { "a.id AS c$_" } 1 .. 1600;
like(run_as('mallory', "CREATE VIEW mallory.much WITH (streaming.trigger = 'manual') AS SELECT $columns FROM mallory.a LEFT JOIN mallory.b USING (id)"),
	qr/54011/, '1,600 columns');

# --- ordinary views that come to read themselves ----------------------------------

run_as('mallory', <<'SQL');
CREATE TABLE mallory.t (id int, n text);
CREATE VIEW mallory.o AS SELECT * FROM mallory.t;
CREATE VIEW mallory.o2 AS SELECT * FROM mallory.o;
CREATE VIEW mallory.round WITH (streaming.continuous) AS SELECT a.id, o.n FROM alice.orders a JOIN mallory.o USING (id);
SELECT streaming.drain('mallory.round');
CREATE OR REPLACE VIEW mallory.o AS SELECT * FROM mallory.o2;
SQL
$node->safe_psql('postgres', "SET SESSION AUTHORIZATION alice; INSERT INTO alice.orders VALUES (1, 'lamp', 20)");
like(run_as('mallory', "SELECT streaming.drain('mallory.round')"), qr/infinite recursion/, 'a view that reads a circle fails');
run_as('mallory', 'CREATE OR REPLACE VIEW mallory.o AS SELECT id, n FROM mallory.round');
like(run_as('mallory', "SELECT streaming.drain('mallory.round')"), qr/ERROR/, 'and one that reads itself');
unlike(run_as('mallory', "SELECT streaming.reset('mallory.round')"), qr/server closed/, 'the server lives');
my $altered = run_as('alice', 'ALTER FOREIGN TABLE alice.orders ADD COLUMN more int');
unlike($altered, qr/ERROR/, 'the owner of a stream alters it under a view of others that cannot be kept');
like($altered, qr/WARNING:  01000: continuous view "round" cannot be kept/, 'and is told');
like(run_as('mallory', 'CREATE OR REPLACE VIEW mallory.o AS SELECT * FROM mallory.o2;
	CREATE VIEW mallory.circle WITH (streaming.continuous) AS SELECT * FROM mallory.o'), qr/42P17: continuous view reads no stream/,
	'a circle alone reads no stream');
run_as('mallory', 'DROP VIEW mallory.o CASCADE');

# --- types ------------------------------------------------------------------------

run_as('mallory', <<'SQL');
CREATE TYPE mallory.pair AS (a int, b text);
CREATE FOREIGN TABLE mallory.p (id int, c mallory.pair) SERVER streaming;
CREATE FOREIGN TABLE mallory.q (id int, c mallory.pair) SERVER streaming;
CREATE VIEW mallory.pairs WITH (streaming.trigger = 'manual') AS
	SELECT p.id, q.id AS other FROM mallory.p LEFT JOIN mallory.q USING (c);
INSERT INTO mallory.p VALUES (1, (1, 'a'));
SELECT streaming.drain('mallory.pairs');
SQL
like(run_as('mallory', 'ALTER TYPE mallory.pair ADD ATTRIBUTE z int'),
	qr/2BP01: cannot change the columns of "pair" because continuous view "pairs"/, 'a row type that partitions are told apart by');
run_as('mallory', 'DROP VIEW mallory.pairs');

my %objects = (
	'TYPE mallory.pair' => 'mallory.pair',
	'TYPE mallory.kind' => 'mallory.kind',
	'DOMAIN mallory.positive' => 'mallory.positive',
	'COLLATION mallory.ordered' => 'text COLLATE mallory.ordered');
for my $object (sort keys %objects)
{
	run_as('mallory', <<SQL);
DROP TYPE IF EXISTS mallory.kind, mallory.positive, mallory.pair CASCADE;
DROP COLLATION IF EXISTS mallory.ordered CASCADE;
CREATE TYPE mallory.kind AS ENUM ('x');
CREATE DOMAIN mallory.positive AS int CHECK (value > 0);
CREATE COLLATION mallory.ordered FROM "C";
CREATE TYPE mallory.pair AS (a int, b text);
CREATE FOREIGN TABLE mallory.typed (id int, c $objects{$object}) SERVER streaming;
CREATE VIEW mallory.plain WITH (streaming.trigger = 'manual') AS SELECT c FROM mallory.typed;
CREATE VIEW mallory.joined WITH (streaming.trigger = 'manual') AS SELECT x.c FROM mallory.typed x LEFT JOIN mallory.typed y USING (id);
CREATE VIEW mallory.grouped WITH (streaming.trigger = 'manual') AS SELECT id, max(c::text) AS m, array_agg(c) AS c FROM mallory.typed GROUP BY id;
CREATE VIEW mallory.above WITH (streaming.trigger = 'manual') AS SELECT c, count(*) AS n FROM mallory.plain GROUP BY c;
SQL
	unlike(run_as('mallory', "DROP $object CASCADE"), qr/ERROR/, "DROP $object CASCADE");
	is($node->safe_psql('postgres', "SELECT count(*) FROM streaming.views WHERE view::text ~ 'plain|joined|grouped|above'"), '0',
		'takes the views with it');
	run_as('mallory', 'DROP FOREIGN TABLE mallory.typed CASCADE');
}

is($node->safe_psql('postgres', 'SELECT pg_postmaster_start_time()') . live_launcher(), $pid, 'no process has crashed');
$node->stop;
done_testing();
