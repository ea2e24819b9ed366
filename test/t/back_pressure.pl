# A view that lets rows pile up does not stop their source, nor the other views
# of the stream: it runs before its interval is over.

use strict;
use warnings;

use StreamingTest;
use Test::More;

my $node = new_node('main', 'streaming.buffer_size = 1MB', 'streaming.push_limit = 1MB', 'streaming.max_streams = 20');
my $dir = $node->basedir . '/landing';
mkdir $dir;

# --- a buffer ---------------------------------------------------------------

$node->safe_psql('postgres', <<SQL);
CREATE SERVER landing FOREIGN DATA WRAPPER directory OPTIONS (path '$dir');
CREATE FOREIGN TABLE f (k int, s text) SERVER landing OPTIONS (path '*.json');
CREATE VIEW asap WITH (streaming.trigger = 'asap') AS SELECT count(*) AS n, max(s) FROM f;
CREATE VIEW daily WITH (streaming.trigger = '1 day') AS SELECT count(*) AS n, max(s) FROM f;
SQL
my $filler = 'x' x 100;
my $rows = join '', map { qq({"k": $_, "s": "$filler"}\n) } 1 .. 10_000;
put_file($dir, '0.json', $rows);
drain($node, $_) foreach qw(asap daily);
# More than ten buffers.
put_file($dir, "$_.json", $rows) foreach 1 .. 10;
ok(wait_for($node, 'SELECT n FROM asap', 110_000), 'the view that keeps up gets all');
ok(wait_for($node, 'SELECT n >= 100000 FROM daily'), 'the other one has made room, long before its interval is over');
is($node->safe_psql('postgres', 'SELECT count(*) FROM streaming.views WHERE last_error IS NOT NULL'), 0, 'without an error');
drain($node, 'daily');
is($node->safe_psql('postgres', 'SELECT n FROM daily'), 110_000, 'each row once');

# One that is new has a place in the buffer before its first interval is over, and
# does not read the source by itself, a hundred rows at a time.
$node->append_conf('postgresql.conf', 'streaming.batch_rows = 100');
$node->reload;
$node->safe_psql('postgres', <<SQL);
CREATE FOREIGN TABLE again (k int, s text) SERVER landing OPTIONS (path '*.json');
CREATE VIEW new_daily WITH (streaming.trigger = '1 day') AS SELECT count(*) AS n, max(s) FROM again;
SQL
ok(wait_for($node, 'SELECT n >= 100000 FROM new_daily'), 'a new view catches up before its interval is over');
cmp_ok($node->safe_psql('postgres', q(SELECT count(*) FROM streaming.batches WHERE view = 'new_daily'::regclass)), '<', 100, 'from the buffer');

# --- pushed rows ------------------------------------------------------------

$node->safe_psql('postgres', <<SQL);
CREATE FOREIGN TABLE s (k int, t text) SERVER streaming;
CREATE VIEW pushed_daily WITH (streaming.trigger = '1 day') AS SELECT count(*) AS n FROM s;
INSERT INTO s VALUES (1);
SQL
drain($node, 'pushed_daily');
$node->safe_psql('postgres', "SET statement_timeout = '${deadline}s'; INSERT INTO s SELECT i, '$filler' FROM generate_series(1, 10000) i")
  foreach 1 .. 5;
ok(wait_for($node, 'SELECT n >= 40001 FROM pushed_daily'), 'INSERT does not wait for an interval to be over');

# --- more views than 64 -----------------------------------------------------

# The first of many is asleep: INSERT waits for it, too.
$node->safe_psql('postgres', <<'SQL');
CREATE FOREIGN TABLE many (k int, t text) SERVER streaming;
CREATE FUNCTION sleeps(v int) RETURNS int LANGUAGE sql VOLATILE AS 'SELECT CASE WHEN v = 1 AND pg_sleep(100000) IS NULL THEN 0 ELSE v END';
CREATE VIEW asleep WITH (streaming.continuous) AS SELECT max(sleeps(k)) FROM many;
INSERT INTO many VALUES (0);
SQL
drain($node, 'asleep');
$node->safe_psql('postgres', "CREATE VIEW many$_ WITH (streaming.continuous) AS SELECT count(*) AS n FROM many") foreach 1 .. 66;
drain($node, "many$_") foreach 1 .. 66;
$node->safe_psql('postgres', 'INSERT INTO many VALUES (1)');
ok(wait_for($node, q(SELECT running_since IS NOT NULL FROM streaming.views WHERE view = 'asleep'::regclass)), 'a view is asleep');
my ($ret, $out, $err);
my $sql = "INSERT INTO many SELECT 2, '$filler' FROM generate_series(1, 10000)";
foreach my $n (1 .. 5)
{
	($ret, $out, $err) = $node->psql('postgres', "SET statement_timeout = '3s'; $sql");
	last if $ret;
}
like($err, qr/canceling statement due to statement timeout/, 'INSERT waits for it, though 66 others have taken all');
$node->safe_psql('postgres', 'DROP VIEW asleep');
$node->safe_psql('postgres', "SET statement_timeout = '${deadline}s'; $sql");
pass('and no longer when it is gone');

