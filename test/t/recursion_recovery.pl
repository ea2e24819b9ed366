# Recursions over random graphs, beside their queries, while everything is killed at each
# point of a batch: rows that come are added, rows that go have all computed anew.

use strict;
use warnings;

use StreamingTest;
use PostgreSQL::Test::Utils;
use Test::More;

random_seed();

my $node = new_node('main', 'streaming.retry_max = 1s', 'streaming.scan_interval = 1s', 'jit = off');

sub sql { return $node->safe_psql('postgres', $_[0]); }

# Edges of e may make cycles, those of d do not; rows of t come and go.
sql(<<SQL);
CREATE FOREIGN TABLE e (src int, dst int, s text) SERVER streaming;
CREATE FOREIGN TABLE d (src int, dst int) SERVER streaming;
CREATE FOREIGN TABLE n (node int) SERVER streaming;
CREATE TABLE me (src int, dst int, s text);
CREATE TABLE md (src int, dst int);
CREATE TABLE mn (node int);
CREATE TABLE t (src int, dst int);
SQL

# In the order in which they read each other.
my @views = (
	[ closure => 'WITH RECURSIVE r (a, b) AS (SELECT src, dst FROM e x UNION SELECT r.a, y.dst FROM r JOIN e y ON y.src = r.b) SELECT a, b FROM r' ],
	[ reached => 'WITH RECURSIVE r (node) AS (SELECT node FROM n x UNION SELECT y.dst FROM r JOIN e y ON y.src = r.node) SELECT node FROM r' ],
	[ sizes => 'WITH RECURSIVE r (a, b) AS (SELECT node, node FROM n x UNION SELECT r.a, y.dst FROM r, e y WHERE y.src = r.b) SELECT a, count(*) AS n, max(b) AS m FROM r GROUP BY a' ],
	[ ways => 'WITH RECURSIVE r (a, b, n) AS (SELECT src, dst, 1 FROM d x UNION ALL SELECT r.a, y.dst, r.n + 1 FROM r JOIN d y ON y.src = r.b) SELECT a, b, n, count(*) AS ways FROM r GROUP BY a, b, n' ],
	[ each_way => 'WITH RECURSIVE r (b) AS (SELECT node FROM n x UNION ALL SELECT y.dst FROM r JOIN d y ON y.src = r.b) SELECT b FROM r' ],
	[ bridges => 'WITH RECURSIVE r (a, b) AS (SELECT src, dst FROM e x WHERE src < 6 UNION SELECT y.src, z.dst FROM r JOIN e y ON y.dst = r.a JOIN d z ON z.src = r.b) SELECT a, b FROM r' ],
	[ ranges => 'WITH RECURSIVE r (lo, hi) AS (SELECT node, node + 1 FROM n x UNION SELECT least(r.lo, y.src), greatest(r.hi, y.dst) FROM r JOIN d y ON y.src BETWEEN r.lo AND r.hi) SELECT lo, hi FROM r' ],
	[ texts => 'WITH RECURSIVE r (a, s) AS (SELECT src, s FROM e x UNION SELECT r.a, y.s FROM r JOIN e y ON y.dst::text = r.s) SELECT a, s FROM r' ],
	[ changing => 'WITH RECURSIVE r (node) AS (SELECT node FROM n x UNION SELECT y.dst FROM r JOIN t y ON y.src = r.node) SELECT node FROM r' ],
	[ lengths => 'WITH RECURSIVE r (node, l) AS (SELECT node, 0 FROM n x UNION ALL SELECT y.dst, l + 1 FROM r JOIN t y ON y.src = r.node WHERE l < 3) SELECT node, l FROM r' ],
	[ of_groups => 'WITH RECURSIVE r (node) AS (SELECT node FROM n x UNION SELECT y.m FROM r JOIN sizes y ON y.a = r.node) SELECT node FROM r' ],
	[ above => 'SELECT x.a, count(*) AS n FROM closure x LEFT JOIN reached y ON x.b = y.node WHERE y.node IS NULL GROUP BY x.a' ],
);
my %query;
foreach my $view (@views)
{
	my ($name, $query) = @$view;
	my $follow = $query =~ /\bt y\b/ ? q(, streaming.follow = 't') : '';

	sql("CREATE VIEW $name WITH (streaming.trigger = 'manual'$follow) AS $query");
	# The same over the mirrors; a view's name stands for its query.
	$query =~ s/\b([edn]) ([xyz])\b/m$1 AS $2/g;
	$query =~ s/\b(FROM|JOIN) (closure|reached|sizes) ([xy])\b/$1 ($query{$2}) $3/g;
	$query{$name} = $query;
	is(sql("SELECT count(*) FROM streaming.explain('$name') line WHERE line ~ 'Method: recursive, incremental'"), $name eq 'above' ? 0 : 1, "$name is kept by increments, if it is a recursion");
}

sub pair { my ($from, $to) = (int rand 14, int rand 14); return $_[0] && $from >= $to ? pair(1) : ($from, $to); }

