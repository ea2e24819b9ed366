# Several streams of one server and owner are read by one process; what becomes of
# one of them does not disturb the others.

use strict;
use warnings;

use StreamingKafka;
use StreamingTest;
use Test::More;

my $kafka = StreamingKafka->shared;
my $node = new_node('main', 'streaming.retry_max = 1s', 'max_worker_processes = 16');
my %topic;
my %sent;

# Rows of which key tells the round; each stream has a partition.
sub produce
{
	my ($round, @streams) = @_;

	foreach my $s (@streams)
	{
		$kafka->produce($topic{$s}, 0, [ map { qq({"k": $round, "v": $_}) } 1 .. 20 ]);
		$sent{$s} += 20;
	}
	return;
}

sub right
{
	my ($name, @streams) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	is(join(' ', map { drain($node, "v_$_"); $node->safe_psql('postgres', "SELECT sum(n) FROM v_$_") } @streams),
		join(' ', map { $sent{$_} } @streams), $name);
	return;
}

sub workers { return $node->safe_psql('postgres', q(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'streaming ingest')); }

my @streams = qw(a b stops altered dropped deleted);
$topic{$_} = $kafka->create_topic("shared_$_", 1) foreach @streams;
$node->safe_psql('postgres', "CREATE SERVER broker FOREIGN DATA WRAPPER kafka OPTIONS (${\$kafka->options})");
produce(1, @streams);
foreach my $s (@streams)
{
	my $stop = $s eq 'stops' ? ", on_error 'stop'" : '';

	$node->safe_psql('postgres', <<SQL);
CREATE FOREIGN TABLE s_$s (k int, v int) SERVER broker OPTIONS (topic '$topic{$s}'$stop);
CREATE VIEW v_$s WITH (streaming.trigger = 'asap') AS SELECT k, count(*) AS n, sum(v) FROM s_$s GROUP BY k;
SQL
}
right('six streams are read', @streams);
ok(wait_until(sub { workers() eq '1' }), 'by one process');
my ($pid) = worker_pids($node, 'streaming ingest');

# --- one stops at a record --------------------------------------------------

$kafka->produce($topic{stops}, 0, ['{"k": "no number"}']);
ok(wait_for($node, q(SELECT last_error LIKE '%cannot be decoded%' FROM streaming.views WHERE view = 'v_stops'::regclass)),
	'a stream with on_error stop has stopped');
produce(2, qw(a b altered dropped deleted));
right('the others go on', qw(a b altered dropped deleted));
ok(wait_for($node, q(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'streaming ingest'), '2'),
	'it has a process of its own now');
is(join(' ', grep { $_ == $pid } worker_pids($node, 'streaming ingest')), $pid, 'and the others the one they had');
ok(wait_for($node, q(SELECT count(*) FROM streaming.stat_streams WHERE last_error IS NOT NULL AND stream <> 's_stops'::regclass), '0'),
	'and no error');
$node->safe_psql('postgres', q(ALTER FOREIGN TABLE s_stops OPTIONS (SET on_error 'null')));
$sent{stops}++;
produce(3, 'stops');
right('it goes on when it is altered', 'stops');

# --- one is altered, one dropped, the topic of one deleted ------------------

$node->safe_psql('postgres', q(ALTER FOREIGN TABLE s_altered ADD COLUMN more text));
$node->safe_psql('postgres', q(DROP FOREIGN TABLE s_dropped CASCADE));
produce(4, qw(a b altered));
right('one is altered and one dropped, the others go on', qw(a b altered deleted));
$kafka->delete_topic($topic{deleted});
produce(5, qw(a b altered));
right('a topic is deleted, the others go on', qw(a b altered));
ok(wait_for($node, q(SELECT count(*) > 0 FROM streaming.stat_streams WHERE stream = 's_deleted'::regclass AND last_error IS NOT NULL)),
	'that it is gone is told');
# what librdkafka says of its connections is told of all, until they have answered
ok(wait_for($node, q(SELECT count(*) FROM streaming.stat_streams WHERE last_error IS NOT NULL AND stream <> 's_deleted'::regclass), '0'),
	'of that stream only')
  or diag($node->safe_psql('postgres', 'SELECT stream, last_error FROM streaming.stat_streams'));
is(join(' ', grep { $_ == $pid } worker_pids($node, 'streaming ingest')), $pid, 'the process is still the same');
$node->safe_psql('postgres', q(DROP FOREIGN TABLE s_deleted CASCADE));

# --- two streams of one topic, options of their own -------------------------

$node->safe_psql('postgres', <<SQL);
CREATE FOREIGN TABLE s_twin (k int, v int) SERVER broker OPTIONS (topic '$topic{a}');
CREATE VIEW v_twin WITH (streaming.trigger = 'asap') AS SELECT k, count(*) AS n FROM s_twin GROUP BY k;
CREATE FOREIGN TABLE s_group (k int, v int) SERVER broker OPTIONS (topic '$topic{b}', group_id 'shared_group');
CREATE VIEW v_group WITH (streaming.trigger = 'asap') AS SELECT k, count(*) AS n FROM s_group GROUP BY k;
SQL
@sent{qw(twin group)} = @sent{qw(a b)};
right('two streams of a topic are read, and one with a group', qw(a b twin group));
produce(6, qw(a b));
@sent{qw(twin group)} = @sent{qw(a b)};
right('and go on', qw(a b twin group));

# --- another owner ----------------------------------------------------------

