# Messages that retention has taken before a view could: it says so, keeps what
# it has, and goes on as its user chooses.

use strict;
use warnings;

use StreamingKafka;
use StreamingTest;
use Test::More;

my $kafka = StreamingKafka->shared;
my $node = new_node('main', 'streaming.retry_max = 200ms');
my $topic = $kafka->create_topic('expired', 1);
my $next = 0;

# Values tell their offsets.
sub produce
{
	my ($n) = @_;

	$kafka->produce($topic, 0, [ map { qq({"n": $_}) } $next .. $next + $n - 1 ]);
	$next += $n;
	return;
}

$node->safe_psql('postgres', <<SQL);
CREATE SERVER broker FOREIGN DATA WRAPPER kafka OPTIONS (${\$kafka->options});
CREATE FOREIGN TABLE events (n int) SERVER broker OPTIONS (topic '$topic');
CREATE VIEW from_first WITH (streaming.continuous) AS SELECT count(*) AS n, min(n), max(n) FROM events;
CREATE VIEW from_now WITH (streaming.start = 'latest') AS SELECT count(*) AS n, min(n), max(n) FROM events;
CREATE VIEW awake WITH (streaming.continuous) AS SELECT count(*) AS n, min(n), max(n) FROM events;
SQL
drain($node, $_) foreach qw(from_first from_now awake);
produce(10);
drain($node, $_) foreach qw(from_first from_now awake);

$node->safe_psql('postgres', "ALTER VIEW $_ SET (streaming.enabled = off)") foreach qw(from_first from_now);
produce(10);
drain($node, 'awake');
$kafka->trim($topic, 0, 15);
# What is in the stream's buffer still would do.
$node->restart;
drain($node, 'awake');
$node->safe_psql('postgres', "ALTER VIEW $_ SET (streaming.enabled = on)") foreach qw(from_first from_now);

foreach my $view (qw(from_first from_now))
{
	ok(wait_for($node, "SELECT status FROM streaming.views WHERE view = '$view'::regclass", qr/retrying|failed/), "$view is in trouble");
	my $error = $node->safe_psql('postgres', "SELECT last_error FROM streaming.views WHERE view = '$view'::regclass");
	like($error, qr/offset 10 of partition 0 of topic "$topic" is not there any more/, 'it names the offset');
	like($error, qr/HINT:.*streaming\.reset.*earliest.*latest/, 'and the choices');
	is($node->safe_psql('postgres', "SELECT * FROM $view"), '10|0|9', 'it shows what it has taken');
	my (undef, undef, $drained) = $node->psql('postgres', "SELECT streaming.drain('$view', '$deadline s')");
	like($drained, qr/has failed: offset 10/, 'a drain says why');
}

# The others go on.
produce(5);
drain($node, 'awake');
is($node->safe_psql('postgres', 'SELECT * FROM awake'), '25|0|24', 'no other view is concerned');

$node->safe_psql('postgres', "SELECT streaming.reset('$_')") foreach qw(from_first from_now);
# What the stream's worker had found before the second reset may still be said.
foreach my $view (qw(from_first from_now))
{
	ok(wait_until(sub { eval { drain($node, $view); 1 } }), "$view goes on by itself after a reset");
}
is($node->safe_psql('postgres', 'SELECT * FROM from_first'), '10|15|24', 'earliest begins with what the topic still holds');
is($node->safe_psql('postgres', 'SELECT * FROM from_now'), '0||', 'latest with what comes from now on');
produce(5);
drain($node, $_) foreach qw(from_first from_now awake);
is($node->safe_psql('postgres', 'SELECT * FROM from_first UNION ALL SELECT * FROM from_now UNION ALL SELECT * FROM awake ORDER BY n'),
	"5|25|29\n15|15|29\n30|0|29", 'and all go on');
ok(wait_for($node, q(SELECT count(*) FROM streaming.views WHERE status <> 'running'), '0'), 'out of trouble');

# The topic made anew: its offsets begin again, below the checkpoints.
$node->safe_psql('postgres', 'DROP VIEW from_now, awake');
$kafka->delete_topic($topic);
wait_until(sub { eval { $kafka->create_topic('expired', 1); 1 } }) or die 'the topic cannot be made anew';
$kafka->produce($topic, 0, ['{"n": 100}']);
$node->restart;
ok(wait_for($node, q(SELECT last_error FROM streaming.views), qr/is not the one that the view has read.*created anew.*HINT:.*streaming\.reset/s), 'a topic made anew is noticed');
$node->safe_psql('postgres', q(SELECT streaming.reset('from_first')));
ok(wait_for($node, 'SELECT * FROM from_first', '1|100|100'), 'and begun with after a reset');
ok(wait_for($node, 'SELECT status FROM streaming.views', 'running'), 'with no trouble left');

$node->stop;
done_testing();
