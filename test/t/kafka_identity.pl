# Another topic under the same name, or another name: offsets of the one mean nothing in
# the other. Views that have read the first say so until their user has chosen.
#
# Takes long.

use strict;
use warnings;

use StreamingKafka;
use StreamingTest;
use Test::More;

my $kafka = StreamingKafka->shared;
my $node = new_node('main', 'streaming.retry_max = 200ms');

sub records
{
	my ($prefix, $from, $to) = @_;
	return [ map { qq({"v": "$prefix$_"}) } $from .. $to ];
}

sub recreate
{
	my ($topic, $name, $partitions) = @_;

	$kafka->delete_topic($topic);
	wait_until(sub { eval { $kafka->create_topic($name, $partitions); 1 } }) or die "topic $topic cannot be made anew";
	return;
}

sub stream
{
	my ($name, $topic) = @_;

	$node->safe_psql('postgres', <<SQL);
CREATE FOREIGN TABLE $name (v text) SERVER broker OPTIONS (topic '$topic');
CREATE VIEW ${name}_view WITH (streaming.continuous) AS SELECT left(v, 1) AS p, count(*) AS n FROM $name GROUP BY 1;
SQL
	drain($node, "${name}_view");
	return;
}

# The error of a view, in streaming.views and by drain.
sub fails
{
	my ($view, $detail, $name) = @_;

	my (undef, undef, $error) = $node->psql('postgres', "SELECT streaming.drain('$view', '$deadline s')");
	like($error, qr/ERROR:.*topic ".*" of stream .* is not the one that the view has read.*$detail.*HINT:.*streaming\.reset.*ALTER FOREIGN TABLE/s, "$name: drain fails");
	ok(wait_for($node, "SELECT status || ' ' || last_error FROM streaming.views WHERE view = '$view'::regclass", qr/(retrying|failed) .*is not the one that the view has read.*$detail.*HINT:.*streaming\.reset/s), "$name: the view says so");
	return;
}

sub rows { return $node->safe_psql('postgres', "SELECT * FROM $_[0] ORDER BY 1") }

$node->safe_psql('postgres', "CREATE SERVER broker FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers '${\$kafka->address}', topic_metadata_refresh_interval_ms '2000')");

# ALTER of the topic, there and back.
my $a = $kafka->create_topic('altered_a', 2);
my $b = $kafka->create_topic('altered_b', 2);
$kafka->produce($a, $_, records('a', 1, 5)) foreach 0, 1;
$kafka->produce($b, $_, records('b', 1, 10)) foreach 0, 1;
stream('altered', $a);
is(rows('altered_view'), 'a|10', 'the first topic');
$node->safe_psql('postgres', "ALTER FOREIGN TABLE altered OPTIONS (SET topic '$b')");
fails('altered_view', qr/The view has read topic "$a"/, 'another name');
is(rows('altered_view'), 'a|10', 'nothing of the other topic is taken');
$node->safe_psql('postgres', 'CREATE VIEW altered_new WITH (streaming.continuous) AS SELECT left(v, 1) AS p, count(*) AS n FROM altered GROUP BY 1');
drain($node, 'altered_new');
is(rows('altered_new'), 'b|20', 'a new view reads the new one');
$kafka->produce($a, 0, records('a', 6, 7));
$node->safe_psql('postgres', "ALTER FOREIGN TABLE altered OPTIONS (SET topic '$a')");
ok(wait_until(sub { eval { drain($node, 'altered_view'); 1 } }), 'ALTER back is one of the choices');
is(rows('altered_view'), 'a|12', 'and it goes on where it was');
fails('altered_new', qr/The view has read topic "$b"/, 'the other view');
$node->safe_psql('postgres', "SELECT streaming.reset('altered_new')");
drain($node, 'altered_new');
is(rows('altered_new'), 'a|12', 'a reset is the other');
$node->safe_psql('postgres', 'DROP VIEW altered_view, altered_new');

# Made anew and longer than the checkpoint, while the server is down.
my $down = $kafka->create_topic('down', 1);
$kafka->produce($down, 0, records('o', 1, 5));
stream('down', $down);
$node->stop;
recreate($down, 'down', 1);
$kafka->produce($down, 0, records('n', 1, 9));
$node->start;
fails('down_view', qr/created anew/, 'made anew while the server was down');
is(rows('down_view'), 'o|5', 'nothing of it is taken');
$node->restart;
fails('down_view', qr/created anew/, 'the error does not go away by itself');
$node->safe_psql('postgres', "SELECT streaming.reset('down_view')");
drain($node, 'down_view');
is(rows('down_view'), 'n|9', 'the new topic after a reset');
$node->safe_psql('postgres', 'DROP VIEW down_view');

# While it is read.
my $live = $kafka->create_topic('live', 1);
$kafka->produce($live, 0, records('o', 1, 5));
stream('live', $live);
$kafka->delete_topic($live);
ok(wait_for($node, q(SELECT last_error FROM streaming.stat_streams WHERE stream = 'live'::regclass), qr/does not exist|Unknown topic/), 'a topic is deleted');
wait_until(sub { eval { $kafka->create_topic('live', 1); 1 } }) or die 'the topic cannot be made anew';
$kafka->produce($live, 0, records('n', 1, 9));
ok(wait_for($node, q(SELECT last_error FROM streaming.views WHERE view = 'live_view'::regclass), qr/is not the one that the view has read.*created anew/s), 'made anew while it was read');
is(rows('live_view'), 'o|5', 'nothing of it is taken');
$node->safe_psql('postgres', 'CREATE VIEW live_new WITH (streaming.continuous) AS SELECT left(v, 1) AS p, count(*) AS n FROM live GROUP BY 1');
drain($node, 'live_new');
is(rows('live_new'), 'n|9', 'a new view reads nothing of the old one');
fails('live_view', qr/created anew/, 'beside a new view');
$node->safe_psql('postgres', "SELECT streaming.reset('live_view')");
drain($node, 'live_view');
is(rows('live_view'), 'n|9', 'nor does one that is reset');
$kafka->produce($live, 0, records('n', 10, 11));
drain($node, $_) foreach qw(live_view live_new);
is(rows('live_view') . rows('live_new'), 'n|11n|11', 'and both go on');
$node->safe_psql('postgres', 'DROP VIEW live_view, live_new');

