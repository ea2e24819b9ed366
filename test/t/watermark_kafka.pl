# The watermark over the partitions of a topic: the slowest one counts, idle and
# empty ones do not, and no kill lets it go back or writes a window twice.

use strict;
use warnings;

use StreamingKafka;
use StreamingLoad;
use StreamingTest;
use Test::More;
use Time::HiRes qw(sleep);

random_seed();

my $kafka = StreamingKafka->shared;
my $node = new_node('main', 'streaming.idle_partition_timeout = 0', 'timezone = UTC',
	'streaming.retry_max = 1s');

sub row
{
	my ($key, $time) = @_;
	return qq({"k": "$key", "at": "2026-01-01 $time+00"});
}

sub watermark
{
	my ($view) = @_;
	return $node->safe_psql('postgres', "SELECT to_char(streaming.watermark('$view'), 'HH24:MI:SS')");
}

sub shown
{
	my ($view) = @_;
	return $node->safe_psql('postgres', "SELECT to_char(minute, 'HH24:MI') || '=' || n FROM $view ORDER BY minute");
}

sub set_timeout
{
	my ($timeout) = @_;
	$node->safe_psql('postgres', "ALTER SYSTEM SET streaming.idle_partition_timeout = '$timeout'");
	$node->reload;
	return;
}

# Partition 2 has no message yet.
my $topic = $kafka->create_topic('event_time', 3);
my $per_minute = q(SELECT date_trunc('minute', at) AS minute, count(*) AS n FROM s GROUP BY 1);
$kafka->produce($topic, 0, [ map { row('a', "00:0$_:00") } 0 .. 9 ]);
$kafka->produce($topic, 1, [ map { row('b', "00:0$_:30") } 0 .. 4 ]);
$node->safe_psql('postgres', <<SQL);
CREATE SERVER broker FOREIGN DATA WRAPPER kafka OPTIONS (${\$kafka->options});
CREATE FOREIGN TABLE s (k text, at timestamptz OPTIONS (watermark '0')) SERVER broker OPTIONS (topic '$topic');
CREATE VIEW v WITH (streaming.output_mode = 'append') AS $per_minute;
CREATE VIEW drained WITH (streaming.output_mode = 'append', streaming.trigger = 'manual') AS $per_minute;
SQL
foreach my $view ('v', 'drained')
{
	drain($node, $view);
	is(watermark($view), '00:04:30', "$view: the slower partition counts, the empty one does not");
	is(shown($view), "00:00=2\n00:01=2\n00:02=2\n00:03=2", 'and what it closes is shown by a drain');
}
is($node->safe_psql('postgres', q(SELECT partition, to_char(event_time, 'MI:SS') FROM streaming.checkpoints
	WHERE view = 'v'::regclass AND event_time IS NOT NULL ORDER BY 1)), "0|09:00\n1|04:30", 'the checkpoint has each partition');

# The clock alone lets partition 1 go, and then partition 0.
set_timeout('200ms');
ok(wait_for($node, q(SELECT to_char(streaming.watermark('v'), 'HH24:MI:SS')), '00:09:00'),
	'an idle partition is left out without any row');
is(shown('v'), "00:00=2\n00:01=2\n00:02=2\n00:03=2\n00:04=2\n00:05=1\n00:06=1\n00:07=1\n00:08=1", 'and its windows are shown');
ok(wait_until(sub { drain($node, 'drained'); watermark('drained') eq '00:09:00' }), 'a drain looks at the clock');

# What comes now is late, or holds the watermark where it is.
set_timeout('1h');
$kafka->produce($topic, 1, [ row('late', '00:05:00'), row('ok', '00:09:10') ]);
$kafka->produce($topic, 2, [ row('late', '00:08:59.9') ]);
foreach my $view ('v', 'drained')
{
	drain($node, $view);
	is($node->safe_psql('postgres', "SELECT late_rows FROM streaming.stat_views WHERE view = '$view'::regclass"),
		2, "$view: late rows are counted");
	is(watermark($view), '00:09:00', 'the watermark does not go back');
}

# While the broker is out of reach, nobody is idle.
SKIP: {
	skip(StreamingKafka->unavailable, 5) if defined StreamingKafka->unavailable;
	my $own = StreamingKafka->new;
	my $outage = $own->create_topic('outage', 2);
	$own->produce($outage, 0, [ row('a', '00:01:00'), row('a', '00:09:00') ]);
	$own->produce($outage, 1, [ row('b', '00:02:00') ]);
	$node->safe_psql('postgres', <<SQL);
CREATE SERVER other FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers '${\$own->address}');
CREATE FOREIGN TABLE o (k text, at timestamptz OPTIONS (watermark '0')) SERVER other OPTIONS (topic '$outage');
CREATE VIEW outage WITH (streaming.output_mode = 'append') AS SELECT at, count(*) AS n FROM o GROUP BY 1;
SQL
	drain($node, 'outage');
	is(watermark('outage'), '00:02:00', 'the slower partition counts');
	$own->kill9;
	ok(wait_for($node, q(SELECT last_error <> '' FROM streaming.stat_streams WHERE stream = 'o'::regclass LIMIT 1)), 'the broker is gone');
	set_timeout('1ms');
	ok(wait_for($node, q(SELECT to_char(streaming.watermark('v'), 'HH24:MI:SS')), '00:09:10'), 'partitions of another broker are idle at once');
	is(watermark('outage'), '00:02:00', 'those of the lost one are not');
	set_timeout('1h');
	$own->start;
	$own->produce($outage, 1, [ row('b', '00:03:00') ]);
	drain($node, 'outage');
	is(watermark('outage'), '00:03:00', 'and go on where they were');
	$own->stop;
	$node->safe_psql('postgres', 'DROP SERVER other CASCADE');
}