sub push_rows
{
	foreach (1 .. 1 + int rand 3)
	{
		my $e = join ', ', map { sprintf "(%d, %d, '%d')", pair(0), int rand 14 } 1 .. 1 + int rand 3;
		my $d = join ', ', map { sprintf '(%d, %d)', pair(1) } 1 .. 1 + int rand 2;
		my $t = join ', ', map { sprintf '(%d, %d)', pair(0) } 1 .. 1 + int rand 3;

		sql("BEGIN; INSERT INTO e VALUES $e; INSERT INTO me VALUES $e; COMMIT");
		# The ways in a graph grow fast.
		sql("BEGIN; INSERT INTO d VALUES $d; INSERT INTO md VALUES $d; COMMIT") if rand() < 0.25;
		sql("INSERT INTO t VALUES $t");
		sql(sprintf 'DELETE FROM t WHERE src = %d; UPDATE t SET dst = %d WHERE src = %d', map { int rand 14 } 1 .. 3) if rand() < 0.3;
	}
	my $start = join ', ', map { sprintf '(%d)', int rand 14 } 1 .. 1 + int rand 2;
	sql("BEGIN; INSERT INTO n VALUES $start; INSERT INTO mn VALUES $start; COMMIT") if rand() < 0.3;
	return;
}

# Those views that do not show what their queries answer.
sub wrong
{
	my @names = map { $_->[0] } @views;
	my $list = join ', ', map { "'$_'" } @names;

	sql("DO \$\$ DECLARE v text; BEGIN FOREACH v IN ARRAY ARRAY[$list] LOOP PERFORM streaming.drain(v::regclass, '$deadline s'); END LOOP; END \$\$");
	return sql(join ' UNION ALL ',
		map { "SELECT '$_' WHERE EXISTS ((TABLE $_ EXCEPT ALL ($query{$_})) UNION ALL (($query{$_}) EXCEPT ALL TABLE $_))" } @names);
}

sub compare
{
	my ($test) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	return is(wrong(), '', $test);
}

push_rows();
sql('BEGIN; INSERT INTO n VALUES (1), (2); INSERT INTO mn VALUES (1), (2); COMMIT');
compare('before any kill');

my @kills = (
	[ edge_joining => 'closure' ], [ edge_kept => 'closure' ], [ recursion_round => 'closure' ], [ recursion_round => 'ways' ], [ edge_kept => 'ways' ],
	[ partition_touched => 'changing' ], [ partition_computed => 'lengths' ], [ batch_written => 'sizes' ], [ batch_committed => 'reached' ]);
@kills = @kills[ 0, 3, 5, 8 ] if $ENV{STREAMING_TEST_QUICK};
my $n = 0;
foreach my $kill (@kills)
{
	my ($point, $view) = @$kill;
	my $log = -s $node->logfile;
	# What is new in each of them: from 100 on nothing has been there.
	my ($from, $to) = (100 + 2 * $n, 101 + 2 * $n);
	my $rows = "($from, $to), ($to, " . ($to + 100) . ')';

	sql("BEGIN; INSERT INTO $_ VALUES $rows; INSERT INTO m$_ VALUES $rows; COMMIT") foreach qw(d e);
	sql("BEGIN; INSERT INTO n VALUES ($from); INSERT INTO mn VALUES ($from); COMMIT");
	sql("INSERT INTO t VALUES $rows");
	drain($node, $view) if $point =~ /^partition/;
	sql("DELETE FROM t WHERE src = $to") if $point =~ /^partition/;
	$node->append_conf('postgresql.conf', "streaming.stop_point = '$point'");
	$node->reload;
	wait_for($node, 'SHOW streaming.stop_point', $point) or die 'no reload';
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

# Batch after batch.
foreach (1 .. ($ENV{STREAMING_TEST_QUICK} ? 1 : 4))
{
	push_rows();
	compare("round $_");
}

# All at once, while they run by themselves.
sql("ALTER VIEW $_->[0] SET (streaming.trigger = 'asap')") foreach @views;
foreach my $victim ('streaming query', 'postmaster')
{
	push_rows() foreach 1 .. 2;
	kill9($node, $victim);
}
push_rows();
compare('killed at random');

# A recursion without an end is cancelled by the time that a batch may take.
sql(q(CREATE VIEW endless WITH (streaming.trigger = 'asap') AS
	WITH RECURSIVE r (k) AS (SELECT node FROM n UNION ALL SELECT k FROM r WHERE k > 1000) SELECT count(*) AS n FROM r));
drain($node, 'endless');
$node->append_conf('postgresql.conf', 'streaming.batch_timeout = 3s');
$node->reload;
wait_for($node, 'SHOW streaming.batch_timeout', '3s') or die 'no reload';
sql('BEGIN; INSERT INTO n VALUES (2000); INSERT INTO mn VALUES (2000); COMMIT');
ok(wait_for($node, q(SELECT last_error ~ 'a batch took longer than streaming.batch_timeout' FROM streaming.views WHERE view = 'endless'::regclass), 't'), 'a batch without an end is given up');
compare('and nobody else minds');
sql('DROP VIEW endless');

done_testing();
