# A stream over all topics that match a regular expression: topics come, grow, go and
# are made anew while views read the others, each message once, whoever is killed.

use strict;
use warnings;

use StreamingKafka;
use StreamingTest;
use Test::More;

random_seed();

my $kafka = StreamingKafka->shared;
my $node = new_node('main', 'streaming.retry_max = 300ms', 'streaming.rejected_limit = 1000');

my %topic = map { $_ => $kafka->create_topic("clicks-$_", $_ eq 'a' ? 2 : 1) } qw(a b);
my ($suffix) = $topic{a} =~ /_(\w+)$/;
my $elsewhere = $kafka->create_topic('noclicks-a', 1);
my $hidden = $kafka->create_topic('__clicks-a', 1);
my $number = 0;

# n messages into a partition, all different.
sub produce
{
	my ($topic, $partition, $n) = @_;

	$kafka->produce($topic, $partition, [ map { sprintf '{"k": %d, "v": %d}', $number % 7, $number++ } 1 .. $n ]);
	return;
}

produce($topic{a}, 0, 20);
produce($topic{a}, 1, 10);
produce($topic{b}, 0, 5);
produce($_, 0, 3) foreach $elsewhere, $hidden;

my $columns = "k int, v int, topic text OPTIONS (metadata 'topic'), part int OPTIONS (metadata 'partition'), off bigint OPTIONS (metadata 'offset')";
$node->safe_psql('postgres', <<SQL);
CREATE SERVER broker FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers '${\$kafka->address}', topic_metadata_refresh_interval_ms '300');
CREATE FOREIGN TABLE s ($columns) SERVER broker OPTIONS (topic '^clicks-[a-z0-9]+_$suffix', group_id 'group_$suffix');
CREATE FOREIGN TABLE one ($columns) SERVER broker OPTIONS (topic '$topic{a}');
SQL
my %batch = (
	per_k    => 'SELECT k, count(*) AS n, sum(v) FROM s GROUP BY k',
	all_rows => 'SELECT topic, part, off, v FROM s',
	single   => 'SELECT part, off, v FROM one',
);
$node->safe_psql('postgres', "CREATE VIEW $_ WITH (streaming.continuous) AS $batch{$_}") foreach sort keys %batch;

# What the views should have: topics as they were when they were deleted.
my @gone;

# Rows of the topics that are there are compared both ways; of one that is not, counted.
sub right
{
	my ($name, @views) = @_;

	foreach my $view (@views ? @views : sort keys %batch)
	{
		drain($node, $view);
		same_as_batch($node, $view, $batch{$view}, "$name: $view") unless @gone;
	}
	my $counts = "SELECT string_agg(topic || ':' || n, ' ' ORDER BY topic) FROM (SELECT topic, count(*) AS n, count(DISTINCT (topic, part, off, v)) AS d FROM %s GROUP BY topic) x";
	if (@gone)
	{
		is($node->safe_psql('postgres', "SELECT count(*) FROM (SELECT topic, part, off, v FROM s EXCEPT ALL SELECT topic, part, off, v FROM all_rows) x"), 0, "$name: nothing is missing");
		my $rest = $node->safe_psql('postgres', "SELECT topic || ':' || count(*) FROM (SELECT topic, part, off, v FROM all_rows EXCEPT ALL SELECT topic, part, off, v FROM s) x GROUP BY topic ORDER BY topic COLLATE \"C\"");
		is($rest, join("\n", sort @gone), "$name: what is more is of topics that are gone");
		is($node->safe_psql('postgres', 'SELECT (SELECT sum(n) FROM per_k) - (SELECT count(*) FROM all_rows)'), 0, "$name: the aggregate has the same");
	}
	return;
}

right('two topics');
is($node->safe_psql('postgres', 'SELECT topic, part, count(*) FROM s GROUP BY 1, 2 ORDER BY 1, 2'), "$topic{a}|0|20\n$topic{a}|1|10\n$topic{b}|0|5", 'SELECT has topic and partition of each message');
is($node->safe_psql('postgres', "SELECT string_agg(topic_partition, ' ' ORDER BY topic_partition) FROM streaming.stat_streams WHERE stream = 's'::regclass"), "$topic{a}:0 $topic{a}:1 $topic{b}:0", 'stat_streams names them');
is($node->safe_psql('postgres', 'SELECT string_agg(topic || part || off, NULL) FROM one WHERE off < 0'), '', 'a stream of one of the topics shares the process');

# A topic that comes later, one that grows, while a worker is killed.
foreach my $victim ('streaming ingest', 'streaming query', 'postmaster')
{
	my $name = 'new' . length $victim;

	produce($topic{$_}, 0, 10) foreach qw(a b);
	kill9($node, $victim);
	$topic{$name} = $kafka->create_topic("clicks-$name", 2);
	produce($topic{$name}, $_, 7) foreach 0, 1;
	right("a topic appears, kill of $victim");
}
$kafka->grow_topic($topic{b}, 3);
produce($topic{b}, 2, 4);
right('a topic has more partitions');

