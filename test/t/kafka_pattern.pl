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
produce($elsewhere, 0, 3);

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

$node->stop;
done_testing();