# --- a role's share of streams ----------------------------------------------

$node->safe_psql('postgres', <<'SQL');
CREATE ROLE mallory LOGIN;
CREATE ROLE alice LOGIN;
CREATE SCHEMA mallory AUTHORIZATION mallory;
CREATE SCHEMA alice AUTHORIZATION alice;
SQL
sub as
{
	my ($role, $query) = @_;

	$node->safe_psql('postgres', $query, connstr => $node->connstr('postgres') . " user=$role");
}
foreach my $i (1 .. 10)
{
	as('mallory', "CREATE FOREIGN TABLE s$i (v int) SERVER streaming");
	as('mallory', "CREATE VIEW v$i WITH (streaming.continuous) AS SELECT count(*) AS n FROM s$i");
	ok(wait_for($node, "SELECT streaming.drain('mallory.v$i')", qr/^0$/), "stream $i of a role");
}
as('mallory', 'CREATE FOREIGN TABLE s11 (v int) SERVER streaming');
($ret, $out, $err) = $node->psql('postgres', 'CREATE VIEW v11 WITH (streaming.continuous) AS SELECT count(*) AS n FROM s11',
	connstr => $node->connstr('postgres') . ' user=mallory');
like($err, qr/role "mallory" has 10 streams in use already.*HINT:.*streaming\.role_share/s, 'beyond its share it is told which setting limits it');
as('alice', <<SQL);
CREATE FOREIGN TABLE s (v int) SERVER streaming;
CREATE VIEW v WITH (streaming.continuous) AS SELECT count(*) AS n FROM s;
INSERT INTO s VALUES (1);
SQL
ok(wait_for($node, 'SELECT n FROM alice.v', '1'), 'another one has what it needs');
$node->append_conf('postgresql.conf', 'streaming.role_share = 55');
$node->reload;
ok(wait_until(sub {
	my ($failed) = $node->psql('postgres', 'CREATE VIEW v11 WITH (streaming.continuous) AS SELECT count(*) AS n FROM s11',
		connstr => $node->connstr('postgres') . ' user=mallory');
	return !$failed;
}), 'which can be changed');

# --- a role's share of views -------------------------------------------------

my $small = new_node('small', 'streaming.max_views = 8');
$small->safe_psql('postgres', <<'SQL');
CREATE ROLE mallory LOGIN;
CREATE SCHEMA mallory AUTHORIZATION mallory;
CREATE FOREIGN TABLE s (v int) SERVER streaming;
CREATE VIEW of_superuser WITH (streaming.continuous) AS SELECT count(*) AS n FROM s;
SQL
$small->safe_psql('postgres', join(';', 'SET ROLE mallory', 'CREATE FOREIGN TABLE mallory.s (v int) SERVER streaming',
	map { "CREATE VIEW mallory.v$_ WITH (streaming.continuous) AS SELECT count(*) AS n FROM mallory.s" } 1 .. 6));
ok(wait_for($small, q(SELECT count(*) FROM streaming.views WHERE status = 'waiting' AND last_error ~ 'streaming\.role_share'), '2'),
	'a role uses its share of views, and is told so beyond');
$small->safe_psql('postgres', "CREATE VIEW of_superuser$_ WITH (streaming.continuous) AS SELECT count(*) AS n FROM s") foreach 2 .. 4;
$small->safe_psql('postgres', 'INSERT INTO s VALUES (1)');
ok(wait_for($small, "SELECT n FROM of_superuser$_", '1'), 'others have theirs') foreach '', 2 .. 4;
$small->stop;

$node->stop;
done_testing();