# So quickly that no fetch has failed: that is found out a little later.
my $quick = $kafka->create_topic('quick', 1);
$kafka->produce($quick, 0, records('o', 1, 5));
stream('quick', $quick);
recreate($quick, 'quick', 1);
$kafka->produce($quick, 0, records('n', 1, 9));
ok(wait_for($node, q(SELECT last_error FROM streaming.views WHERE view = 'quick_view'::regclass), qr/is not the one that the view has read/), 'made anew at once');
$node->safe_psql('postgres', "SELECT streaming.reset('quick_view')");
drain($node, 'quick_view');
is(rows('quick_view'), 'n|9', 'and reset');
$node->safe_psql('postgres', 'DROP VIEW quick_view');

# With fewer partitions.
my $fewer = $kafka->create_topic('fewer', 2);
$kafka->produce($fewer, 1, records('o', 1, 5));
stream('fewer', $fewer);
recreate($fewer, 'fewer', 1);
fails('fewer_view', qr/created anew/, 'a partition that has vanished');
$node->safe_psql('postgres', 'DROP VIEW fewer_view');

# Empty: there is nothing to compare.
my $empty = $kafka->create_topic('empty', 1);
$kafka->produce($empty, 0, records('o', 1, 5));
stream('empty', $empty);
recreate($empty, 'empty', 1);
fails('empty_view', qr/created anew/, 'made anew and empty');
$node->safe_psql('postgres', 'DROP VIEW empty_view');

# Other brokers, which have a topic of that name.
SKIP:
{
	skip(StreamingKafka->unavailable, 7) if defined StreamingKafka->unavailable;
	my $other = StreamingKafka->new;
	my $name = $kafka->create_topic('moved', 1);
	$other->create_topic('moved', 1);
	$kafka->produce($name, 0, records('o', 1, 5));
	$other->produce($name, 0, records('n', 1, 9));
	stream('moved', $name);
	$node->safe_psql('postgres', "ALTER SERVER broker OPTIONS (SET bootstrap_servers '${\$other->address}')");
	fails('moved_view', qr/the stream's server leads to other brokers/, 'other brokers');
	$node->safe_psql('postgres', 'CREATE VIEW moved_new WITH (streaming.continuous) AS SELECT left(v, 1) AS p, count(*) AS n FROM moved GROUP BY 1');
	drain($node, 'moved_new');
	is(rows('moved_new'), 'n|9', 'a new view reads theirs');
	$node->safe_psql('postgres', "ALTER SERVER broker OPTIONS (SET bootstrap_servers '${\$kafka->address}')");
	ok(wait_until(sub { eval { drain($node, 'moved_view'); 1 } }), 'and the first view goes on with the former ones');
	is(rows('moved_view'), 'o|5', 'where it was');
	$kafka->produce($name, 0, records('o', 6, 6));
	ok(wait_for($node, 'SELECT n FROM moved_view', '6'), 'also by itself');
	$node->safe_psql('postgres', 'DROP VIEW moved_view, moved_new');
}

# What is no other topic: the records by which it was known have gone, or it has grown.
my $same = $kafka->create_topic('same', 1, 'cleanup.policy=compact', 'segment.ms=100', 'min.cleanable.dirty.ratio=0.01', 'max.compaction.lag.ms=100', 'delete.retention.ms=100');
$kafka->produce($same, 0, [ map { [ 'k', qq({"v": "s$_"}) ] } 1 .. 5 ]);
stream('same', $same);
is($node->safe_psql('postgres', q(SELECT count(*) FROM streaming_internal.topics WHERE stream = 'same'::regclass AND partition >= 0)), 1, 'a topic is known by a record');
$node->stop;
ok(wait_until(sub {
	$kafka->produce($same, 0, [ [ 'k', '{"v": "s"}' ] ]);
	my ($first) = $kafka->consume($same);
	return $first->[1] > 5;
}), 'compacted');
$node->start;
drain($node, 'same_view');
is($node->safe_psql('postgres', 'SELECT n > 5 FROM same_view'), 't', 'a topic that was compacted is the same');
my $trimmed = $kafka->create_topic('trimmed', 1);
$kafka->produce($trimmed, 0, records('t', 1, 5));
stream('trimmed', $trimmed);
$kafka->trim($trimmed, 0, 5);
$node->restart;
$kafka->produce($trimmed, 0, records('t', 6, 8));
drain($node, 'trimmed_view');
is(rows('trimmed_view'), 't|8', 'and one of which retention has taken what was read');
$kafka->grow_topic($trimmed, 2);
$kafka->produce($trimmed, 1, records('t', 9, 9));
ok(wait_for($node, 'SELECT n FROM trimmed_view', 9), 'and one that has grown');
is($node->safe_psql('postgres', q(SELECT count(*) FROM streaming_internal.topics WHERE stream = 'trimmed'::regclass AND partition < 0)), 1, 'it was never another');

$node->stop;
done_testing();