# Noticed without anybody who asks.
$topic{unasked} = $kafka->create_topic('clicks-unasked', 1);
produce($topic{unasked}, 0, 3);
ok(wait_for($node, "SELECT count(*) FROM all_rows WHERE topic = '$topic{unasked}'", 3), 'a topic is noticed by itself');

# Views that begin late: at the earliest, latest and a time.
$node->safe_psql('postgres', <<SQL);
CREATE VIEW late WITH (streaming.continuous) AS SELECT topic, count(*) AS n FROM s GROUP BY topic;
CREATE VIEW latest WITH (streaming.start = 'latest') AS SELECT topic, count(*) AS n FROM s GROUP BY topic;
CREATE VIEW timed WITH (streaming.start = '2001-01-01') AS SELECT topic, count(*) AS n FROM s GROUP BY topic;
SQL
drain($node, $_) foreach qw(late latest timed);
same_as_batch($node, $_, 'SELECT topic, count(*) AS n FROM s GROUP BY topic', "$_ reads the topics on its own") foreach qw(late timed);
is($node->safe_psql('postgres', 'SELECT count(*) FROM latest'), 0, 'latest begins at the ends');
produce($topic{a}, 0, 2);
$topic{after} = $kafka->create_topic('clicks-after', 1);
produce($topic{after}, 0, 6);
drain($node, 'latest');
is($node->safe_psql('postgres', 'SELECT topic, n FROM latest ORDER BY n'), "$topic{a}|2\n$topic{after}|6", 'and reads a topic that comes later from its beginning');
$node->safe_psql('postgres', 'DROP VIEW latest, timed');

# Offsets of the group.
drain($node, $_) foreach qw(per_k all_rows late);
ok(wait_until(sub { $kafka->committed($topic{after}, 0, "group_$suffix") == 6 && $kafka->committed($topic{b}, 2, "group_$suffix") == 4 }), 'the group has offsets of each topic');

# A bad record: where it was, and its retry.
$kafka->produce($topic{b}, 1, [ '{"k": "x", "v": 1000000}' ]);
drain($node, 'all_rows');
is($node->safe_psql('postgres', "SELECT path, position FROM streaming.rejected_rows WHERE stream = 's'::regclass"), "$topic{b}:1|0", 'rejected_rows names topic and partition');
$node->safe_psql('postgres', 'DROP VIEW per_k, all_rows, late, single; DROP FOREIGN TABLE s');
$node->safe_psql('postgres', <<SQL);
CREATE DOMAIN small AS text CHECK (VALUE <> 'x');
CREATE FOREIGN TABLE s (${\ ($columns =~ s/k int/k small/r)}) SERVER broker OPTIONS (topic '^clicks-[a-z0-9]+_$suffix', group_id 'group_$suffix');
SQL
delete $batch{single};
$node->safe_psql('postgres', "CREATE VIEW $_ WITH (streaming.continuous) AS $batch{$_}") foreach sort keys %batch;
right('a new stream of the same topics');
$node->safe_psql('postgres', 'ALTER DOMAIN small DROP CONSTRAINT small_check');
is($node->safe_psql('postgres', "SELECT streaming.retry_rejected('s')"), 1, 'a rejected record is retried');
right('with its topic and partition');
is($node->safe_psql('postgres', 'SELECT topic, part FROM all_rows WHERE v = 1000000'), "$topic{b}|1", 'that are its own');

# Deleted: the others go on, and the rows stay.
my $log = -s $node->logfile;
$kafka->delete_topic($topic{unasked});
ok(wait_for($node, "SELECT bool_and(gone) FROM streaming_internal.topic_partitions WHERE stream = 's'::regclass AND topic = '$topic{unasked}'", 't'), 'a topic is deleted');
$node->wait_for_log(qr/LOG: .*topic "$topic{unasked}" of stream .* has been deleted/, $log);
push @gone, "$topic{unasked}:3";
produce($topic{a}, 1, 3);
right('without it');
ok(wait_for($node, "SELECT count(*) FROM streaming.stat_streams WHERE stream = 's'::regclass AND last_error <> ''", 0), 'and there is no trouble');

# Made anew: another topic, read from its beginning.
wait_until(sub { eval { $kafka->create_topic('clicks-unasked', 1); 1 } }) or die 'the topic cannot be made anew';
produce($topic{unasked}, 0, 9);
ok(wait_for($node, "SELECT count(*) FROM all_rows WHERE topic = '$topic{unasked}'", 12), 'a topic is made anew');
right('with both');

