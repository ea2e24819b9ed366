# Option on_lost_offset: messages that retention has taken before a view could are passed
# over, and noted.

use strict;
use warnings;

use StreamingKafka;
use StreamingTest;
use Test::More;

my $kafka = StreamingKafka->shared;
my $node = new_node('main', 'streaming.retry_max = 200ms');
my $topic = $kafka->create_topic('skipped', 2);
my $next = 0;

# Values tell their offsets.
sub produce
{
	my ($n) = @_;

	$kafka->produce($topic, 0, [ map { qq({"n": $_}) } $next .. $next + $n - 1 ]);
	$next += $n;
	return;
}

sub sql { return $node->safe_psql('postgres', $_[0]) }

sql(<<SQL);
CREATE SERVER broker FOREIGN DATA WRAPPER kafka OPTIONS (${\$kafka->options});
CREATE FOREIGN TABLE events (n int) SERVER broker OPTIONS (topic '$topic', on_lost_offset 'skip');
CREATE VIEW late WITH (streaming.continuous) AS SELECT n FROM events;
CREATE VIEW awake WITH (streaming.continuous) AS SELECT n FROM events;
SQL
produce(10);
$kafka->produce($topic, 1, ['{"n": 1000}']);
drain($node, $_) foreach qw(late awake);

# One is away while they go.
sql('ALTER VIEW late SET (streaming.enabled = off)');
produce(10);
drain($node, 'awake');
$kafka->trim($topic, 0, 15);
$node->restart;
sql('ALTER VIEW late SET (streaming.enabled = on)');
produce(5);
drain($node, $_) foreach qw(late awake);
is(sql(q(SELECT string_agg(n::text, ' ' ORDER BY n) FROM late)), join(' ', 0 .. 9, 15 .. 24, 1000), 'a view goes on behind the gap');
is(sql('SELECT count(*) FROM awake'), 26, 'who has had them keeps them');
my $gaps = q(SELECT partition, position, error FROM streaming.rejected_rows WHERE stream = 'events'::regclass ORDER BY position);
is(sql($gaps), '0|10|messages from offset 10 to 14 are not in the topic any more, and are skipped', 'what is missing is noted');
like(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/LOG:  partition 0 of topic "$topic" of stream public\.events: messages from offset 10 to 14/, 'and in the log');

# All are away: nothing of them is read from a buffer.
sql("ALTER VIEW $_ SET (streaming.enabled = off)") foreach qw(late awake);
produce(10);
$kafka->trim($topic, 0, 30);
$node->restart;
sql("ALTER VIEW $_ SET (streaming.enabled = on)") foreach qw(late awake);
drain($node, $_) foreach qw(late awake);
is(sql(q(SELECT count(*), max(n) FILTER (WHERE n < 1000) FROM late)), '26|34', 'both go on');
is(sql('SELECT count(*) FROM awake'), 31, 'from where they were');
is(sql($gaps), "0|10|messages from offset 10 to 14 are not in the topic any more, and are skipped\n0|25|messages from offset 25 to 29 are not in the topic any more, and are skipped", 'a gap is noted once');
ok(wait_for($node, q(SELECT count(*) FROM streaming.views WHERE status <> 'running'), '0'), 'out of trouble');

# Without it they stop.
sql(q(ALTER FOREIGN TABLE events OPTIONS (SET on_lost_offset 'stop')));
sql('ALTER VIEW late SET (streaming.enabled = off)');
produce(5);
drain($node, 'awake');
$kafka->trim($topic, 0, 38);
$node->restart;
sql('ALTER VIEW late SET (streaming.enabled = on)');
ok(wait_for($node, q(SELECT last_error FROM streaming.views WHERE view = 'late'::regclass), qr/offset 35 of partition 0 .* is not there any more.*on_lost_offset/s), 'option "stop"');
sql(q(ALTER FOREIGN TABLE events OPTIONS (SET on_lost_offset 'skip')));
ok(wait_for($node, 'SELECT count(*) FROM late', 28), 'and goes on when it may');

# Another topic of the name is no gap.
sql('ALTER VIEW late SET (streaming.enabled = off)');
drain($node, 'awake');
$kafka->delete_topic($topic);
wait_until(sub { eval { $kafka->create_topic('skipped', 2); 1 } }) or die 'the topic cannot be made anew';
$kafka->produce($topic, 0, [ map { qq({"n": $_}) } 1 .. 60 ]);
$kafka->trim($topic, 0, 50);
$node->restart;
sql('ALTER VIEW late SET (streaming.enabled = on)');
ok(wait_for($node, q(SELECT count(*) FROM streaming.views WHERE last_error LIKE '%topic%'), 2), 'a topic made anew stops them all the same');
is(sql('SELECT count(*) FROM late'), 28, 'and nothing of it is taken');

$node->stop;
done_testing();
