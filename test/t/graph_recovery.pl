# Views over several streams, and whose rows depend on each other, while everything is
# killed at each point of a batch; then reset, paused, altered, dropped and restored.

use strict;
use warnings;

use StreamingTest;
use PostgreSQL::Test::Utils;
use Test::More;

random_seed();

my $node = new_node('main', 'streaming.retry_max = 1s', 'streaming.scan_interval = 1s');
my $dir = $node->basedir . '/landing';
mkdir $dir;

sub sql { return $node->safe_psql('postgres', $_[0]); }

sql(<<SQL);
CREATE SERVER landing FOREIGN DATA WRAPPER directory OPTIONS (path '$dir');
CREATE FOREIGN TABLE a (id int, k int, v int) SERVER streaming;
CREATE FOREIGN TABLE b (id int, k int, w int) SERVER streaming;
CREATE FOREIGN TABLE f (k int, s text) SERVER landing OPTIONS (path '*.json');
CREATE TABLE ma (id int, k int, v int);
CREATE TABLE mb (id int, k int, w int);
CREATE TABLE d (k int, s text);
INSERT INTO d VALUES (1, 'one'), (2, 'two'), (NULL, 'none'), (99, 'many');
SQL

# In the order in which they read each other.
my @views = (
	[ inner_join => 'SELECT a.id, a.v, b.w FROM a JOIN b ON a.k = b.k' ],
	[ left_join => 'SELECT a.id, a.v, b.w FROM a LEFT JOIN b ON a.k = b.k AND b.w > 50' ],
	[ ranked => 'SELECT id, k, row_number() OVER (PARTITION BY k ORDER BY v, id) AS n FROM a' ],
	[ running => 'SELECT id, sum(v) OVER (ORDER BY id) AS n FROM a' ],
	[ either => 'SELECT k FROM a UNION SELECT w FROM b' ],
	[ common => 'SELECT k FROM a WHERE v > 30 INTERSECT ALL SELECT k FROM b' ],
	[ groups => 'SELECT a.k, count(*) AS n, sum(b.w) AS w FROM a JOIN b ON a.k = b.k GROUP BY a.k' ],
	[ files => 'SELECT a.id, f.s FROM a JOIN f ON a.k = f.k' ],
	[ left_files => 'SELECT f.k, f.s, b.w FROM f LEFT JOIN b ON f.k = b.k' ],
	[ joined => 'SELECT p.id, p.n, q.w FROM ranked p JOIN groups q ON p.k = q.k' ],
	[ distinct_values => 'SELECT a.k, count(DISTINCT a.v) AS n, count(DISTINCT a.v) FILTER (WHERE a.v > 50) AS m, count(*) AS c FROM a GROUP BY a.k' ],
	[ ends => 'SELECT p.w, min(p.id) AS i, max(p.v) AS v, count(DISTINCT p.v) AS d, avg(p.v) AS a FROM left_join p GROUP BY p.w' ],
	[ ahead => 'SELECT id, k, lead(v) OVER (PARTITION BY k ORDER BY v, id) AS n FROM a' ],
	[ moving => 'SELECT p.w, p.id, avg(p.v) OVER (PARTITION BY p.w ORDER BY p.id, p.v) AS a, lag(p.v, 2) OVER (PARTITION BY p.w ORDER BY p.id, p.v) AS l FROM left_join p' ],
	[ texts => 'SELECT p.k, min(p.s) AS s, stddev(p.w) AS d, bit_or(p.w) AS o FROM left_files p GROUP BY p.k' ],
	[ missing => 'SELECT p.id, p.n FROM ranked p WHERE NOT EXISTS (SELECT FROM groups q WHERE q.n = p.n AND q.w > p.id)' ],
	[ filled => 'SELECT p.id, p.n, q.w FROM ranked p FULL JOIN groups q ON p.n = q.n' ],
	[ of_table => 'SELECT d.s, p.id FROM d LEFT JOIN ranked p ON p.n = d.k' ],
	[ newest => 'SELECT DISTINCT ON (a.k) a.k, a.v FROM a ORDER BY a.k, a.id DESC' ],
	[ best => 'SELECT q.id, q.k, q.n FROM (SELECT a.id, a.k, row_number() OVER (PARTITION BY a.k ORDER BY a.v DESC, a.id) AS n FROM a) q WHERE q.n <= 2' ],
	[ of_best => 'SELECT p.k, count(*) AS c, max(p.id) AS i FROM best p GROUP BY p.k' ],
	[ over => 'SELECT p.w, count(*) AS n, max(q.n) AS m FROM inner_join p LEFT JOIN joined q ON p.id = q.id GROUP BY p.w' ],
);
my %query;
foreach my $view (@views)
{
	my ($name, $query) = @$view;

	sql("CREATE VIEW $name WITH (streaming.trigger = 'manual') AS $query");
	# The same over the mirrors; a view's name stands for its query.
	$query =~ s/\b(FROM|JOIN) ([ab])\b/$1 m$2 AS $2/g;
	$query =~ s/\b(FROM|JOIN) (\w+) ([pq])\b/$1 ($query{$2}) $3/g;
	$query{$name} = $query;
}

