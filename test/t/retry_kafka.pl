# streaming.retry_rejected over Kafka: what a message is besides its payload, event time,
# partitions, a registry that learns a schema, and a view that reads the topic itself.

use strict;
use warnings;

use StreamingKafka;
use StreamingRegistry;
use StreamingTest;
use Test::More;

my $kafka = StreamingKafka->shared;
my $registry = StreamingRegistry->new;
my $node = new_node('main', 'streaming.retry_max = 500ms', 'streaming.batch_rows = 10');
my $topic = $kafka->create_topic('retry', 2);
my $avro = $kafka->create_topic('retry_avro', 1);

sub sql { return $node->safe_psql('postgres', $_[0]) }

sql(<<SQL);
CREATE SERVER broker FOREIGN DATA WRAPPER kafka
	OPTIONS (${\$kafka->options}, schema_registry '${\$registry->address}');
CREATE DOMAIN plus AS int CHECK (VALUE > 0);
CREATE FOREIGN TABLE s (k text OPTIONS (metadata 'key'), n plus, at timestamptz OPTIONS (watermark '10 seconds', time_format 'epoch_ms'),
		part int OPTIONS (metadata 'partition'), off bigint OPTIONS (metadata 'offset'), sent timestamptz OPTIONS (metadata 'timestamp'))
	SERVER broker OPTIONS (topic '$topic', format 'json');
CREATE FOREIGN TABLE headed (n plus, h jsonb OPTIONS (metadata 'headers')) SERVER broker OPTIONS (topic '$topic', format 'json');
CREATE FOREIGN TABLE visits (page text, ms int) SERVER broker OPTIONS (topic '$avro', format 'avro');
CREATE VIEW every WITH (streaming.continuous) AS SELECT k, n, part, off, sent FROM s;
CREATE VIEW slow WITH (streaming.trigger = 'manual') AS SELECT k, n, part, off, sent FROM s;
CREATE VIEW seen WITH (streaming.continuous) AS SELECT page, ms FROM visits;
SQL

# One in ten is bad; minutes 0, 1 and so on of the epoch, the bad ones in each.
sub records
{
	my ($from, $to) = @_;

	return [ map { [ "k$_", sprintf '{"n": %d, "at": %d}', $_ % 10 ? $_ : -$_, $_ * 3000 ] } $from .. $to ];
}

$kafka->produce($topic, 0, records(1, 50));
$kafka->produce($topic, 1, records(1, 50));
# Only now: a partition that has nothing yet does not hold the watermark back.
sql(<<'SQL');
CREATE VIEW windows WITH (streaming.output_mode = 'append') AS
	SELECT streaming.tumble(at, '1 minute') AS w, count(*) AS n, sum(n) AS s FROM s GROUP BY 1;
SQL
drain($node, $_) foreach qw(every windows);
is(sql('SELECT count(*), count(DISTINCT partition), bool_and(whole AND key IS NOT NULL AND sent_ms > 0) FROM streaming.rejected_rows'), '10|2|t',
	'rejected messages are kept with key and time');
is(sql('SELECT count(*) FROM every'), 90, 'the others are taken');

# Behind them the watermark closes what they belong to.
$kafka->produce($topic, $_, records(91, 95)) foreach 0 .. 1;
drain($node, $_) foreach qw(every windows);
is(sql(q(SELECT extract(epoch FROM lower(w))::int, n FROM windows ORDER BY 1)), "0|36\n60|36\n120|18", 'windows have closed without them');

sql('ALTER DOMAIN plus DROP CONSTRAINT plus_check');
is(sql(q(SELECT streaming.retry_rejected('s'))), 10, 'they are good now');
drain($node, $_) foreach qw(every slow windows);
my $all = 'SELECT k, n, part, off, sent FROM s';
same_as_batch($node, 'every', $all, 'a view that had passed them has each once, with key and time');
same_as_batch($node, 'slow', $all, 'one that had not, too');
is(sql(q(SELECT extract(epoch FROM lower(w))::int, n FROM windows ORDER BY 1)), "0|36\n60|36\n120|18", 'what has closed stays as it is');
is(sql(q(SELECT late_rows FROM streaming.stat_views WHERE view = 'windows'::regclass)), 10, 'for it they are late');

# A view that reads the topic itself, ten messages at a time, and is retried in the middle.
sql('ALTER DOMAIN plus ADD CONSTRAINT plus_check CHECK (VALUE > 0) NOT VALID');
$node->restart;
sql("CREATE VIEW behind WITH (streaming.trigger = '500 ms', streaming.max_rows_per_trigger = 10) AS $all");
ok(wait_for($node, q(SELECT batches >= 2 FROM streaming.stat_views WHERE view = 'behind'::regclass)), 'it begins');
ok(wait_for($node, q(SELECT phase, rows_done BETWEEN 1 AND 200, rows_total, bytes_total, expected_end > now() FROM streaming.stat_progress WHERE view = 'behind'::regclass),
	qr/^catch-up\|t\|(?:1\d\d|200)\|\|t$/), 'and says how far it is');
sql('ALTER DOMAIN plus DROP CONSTRAINT plus_check');
my $again = sql(q(SELECT streaming.retry_rejected('s')));
cmp_ok($again, '>', 0, 'some of what it has read itself was bad');
cmp_ok(sql(q(SELECT max(rejected_rows) FROM streaming.stat_streams WHERE stream = 's'::regclass)), '>=', $again, 'and is counted');
drain($node, 'behind');
same_as_batch($node, 'behind', $all, "has each once ($again were retried)");
drain($node, 'every');
same_as_batch($node, 'every', $all, 'and nobody has got any twice');
ok(wait_for($node, 'SELECT count(*) FROM streaming.stat_progress', '0'), 'nobody has anything left to do');

my ($ret, $out, $err) = $node->psql('postgres', q(SELECT streaming.retry_rejected('headed')));
like($err, qr/cannot be retried.*Column "h" shows/s, 'headers are not kept');

# A registry that learns a schema.
my $first = $registry->add('{"type": "record", "name": "Visit", "fields": [{"name": "page", "type": "string"}]}');
my $next = $first + 1;
my $message = sub { pack('CN', 0, $_[0]) . chr(2 * length $_[1]) . $_[1] };
$kafka->produce_bytes($avro, 0, [ $message->($first, '/'), $message->($next, '/new') ]);
drain($node, 'seen');
is(sql(q(SELECT page FROM seen)), '/', 'a message with a number that the registry does not know');
like(sql(q(SELECT error FROM streaming.rejected_rows WHERE stream = 'visits'::regclass)), qr/has no schema/, 'is rejected');
is($registry->add('{"type": "record", "name": "Seen", "fields": [{"name": "page", "type": "string"}]}'), $next, 'the number comes to be known');
is(sql(q(SELECT streaming.retry_rejected('visits'))), 1, 'then it is good');
drain($node, 'seen');
is(sql(q(SELECT page FROM seen ORDER BY 1)), "/\n/new", 'and is taken');

$node->stop;
done_testing();