# Deleted and made anew while nobody looks.
$node->stop;
$kafka->delete_topic($topic{after});
wait_until(sub { eval { $kafka->create_topic('clicks-after', 1); 1 } }) or die 'the topic cannot be made anew';
produce($topic{after}, 0, 11);
$node->start;
push @gone, "$topic{after}:6";
right('made anew while the server was down');

# Reset: what there is now.
@gone = ();
foreach my $view (sort keys %batch)
{
	$node->safe_psql('postgres', "SELECT streaming.reset('$view')");
}
right('after a reset');

# Messages that are lost: only the stream's choice is of the stream.
$node->safe_psql('postgres', "ALTER FOREIGN TABLE s OPTIONS (ADD on_lost_offset 'skip')");
right('before messages are lost');
$node->safe_psql('postgres', "ALTER VIEW $_ SET (streaming.enabled = off)") foreach sort keys %batch;
produce($topic{a}, 0, 10);
my ($end) = map { $_->[1] + 1 } (grep { $_->[0] == 0 } $kafka->consume($topic{a}))[-1];
$kafka->trim($topic{a}, 0, $end - 4);
$node->safe_psql('postgres', "ALTER VIEW $_ SET (streaming.enabled = on)") foreach sort keys %batch;
drain($node, $_) foreach sort keys %batch;
is($node->safe_psql('postgres', "SELECT max(off) - count(*) FROM all_rows WHERE topic = '$topic{a}' AND part = 0"), 5, 'skip goes on behind messages that are lost');
like($node->safe_psql('postgres', "SELECT path, error FROM streaming.rejected_rows WHERE payload IS NULL"), qr/^$topic{a}:0\|.*are not in the topic any more/, 'and says where');

# Not for writing, nor for import.
sub error_of { my (undef, undef, $error) = $node->psql('postgres', $_[0]); return $error }
like(error_of("INSERT INTO s (k, v) VALUES ('a', 1)"), qr/ERROR:  cannot write to stream .*s, whose topics are named by a regular expression/, 'INSERT');
like(error_of("CREATE VIEW sunk WITH (streaming.sink = 's', streaming.output_mode = 'append') AS SELECT k, v FROM one"), qr/ERROR:  cannot write to stream .*s, whose topics are named by a regular expression/, 'sink');
like(error_of('IMPORT FOREIGN SCHEMA topics LIMIT TO ("^clicks") FROM SERVER broker INTO public'), qr/ERROR:  topics cannot be imported by a regular expression/, 'IMPORT');
like(error_of("SET streaming.reachable_timeout = '10s'; CREATE FOREIGN TABLE none (v int) SERVER broker OPTIONS (topic '^no_such_$suffix')"), qr/WARNING:  no topic on the brokers of server "broker" matches "\^no_such_$suffix"/, 'nothing that matches');
is($node->safe_psql('postgres', 'SELECT count(*) FROM none'), 0, 'is nothing');
$node->safe_psql('postgres', "CREATE FOREIGN TABLE internal (v int, topic text OPTIONS (metadata 'topic')) SERVER broker OPTIONS (topic '^__clicks-a_$suffix')");
is($node->safe_psql('postgres', 'SELECT DISTINCT topic FROM internal'), $hidden, 'Kafka\'s own topics by their prefix');

# A single topic is another source than many.
my $single = $kafka->create_topic('single', 1);
produce($single, 0, 4);
$node->safe_psql('postgres', "ALTER FOREIGN TABLE s OPTIONS (SET topic '$single')");
like(error_of("SELECT streaming.drain('all_rows', '$deadline s')"), qr/is not the one that the view has read/, 'ALTER to one topic');
$node->safe_psql('postgres', "ALTER FOREIGN TABLE s OPTIONS (SET topic '^clicks-[a-z0-9]+_$suffix')");
ok(wait_until(sub { eval { drain($node, 'all_rows'); 1 } }), 'and back');
produce($topic{b}, 0, 1);
drain($node, 'all_rows');
is($node->safe_psql('postgres', "SELECT count(*) - count(DISTINCT (topic, part, off)) FROM all_rows"), 0, 'without a message twice');