my $id = 0;

sub push_rows
{
	foreach (1 .. 1 + int rand 3)
	{
		my $a = join ', ', map { sprintf '(%d, %d, %d)', ++$id, int rand 12, int rand 100 } 1 .. 1 + int rand 12;
		my $b = join ', ', map { sprintf '(%d, %d, %d)', ++$id, int rand 12, int rand 100 } 1 .. 1 + int rand 6;

		sql("BEGIN; INSERT INTO a VALUES $a; INSERT INTO ma VALUES $a; COMMIT; BEGIN; INSERT INTO b VALUES $b; INSERT INTO mb VALUES $b; COMMIT");
	}
	put_file($dir, 'f' . ++$id . '.json', join '', map { sprintf qq({"k": %d, "s": "%d"}\n), int rand 12, int rand 3 } 1 .. 1 + int rand 4);
	return;
}

# Those views that do not show what their queries answer in a database.
sub wrong
{
	my ($database, @names) = @_;
	my $views = join ', ', map { "'$_'" } @names;

	$node->safe_psql($database, "DO \$\$ DECLARE v text; BEGIN FOREACH v IN ARRAY ARRAY[$views] LOOP PERFORM streaming.drain(v::regclass, '$deadline s'); END LOOP; END \$\$");
	return $node->safe_psql($database, join ' UNION ALL ',
		map { "SELECT '$_' WHERE EXISTS ((TABLE $_ EXCEPT ALL ($query{$_})) UNION ALL (($query{$_}) EXCEPT ALL TABLE $_))" } @names);
}

sub compare
{
	my ($test, @names) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	@names = map { $_->[0] } @views unless @names;
	return is(wrong('postgres', @names), '', $test);
}

# Rows that meet in every join, whatever chance adds to them.
my $meeting = "INSERT INTO %1\$s VALUES (0, 5, 60), (0, 7, 60); INSERT INTO m%1\$s VALUES (0, 5, 60), (0, 7, 60)";
sql("BEGIN; $_; COMMIT") foreach map { sprintf $meeting, $_ } qw(a b);
push_rows();
compare('before any kill');
cmp_ok(sql('SELECT count(*) FROM over'), '>', 0, 'there is something to compare');

my @kills = (
	[ edge_kept => 'inner_join' ], [ edge_joining => 'inner_join' ], [ edge_kept => 'left_join' ],
	[ partition_touched => 'ranked' ], [ partition_touched => 'ahead' ], [ partition_computed => 'moving' ], [ values_kept => 'texts' ],
	[ partition_computed => 'running' ], [ partition_computed => 'common' ],
	[ edge_joining => 'missing' ], [ edge_matched => 'missing' ], [ edge_matched => 'filled' ], [ partition_computed => 'of_table' ],
	[ edge_joining => 'files' ], [ edge_kept => 'joined' ], [ values_kept => 'distinct_values' ], [ values_kept => 'ends' ],
	[ batch_written => 'ends' ], [ batch_written => 'over' ], [ batch_committed => 'groups' ]);
# A quarter of them where the tests are run again.
if (rounds(4) < 4)
{
	my $first = int rand 4;
	@kills = map { $kills[$_] } grep { $_ % 4 == $first } 0 .. $#kills;
}
my $n = 0;
foreach my $kill (@kills)
{
	my ($point, $view) = @$kill;
	my $log = -s $node->logfile;

	push_rows();
	$node->append_conf('postgresql.conf', "streaming.stop_point = '$point'");
	$node->reload;
	wait_for($node, 'SHOW streaming.stop_point', $point) or die 'no reload';
	# What is below it stops there as well.
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	$session->query_until(qr/begun/, "\\echo begun\nSELECT streaming.drain('$view', '60 s');\n");
	ok($node->wait_for_log(qr/waiting at stop point "$point"/, $log), "$view stops at $point");
	$node->append_conf('postgresql.conf', "streaming.stop_point = ''");
	if (++$n % 3 == 0)
	{
		$node->stop('immediate');
		$node->start;
	}
	else
	{
		my $victim = $n % 3 == 1 ? 'postmaster' : 'streaming query';
		kill9($node, $victim);
		$node->reload if $victim ne 'postmaster';
	}
	eval { $session->{run}->finish };
	push_rows() if $n % 2;
	compare("killed at $point of $view");
}

# All at once, while they run by themselves.
sql("ALTER VIEW $_->[0] SET (streaming.trigger = 'asap')") foreach @views;
foreach my $victim ('streaming query', 'postmaster', 'streaming query')
{
	push_rows() foreach 1 .. 3;
	kill9($node, $victim);
}
push_rows();
compare('killed at random');

# A pause anywhere in a chain, and what it has missed.
sql("ALTER VIEW $_ SET (streaming.enabled = off)") foreach qw(ranked over);
push_rows() foreach 1 .. 2;
drain($node, $_) foreach qw(inner_join groups);
sql("ALTER VIEW $_ SET (streaming.enabled = on)") foreach qw(over ranked);
compare('paused and resumed');