$node->safe_psql('postgres', <<SQL);
CREATE ROLE alice LOGIN;
CREATE SCHEMA alice AUTHORIZATION alice;
GRANT USAGE ON FOREIGN SERVER broker TO alice;
SET ROLE alice;
CREATE FUNCTION alice.sleeps(int) RETURNS boolean LANGUAGE sql VOLATILE AS 'SELECT pg_sleep(100000) IS NOT NULL';
CREATE DOMAIN alice.slow AS int CHECK (alice.sleeps(VALUE));
CREATE FOREIGN TABLE alice.s (k alice.slow, v int) SERVER broker OPTIONS (topic '$topic{a}');
CREATE VIEW alice.v WITH (streaming.continuous) AS SELECT k, count(*) AS n FROM alice.s GROUP BY k;
SQL
ok(wait_for($node, q(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'streaming ingest' AND wait_event = 'PgSleep'), '1'),
	"what decodes another role's records is asleep");
isnt($node->safe_psql('postgres', q(SELECT pid FROM pg_stat_activity WHERE backend_type = 'streaming ingest' AND wait_event = 'PgSleep')), $pid,
	'in a process of its own');
produce(7, qw(a b));
@sent{qw(twin group)} = @sent{qw(a b)};
right('the others go on', qw(a b twin group altered));
$node->safe_psql('postgres', 'DROP VIEW alice.v');

# A stream is given to another owner: the other's process takes it.
$node->safe_psql('postgres', 'GRANT CREATE ON SCHEMA public TO alice; ALTER FOREIGN TABLE s_altered OWNER TO alice; ALTER VIEW v_altered OWNER TO alice');
produce(8, qw(a altered));
$sent{twin} = $sent{a};
right('another owner gets one of them', qw(a b altered twin));

# --- views that share a transaction -----------------------------------------

# Small batches of several views are committed together: one that fails takes no other
# one with it, and goes on where it was.
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE barrier (k int PRIMARY KEY, divisor int);
INSERT INTO barrier SELECT k, 1 FROM generate_series(1, 200) k;
SQL
$node->safe_psql('postgres', "CREATE VIEW v_a$_ WITH (streaming.trigger = 'asap') AS SELECT k % 3 AS k, count(*) AS n, sum(v) FROM s_a GROUP BY 1") foreach 1 .. 5;
$node->safe_psql('postgres', "CREATE VIEW v_bad WITH (streaming.trigger = 'asap') AS SELECT k, count(*) AS n, sum(s.v / b.divisor) FROM s_a s JOIN barrier b USING (k) GROUP BY k");
$sent{"a$_"} = $sent{a} foreach 1 .. 5;
right('six more views of a stream', 'a', map { "a$_" } 1 .. 5);
drain($node, 'v_bad');
foreach my $round (31 .. 36)
{
	$node->safe_psql('postgres', 'UPDATE barrier SET divisor = 0 WHERE k = 34') if $round == 34;
	produce($round, 'a');
	# one by one, so that batches are small and come again and again
	$kafka->produce($topic{a}, 0, [ qq({"k": $round, "v": $_}) ]) foreach 1 .. 5;
	$sent{a} += 5;
	$sent{"a$_"} = $sent{a} foreach 1 .. 5;
	right("round $round", 'a', map { "a$_" } 1 .. 5);
}
ok(wait_for($node, q(SELECT status || ' ' || (last_error LIKE '%division by zero%') FROM streaming.views WHERE view = 'v_bad'::regclass), 'retrying true'),
	'one of the views fails');
ok(wait_for($node, q(SELECT count(*) FROM streaming.views WHERE last_error IS NOT NULL AND view <> 'v_bad'::regclass), '0'), 'no other does');
$node->safe_psql('postgres', 'UPDATE barrier SET divisor = 1');
drain($node, 'v_bad');
same_as_batch($node, 'v_bad', 'SELECT k, count(*) AS n, sum(s.v / b.divisor) FROM s_a s JOIN barrier b USING (k) GROUP BY k');
same_as_batch($node, "v_a$_", 'SELECT k % 3 AS k, count(*) AS n, sum(v) FROM s_a GROUP BY 1') foreach 1, 5;
ok($node->safe_psql('postgres', q(SELECT count(*) > 0 FROM (SELECT xmin FROM streaming_internal.progress GROUP BY xmin::text, xmin HAVING count(*) > 1) t)) eq 't',
	'batches of several views were committed together');
$sent{twin} = $sent{a};

# --- nothing is lost --------------------------------------------------------

foreach my $round (10 .. 12)
{
	produce($round, qw(a b altered));
	kill9_worker($node, 'streaming ingest');
	produce(100 + $round, qw(a b altered));
	@sent{qw(twin group)} = @sent{qw(a b)};
	right("kill -9 of the process, $round", qw(a b twin group altered));
}
same_as_batch($node, "v_$_", "SELECT k, count(*) AS n, sum(v) FROM s_$_ GROUP BY k") foreach qw(a b);

# --- no room for another process --------------------------------------------

# Two of PostgreSQL and the extension each, two that read, two that run queries.
$node->safe_psql('postgres', q(ALTER FOREIGN TABLE s_stops OPTIONS (SET on_error 'stop')));
$node->adjust_conf('postgresql.conf', 'max_worker_processes', '7');
$node->restart;
$sent{twin} = $sent{a};
right('all are read after a restart', qw(a b twin stops altered));
$kafka->produce($topic{stops}, 0, ['{"k": "no number"}']);
ok(wait_for($node, q(SELECT last_error LIKE '%cannot be decoded%' FROM streaming.views WHERE view = 'v_stops'::regclass)),
	'a stream stops for which there is no room elsewhere');
produce(200, qw(a b altered));
$sent{twin} = $sent{a};
right('the others go on beside it', qw(a b twin altered));
ok(wait_until(sub { workers() eq '2' }), 'in the processes there are');

$node->stop;
done_testing();