# Another pattern: what does not match waits where it is.
$node->safe_psql('postgres', "ALTER FOREIGN TABLE s OPTIONS (SET topic '^clicks-[ac-z0-9]\\w*_$suffix')");
produce($topic{$_}, 0, 4) foreach qw(a b);
my $had = $node->safe_psql('postgres', 'SELECT count(*) FROM all_rows');
drain($node, 'all_rows');
is($node->safe_psql('postgres', "SELECT count(*) - $had, count(*) FILTER (WHERE topic = '$topic{b}' AND off >= (SELECT position::bigint FROM streaming.checkpoints c JOIN streaming_internal.topic_partitions p USING (stream) WHERE c.view = 'all_rows'::regclass AND c.partition = p.number::text AND p.topic = '$topic{b}' AND p.partition = 0)) FROM all_rows"), '4|0', 'ALTER to fewer topics');
$node->safe_psql('postgres', "ALTER FOREIGN TABLE s OPTIONS (SET topic '^clicks-[a-z0-9]+_$suffix')");
drain($node, 'all_rows');
is($node->safe_psql('postgres', 'SELECT count(*), count(*) - count(DISTINCT (topic, part, off)) FROM all_rows'), ($had + 8) . '|0', 'and to more');

# A watermark, with no topic and with two.
$node->safe_psql('postgres', <<SQL);
CREATE FOREIGN TABLE timed (v int, at timestamptz OPTIONS (watermark '0')) SERVER broker OPTIONS (topic '^timed-.*_$suffix');
CREATE VIEW windows WITH (streaming.continuous, streaming.output_mode = 'append') AS SELECT date_bin('1 min', at, '2001-01-01') AS w, count(*) AS n FROM timed GROUP BY 1;
SQL
drain($node, 'windows');
$node->safe_psql('postgres', 'ALTER VIEW windows SET (streaming.enabled = off)');
my %minutes = (a => [ 1, 2, 9 ], b => [ 1, 4, 5 ]);
foreach my $name (sort keys %minutes)
{
	$topic{"timed$name"} = $kafka->create_topic("timed-$name", 1);
	$kafka->produce($topic{"timed$name"}, 0, [ map { qq({"v": $_, "at": "2026-01-01T00:0$_:00Z"}) } @{ $minutes{$name} } ]);
}
$node->safe_psql('postgres', 'ALTER VIEW windows SET (streaming.enabled = on)');
drain($node, 'windows');
ok(wait_for($node, "SELECT string_agg(extract(minute FROM w AT TIME ZONE 'UTC') || ':' || n, ' ' ORDER BY w) FROM windows", '1:2 2:1 4:1'), 'the slowest topic has the watermark');
$node->safe_psql('postgres', 'DROP VIEW windows');

# Out of sight and back: the numbers are those that they were.
my $numbers = "SELECT count(*) FROM streaming_internal.topic_partitions WHERE stream = 's'::regclass";
my $before = $node->safe_psql('postgres', $numbers);
my $rows = $node->safe_psql('postgres', 'SELECT count(*) FROM all_rows');
my $there = $node->safe_psql('postgres', "$numbers AND NOT gone");
my $empty = StreamingKafka->new;
$node->safe_psql('postgres', "ALTER SERVER broker OPTIONS (SET bootstrap_servers '${\$empty->address}')");
ok(wait_for($node, "$numbers AND NOT gone", 0), 'other brokers have none of the topics');
$node->safe_psql('postgres', "ALTER SERVER broker OPTIONS (SET bootstrap_servers '${\$kafka->address}')");
produce($topic{b}, 0, 2);
ok(wait_for($node, 'SELECT count(*) FROM all_rows', $rows + 2), 'with the first ones the view goes on');
drain($node, 'all_rows');
is($node->safe_psql('postgres', 'SELECT count(*) FROM all_rows'), $rows + 2, 'where it was');
is($node->safe_psql('postgres', "$numbers AND NOT gone") . ' of ' . $node->safe_psql('postgres', $numbers), "$there of $before", 'with the same numbers');

# A dump has numbers and checkpoints.
my $dump = "$ENV{STREAMING_WORK}/pattern.sql";
$node->safe_psql('postgres', 'DROP VIEW per_k');
$node->command_ok([ 'pg_dump', '-f', $dump, '-d', $node->connstr('postgres') ], 'dump');
$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d', $node->connstr('other') ], 'restore');
produce($topic{b}, 0, 3);
ok(wait_until(sub { eval { $node->safe_psql('other', "SELECT streaming.drain('all_rows', '$deadline s')"); 1 } }), 'a restored view runs');
is($node->safe_psql('other', 'SELECT count(*), count(*) - count(DISTINCT (topic, part, off)) FROM all_rows'), ($rows + 5) . '|0', 'and goes on where it was');

# Too many.
$node->safe_psql('postgres', "INSERT INTO streaming_internal.topic_partitions SELECT 's'::regclass, g, 'x', 0, true FROM generate_series($before, 9999) g");
$topic{more} = $kafka->create_topic('clicks-more', 1);
ok(wait_for($node, "SELECT last_error FROM streaming.stat_streams WHERE stream = 's'::regclass AND last_error IS NOT NULL LIMIT 1", qr/has too many partitions.*the limit is 10000/), 'too many partitions');

$node->stop;
done_testing();
