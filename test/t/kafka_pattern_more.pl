# What else there is to a stream over all topics that match a regular expression: messages
# that are lost, ALTER, watermarks, brokers that change, dumps, limits, and what it is not for.

use strict;
use warnings;

use StreamingKafka;
use StreamingTest;
use Test::More;

my $kafka = StreamingKafka->shared;
my $node = new_node('main', 'streaming.retry_max = 300ms');
my %topic = map { $_ => $kafka->create_topic("shop-$_", $_ eq 'a' ? 2 : 1) } qw(a b);
my ($suffix) = $topic{a} =~ /_(\w+)$/;
my $hidden = $kafka->create_topic('__shop-a', 1);
my $number = 0;

# n messages into a partition, all different.
sub produce
{
	my ($topic, $partition, $n) = @_;

	$kafka->produce($topic, $partition, [ map { sprintf '{"v": %d}', $number++ } 1 .. $n ]);
	return;
}

sub error_of { my (undef, undef, $error) = $node->psql('postgres', $_[0]); return $error }

produce($topic{a}, $_, 10) foreach 0, 1;
produce($topic{b}, 0, 5);
produce($hidden, 0, 3);

my $columns = "v int, topic text OPTIONS (metadata 'topic'), part int OPTIONS (metadata 'partition'), off bigint OPTIONS (metadata 'offset')";
$node->safe_psql('postgres', <<SQL);
CREATE SERVER broker FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers '${\$kafka->address}', topic_metadata_refresh_interval_ms '300');
CREATE FOREIGN TABLE s ($columns) SERVER broker OPTIONS (topic '^shop-[a-z0-9]+_$suffix', on_lost_offset 'skip');
CREATE FOREIGN TABLE one ($columns) SERVER broker OPTIONS (topic '$topic{a}');
CREATE VIEW all_rows WITH (streaming.continuous) AS SELECT topic, part, off, v FROM s;
SQL
drain($node, 'all_rows');

# Where topics are rarely looked for, a drain has them looked for.
$node->safe_psql('postgres', <<SQL);
CREATE SERVER rare FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers '${\$kafka->address}', topic_metadata_refresh_interval_ms '600000');
CREATE FOREIGN TABLE rarely ($columns) SERVER rare OPTIONS (topic '^shop-[a-z0-9]+_$suffix');
CREATE VIEW asked WITH (streaming.continuous) AS SELECT topic, part, off, v FROM rarely;
SQL
drain($node, 'asked');
foreach my $name (qw(c d))
{
	$topic{$name} = $kafka->create_topic("shop-$name", 1);
	produce($topic{$name}, 0, 5);
	drain($node, 'asked');
	is($node->safe_psql('postgres', "SELECT count(*) FROM asked WHERE topic = '$topic{$name}'"), 5, "drain has the messages of a new topic, $name");
}
same_as_batch($node, 'asked', 'SELECT topic, part, off, v FROM rarely', 'and all others');
$node->safe_psql('postgres', 'DROP VIEW asked');
drain($node, 'all_rows');

# Messages that are lost.
$node->safe_psql('postgres', 'ALTER VIEW all_rows SET (streaming.enabled = off)');
produce($topic{a}, 0, 10);
my ($end) = map { $_->[1] + 1 } (grep { $_->[0] == 0 } $kafka->consume($topic{a}))[-1];
$kafka->trim($topic{a}, 0, $end - 4);
$node->safe_psql('postgres', 'ALTER VIEW all_rows SET (streaming.enabled = on)');
drain($node, 'all_rows');
is($node->safe_psql('postgres', "SELECT max(off) - count(*) FROM all_rows WHERE topic = '$topic{a}' AND part = 0"), 5, 'skip goes on behind messages that are lost');
like($node->safe_psql('postgres', "SELECT path, error FROM streaming.rejected_rows WHERE payload IS NULL"), qr/^$topic{a}:0\|.*are not in the topic any more/, 'and says where');

# A bad record of one topic stops the stream, and is where it was once it may be rejected.
$topic{"strict$_"} = $kafka->create_topic("strict-$_", 1) foreach qw(a b);
$node->safe_psql('postgres', <<SQL);
CREATE FOREIGN TABLE strict ($columns) SERVER broker OPTIONS (topic '^strict-.*_$suffix', on_error 'stop');
CREATE VIEW strictly WITH (streaming.continuous) AS SELECT topic, part, off, v FROM strict;
SQL
$kafka->produce($topic{stricta}, 0, [ map { qq({"v": $_}) } 1 .. 3 ]);
$kafka->produce($topic{strictb}, 0, [ '{"v": 4}', '{"v": "bad"}', '{"v": 5}' ]);
ok(wait_for($node, q(SELECT last_error FROM streaming.stat_streams WHERE stream = 'strict'::regclass AND last_error IS NOT NULL LIMIT 1), qr/invalid input syntax for type integer: "bad"/), 'a bad record stops all topics');
is($node->safe_psql('postgres', q(SELECT count(*) FROM strictly WHERE v > 4)), 0, 'before what is behind it');
$node->safe_psql('postgres', q(ALTER FOREIGN TABLE strict OPTIONS (SET on_error 'reject')));
drain($node, 'strictly');
is($node->safe_psql('postgres', q(SELECT string_agg(v::text, ' ' ORDER BY v) FROM strictly)), '1 2 3 4 5', 'rejected it is passed over');
is($node->safe_psql('postgres', q(SELECT path, position FROM streaming.rejected_rows WHERE stream = 'strict'::regclass)), "$topic{strictb}:0|1", 'once');
$node->safe_psql('postgres', 'DROP VIEW strictly');

