# A broker that is away: at CREATE, when the server starts, and midway.
#
# Takes long.

use strict;
use warnings;

use StreamingKafka;
use StreamingTest;
use Test::More;

my $kafka = StreamingKafka->new;
my $topic = $kafka->create_topic('outage', 4);
my $node = new_node('main', 'streaming.retry_max = 1s', 'streaming.connect_timeout = 2s');
my $produced = 0;

sub produce
{
	my ($n) = @_;

	foreach my $p (0 .. 3)
	{
		$kafka->produce($topic, $p, [ map { sprintf '{"k": %d, "v": %d}', $_ % 10, $_ } 1 .. $n ]);
	}
	$produced += 4 * $n;
	return;
}

# Whichever tells it first: the stream's reader or the view's first batch.
my $trouble = <<'SQL';
SELECT count(*) > 0 FROM (
	SELECT last_error FROM streaming.stat_streams UNION ALL SELECT last_error FROM streaming.views) e
WHERE last_error <> ''
SQL

sub right
{
	my ($test_name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	drain($node, $_) foreach qw(per_k all_rows);
	is($node->safe_psql('postgres', 'SELECT sum(n) FROM per_k'), $produced, "$test_name: each message once");
	same_as_batch($node, 'all_rows', 'SELECT part, off, v FROM s');
	same_as_batch($node, 'per_k', 'SELECT k, count(*) AS n, sum(v) FROM s GROUP BY k');
	ok(wait_for($node, "SELECT NOT ($trouble)"), "$test_name: the error is cleared");
	return;
}

produce(100);
$kafka->kill9;
$node->safe_psql('postgres', <<SQL);
CREATE SERVER broker FOREIGN DATA WRAPPER kafka
	OPTIONS (bootstrap_servers '${\$kafka->address}', reconnect_backoff_max_ms '500');
CREATE FOREIGN TABLE s (k int, v int, part int OPTIONS (metadata 'partition'), off bigint OPTIONS (metadata 'offset'))
	SERVER broker OPTIONS (topic '$topic');
CREATE VIEW per_k WITH (streaming.continuous) AS SELECT k, count(*) AS n, sum(v) FROM s GROUP BY k;
CREATE VIEW all_rows WITH (streaming.continuous) AS SELECT part, off, v FROM s;
SQL
ok(wait_for($node, $trouble), 'views are made without a broker, and the trouble is visible');
my ($ret, $out, $err) = $node->psql('postgres', "SELECT streaming.drain('per_k', '30 s')");
isnt($ret, 0, 'drain fails instead of waiting for the broker');
($ret, $out, $err) = $node->psql('postgres', 'SELECT count(*) FROM s');
isnt($ret, 0, 'so does a batch read');
$kafka->start;
ok(wait_for($node, 'SELECT sum(n) FROM per_k', $produced), 'the broker comes, and so do the messages');
right('down at CREATE');

# Away when the server starts.
$node->stop;
$kafka->kill9;
$node->start;
ok(wait_for($node, $trouble), 'the server starts without a broker, and the trouble is visible');
is($node->safe_psql('postgres', 'SELECT sum(n) FROM per_k'), $produced, 'what was taken is shown meanwhile');
$kafka->start;
produce(50);
ok(wait_for($node, 'SELECT sum(n) FROM per_k', $produced), 'the views go on when it is there');
right('down at the start');

# Killed midway, several times; nobody crashes.
my $workers = join ' ', sort(worker_pids($node, 'streaming %'));
foreach my $round (1 .. rounds(3))
{
	produce(200);
	$kafka->kill9;
	ok(wait_for($node, $trouble), 'the trouble is visible');
	$kafka->start;
	produce(100);
	ok(wait_for($node, 'SELECT sum(n) FROM per_k', $produced), "killed midway, round $round: the views go on");
}
right('killed midway');
is(join(' ', sort(worker_pids($node, 'streaming %'))), $workers, 'no worker has ended');

$node->stop;
done_testing();