# Of a reset, too, where the streams have kept their rows, all are begun again.
sql(<<'SQL');
CREATE FOREIGN TABLE r (id int, k int) SERVER streaming OPTIONS (retention '1 day');
CREATE VIEW again WITH (streaming.trigger = 'manual') AS SELECT r.id, f.s FROM r LEFT JOIN f ON r.k = f.k;
CREATE VIEW above WITH (streaming.trigger = 'manual') AS SELECT p.id, p.s, row_number() OVER (PARTITION BY p.id ORDER BY p.s) AS n FROM again p;
INSERT INTO r SELECT i, i % 15 FROM generate_series(1, 30) i;
SQL
drain($node, $_) foreach qw(again above);
my $shown = q(SELECT string_agg(x::text, ',' ORDER BY x::text) FROM above x);
my $above = sql($shown);
isnt($above, '', 'the views to be reset show something');
foreach my $view (qw(above again))
{
	# Whose rows are gone is not known where there are files as well.
	sql("SELECT streaming.reset('$view', force => true)");
	drain($node, $_) foreach qw(again above);
	is(sql($shown), $above, "the same is shown after a reset of $view");
}
sql('DROP VIEW again CASCADE; DROP FOREIGN TABLE r');

# A stream with more columns goes on.
sql('ALTER FOREIGN TABLE a ADD COLUMN more text');
sql('ALTER TABLE ma ADD COLUMN more text');
push_rows();
compare('a stream was altered');

# Streams' rows are taken by all views before they go; each stream has its position.
is(sql(q(SELECT count(DISTINCT stream) FROM streaming.checkpoints WHERE view = 'files'::regclass)), 2, 'a view has checkpoints of each stream');

# Dumped and restored with what they have shown.
my $dump = $node->basedir . '/dump.sql';
$node->command_ok([ 'pg_dump', '--no-sync', '-f', $dump, $node->connstr('postgres') ], 'a dump');
sql('CREATE DATABASE restored');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $dump, $node->connstr('restored') ], 'is restored');
my @names = map { $_->[0] } @views;
is(wrong('restored', @names), '', 'views are right when restored');
$node->safe_psql('restored', 'INSERT INTO a VALUES (-1, 1, 1); INSERT INTO ma VALUES (-1, 1, 1)');
is(wrong('restored', @names), '', 'and go on');
$node->safe_psql('postgres', 'DROP DATABASE restored WITH (FORCE)');

# A view over views of two others, who may let it read them or not.
sql(<<'SQL');
CREATE ROLE ann LOGIN; CREATE ROLE bob LOGIN; CREATE ROLE cid LOGIN;
GRANT USAGE ON FOREIGN SERVER streaming TO ann, bob;
GRANT CREATE ON SCHEMA public TO ann, bob, cid;
SET ROLE ann;
CREATE FOREIGN TABLE sa (k int, v int) SERVER streaming;
CREATE VIEW va WITH (streaming.trigger = 'manual') AS SELECT k, sum(v) AS v FROM sa GROUP BY k;
GRANT SELECT ON va TO cid;
SET ROLE bob;
CREATE FOREIGN TABLE sb (k int, w int) SERVER streaming;
CREATE VIEW vb WITH (streaming.trigger = 'manual') AS SELECT k, max(w) AS w FROM sb GROUP BY k;
GRANT SELECT ON vb TO cid;
SET ROLE cid;
CREATE VIEW vc WITH (streaming.trigger = 'manual') AS SELECT va.k, v, w FROM va LEFT JOIN vb USING (k);
RESET ROLE;
INSERT INTO sa VALUES (1, 1), (2, 2), (1, 3);
INSERT INTO sb VALUES (1, 10);
SQL
drain($node, $_) foreach qw(va vb vc);
is(sql('SELECT * FROM vc ORDER BY k'), "1|4|10\n2|2|", 'a view over views of two owners');
sql('INSERT INTO sb VALUES (2, 7), (1, 11); REVOKE SELECT ON vb FROM cid');
drain($node, 'vb');
my ($ret, $out, $err) = $node->psql('postgres', q(SELECT streaming.drain('vc', '10 s')));
like($err, qr/permission denied for view vb/, 'is not kept up when one takes the right back');
sql('GRANT SELECT ON vb TO cid');
drain($node, 'vc');
is(sql('SELECT * FROM vc ORDER BY k'), "1|4|11\n2|2|7", 'and is when it is given again');

# What is below takes what is above with it, and no table stays.
sql('DROP FOREIGN TABLE a CASCADE');
is(sql(q(SELECT string_agg(view::text, ' ' ORDER BY view::text) FROM streaming.views)), 'left_files texts va vb vc', 'the others remain');
compare('and go on', 'left_files');
sql('DROP FOREIGN TABLE b, sa, sb, f CASCADE');
is(sql(q(SELECT coalesce(string_agg(relname, ' '), '') FROM pg_class WHERE relnamespace = 'streaming_internal'::regnamespace AND relname ~ '^(rows|state|bag|result|changes)_')), '', 'no table is left');

$node->stop;
done_testing();