# Not for writing, nor for import.
like(error_of("INSERT INTO s (v) VALUES (1)"), qr/ERROR:  cannot write to stream .*s, whose topics are named by a regular expression/, 'INSERT');
like(error_of("CREATE VIEW sunk WITH (streaming.sink = 's', streaming.output_mode = 'append') AS SELECT v FROM one"), qr/ERROR:  cannot write to stream .*s, whose topics are named by a regular expression/, 'sink');
like(error_of('IMPORT FOREIGN SCHEMA topics LIMIT TO ("^shop") FROM SERVER broker INTO public'), qr/ERROR:  topics cannot be imported by a regular expression/, 'IMPORT');
like(error_of("SET streaming.reachable_timeout = '10s'; CREATE FOREIGN TABLE none (v int) SERVER broker OPTIONS (topic '^no_such_$suffix')"), qr/WARNING:  no topic on the brokers of server "broker" matches "\^no_such_$suffix"/, 'nothing that matches');
is($node->safe_psql('postgres', 'SELECT count(*) FROM none'), 0, 'is nothing');
$node->safe_psql('postgres', "CREATE FOREIGN TABLE internal (v int, topic text OPTIONS (metadata 'topic')) SERVER broker OPTIONS (topic '^__shop-a_$suffix')");
is($node->safe_psql('postgres', 'SELECT DISTINCT topic FROM internal'), $hidden, 'Kafka\'s own topics by their prefix');

# A single topic is another source than many.
my $single = $kafka->create_topic('single', 1);
produce($single, 0, 4);
$node->safe_psql('postgres', "ALTER FOREIGN TABLE s OPTIONS (SET topic '$single')");
like(error_of("SELECT streaming.drain('all_rows', '$deadline s')"), qr/is not the one that the view has read/, 'ALTER to one topic');
$node->safe_psql('postgres', "ALTER FOREIGN TABLE s OPTIONS (SET topic '^shop-[a-z0-9]+_$suffix')");
ok(wait_until(sub { eval { drain($node, 'all_rows'); 1 } }), 'and back');
produce($topic{b}, 0, 1);
drain($node, 'all_rows');
is($node->safe_psql('postgres', "SELECT count(*) - count(DISTINCT (topic, part, off)) FROM all_rows"), 0, 'without a message twice');

# Another pattern: what does not match waits where it is.
$node->safe_psql('postgres', "ALTER FOREIGN TABLE s OPTIONS (SET topic '^shop-[ac-z0-9]\\w*_$suffix')");
my $had = $node->safe_psql('postgres', 'SELECT count(*) FROM all_rows');
produce($topic{$_}, 0, 4) foreach qw(a b);
drain($node, 'all_rows');
is($node->safe_psql('postgres', "SELECT count(*) - $had, count(*) FILTER (WHERE topic = '$topic{b}' AND off >= (SELECT c.position::bigint FROM streaming.checkpoints c JOIN streaming_internal.topic_partitions p USING (stream) WHERE c.view = 'all_rows'::regclass AND c.partition = p.number::text AND p.topic = '$topic{b}' AND p.partition = 0)) FROM all_rows"), '4|0', 'ALTER to fewer topics');
$node->safe_psql('postgres', "ALTER FOREIGN TABLE s OPTIONS (SET topic '^shop-[a-z0-9]+_$suffix')");
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
SKIP:
{
	skip(StreamingKafka->unavailable, 4) if defined StreamingKafka->unavailable;
	my $there = $node->safe_psql('postgres', "$numbers AND NOT gone");
	my $empty = StreamingKafka->new;
	$node->safe_psql('postgres', "ALTER SERVER broker OPTIONS (SET bootstrap_servers '${\$empty->address}')");
	ok(wait_for($node, "$numbers AND NOT gone", 0), 'other brokers have none of the topics');
	$node->safe_psql('postgres', "ALTER SERVER broker OPTIONS (SET bootstrap_servers '${\$kafka->address}')");
	produce($topic{b}, 0, 2);
	ok(wait_for($node, 'SELECT count(*) FROM all_rows', $rows + 2), 'with the first ones the view goes on');
	drain($node, 'all_rows');
	$rows += 2;
	is($node->safe_psql('postgres', 'SELECT count(*) FROM all_rows'), $rows, 'where it was');
	is($node->safe_psql('postgres', "$numbers AND NOT gone") . ' of ' . $node->safe_psql('postgres', $numbers), "$there of $before", 'with the same numbers');
}

# A dump has numbers and checkpoints.
my $dump = "$ENV{STREAMING_WORK}/pattern.sql";
$node->command_ok([ 'pg_dump', '-f', $dump, '-d', $node->connstr('postgres') ], 'dump');
$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d', $node->connstr('other') ], 'restore');
produce($topic{b}, 0, 3);
ok(wait_until(sub { eval { $node->safe_psql('other', "SELECT streaming.drain('all_rows', '$deadline s')"); 1 } }), 'a restored view runs');
is($node->safe_psql('other', 'SELECT count(*), count(*) - count(DISTINCT (topic, part, off)) FROM all_rows'), ($rows + 3) . '|0', 'and goes on where it was');

# Too many.
$node->safe_psql('postgres', "INSERT INTO streaming_internal.topic_partitions SELECT 's'::regclass, g, 'x', 0, true FROM generate_series($before, 9999) g");
$topic{more} = $kafka->create_topic('shop-more', 1);
ok(wait_for($node, "SELECT last_error FROM streaming.stat_streams WHERE stream = 's'::regclass AND last_error IS NOT NULL LIMIT 1", qr/has too many partitions.*the limit is 10000/), 'too many partitions');

$node->stop;
done_testing();