# A restart forgets nothing: rows that are not taken hold it back whatever the
# clock says.
set_timeout('200ms');
$node->stop('fast');
$kafka->produce($topic, $_, [ row('next', "00:2$_:00") ]) foreach 0 .. 1;
$kafka->produce($topic, 2, [ row('next', '00:12:00') ]);
$node->start;
ok(wait_for($node, q(SELECT to_char(streaming.watermark('v'), 'HH24:MI:SS')), '00:21:00'), 'all are idle in the end');
is($node->safe_psql('postgres', "SELECT late_rows FROM streaming.stat_views WHERE view = 'v'::regclass"),
	2, 'nothing was late meanwhile');
is($node->safe_psql('postgres', q(SELECT sum(n) FROM v)), 10 + 5 + 1 + 2, 'all windows but the last are there');
same_as_batch($node, 'v', q(SELECT date_trunc('minute', at), count(*) FROM s WHERE k <> 'late' AND at < '2026-01-01 00:21:00+00' GROUP BY 1),
	'as the batch answer has them');

# Kills. The event time is the broker's, so each partition is in order.
set_timeout('0');
$topic = $kafka->create_topic('event_time_kills', 4);
$node->safe_psql('postgres', <<SQL);
CREATE FOREIGN TABLE m (k int, v int, at timestamptz OPTIONS (metadata 'timestamp', watermark '1 second'))
	SERVER broker OPTIONS (topic '$topic');
CREATE TABLE sink (w tstzrange, k int, n bigint, total bigint);
CREATE VIEW own WITH (streaming.output_mode = 'append') AS
	SELECT streaming.tumble(at, '100 ms') AS w, k, count(*) AS n, sum(v) AS total FROM m GROUP BY 1, 2;
CREATE VIEW to_sink WITH (streaming.output_mode = 'append', streaming.sink = 'sink') AS
	SELECT streaming.tumble(at, '100 ms') AS w, k, count(*) AS n, sum(v) AS total FROM m GROUP BY 1, 2;
CREATE VIEW medians WITH (streaming.output_mode = 'append') AS
	SELECT date_bin('300 ms', at, 'epoch') AS w, percentile_disc(0.5) WITHIN GROUP (ORDER BY v) AS median FROM m GROUP BY 1;
SQL
my $load = StreamingLoad->messages($kafka, $topic, 4);
my %last = map { $_ => '' } qw(own to_sink medians);
my $went_back = 0;
sub look
{
	foreach my $view (keys %last)
	{
		my $now = $node->safe_psql('postgres', "SELECT coalesce(streaming.watermark('$view')::text, '')");
		$went_back++ if $now lt $last{$view};
		$last{$view} = $now;
	}
	return;
}
foreach my $round (1 .. rounds(3))
{
	foreach my $victim ('postmaster', 'streaming ingest', 'streaming query')
	{
		$load->wait_for_more(2);
		look();
		sleep rand 0.3;
		kill9($node, $victim);
		look();
	}
}
$load->wait_for_more(4);
$load->stop;
is($went_back, 0, 'the watermark never went back');
foreach my $view (keys %last)
{
	drain($node, $view);
	isnt(watermark($view), '', "$view has a watermark");
}
my $closed = q(SELECT streaming.tumble(at, '100 ms') AS w, k, count(*) AS n, sum(v) AS total FROM m GROUP BY 1, 2);
same_as_batch($node, 'own', "SELECT * FROM ($closed) b WHERE upper(w) <= streaming.watermark('own')", 'each window once in the own table');
same_as_batch($node, 'sink', "SELECT * FROM ($closed) b WHERE upper(w) <= streaming.watermark('to_sink')", 'and in a sink');
same_as_batch($node, 'medians', q(SELECT * FROM (SELECT date_bin('300 ms', at, 'epoch') AS w, percentile_disc(0.5) WITHIN GROUP (ORDER BY v) FROM m GROUP BY 1) b
	WHERE w + interval '300 ms' <= streaming.watermark('medians')), 'and where rows are kept');
is($node->safe_psql('postgres', q(SELECT sum(late_rows) FROM streaming.stat_views WHERE view IN ('own'::regclass, 'to_sink'::regclass, 'medians'::regclass))), 0,
	'no row in order is late');
cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM own'), '>', 10, 'there were windows to write');

$node->stop;
done_testing();
