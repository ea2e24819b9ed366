# Messages that are no records: rejected, made NULL, or a reason to stop.

use strict;
use warnings;

use StreamingKafka;
use StreamingTest;
use Test::More;

my $kafka = StreamingKafka->shared;
my $node = new_node('main', 'streaming.retry_max = 500ms');
my $topic = $kafka->create_topic('malformed', 2);

$node->safe_psql('postgres', <<SQL);
CREATE SERVER broker FOREIGN DATA WRAPPER kafka OPTIONS (${\$kafka->options});
CREATE FOREIGN TABLE r (k text, n int, off bigint OPTIONS (metadata 'offset'))
	SERVER broker OPTIONS (topic '$topic');
CREATE FOREIGN TABLE z (k text, n int, off bigint OPTIONS (metadata 'offset'))
	SERVER broker OPTIONS (topic '$topic', on_error 'null');
CREATE FOREIGN TABLE s (k text, n int, off bigint OPTIONS (metadata 'offset'))
	SERVER broker OPTIONS (topic '$topic', on_error 'stop');
CREATE VIEW rejecting WITH (streaming.continuous) AS SELECT k, n, off FROM r;
CREATE VIEW rejecting_too WITH (streaming.continuous) AS SELECT count(n) AS n FROM r;
CREATE VIEW nulling WITH (streaming.continuous) AS SELECT k, n, off FROM z;
CREATE VIEW stopping WITH (streaming.continuous) AS SELECT k, n, off FROM s;
SQL

$kafka->produce($topic, 0, [ '{"k": "good", "n": 1}', '{"k": "good", "n": 2}' ]);
drain($node, $_) foreach qw(rejecting nulling stopping);
is($node->safe_psql('postgres', 'SELECT count(*) FROM stopping'), 2, 'good messages are taken');

$kafka->produce($topic, 0, [
	'{"k": "number", "n": "many"}', 'no JSON', '{"k": "open', '[1, 2]', "{\"k\": \"\xff\xfe\", \"n\": 1}",
	'{"k": "large", "n": 99999999999}', '{"k": "last", "n": 3}' ]);
drain($node, $_) foreach qw(rejecting rejecting_too nulling);

is($node->safe_psql('postgres', 'SELECT * FROM rejecting ORDER BY off'),
	"good|1|0\ngood|2|1\nlast|3|8", 'malformed messages are left out');
is($node->safe_psql('postgres', 'SELECT n FROM rejecting_too'), 3, 'for every view');
same_as_batch($node, 'rejecting', 'SELECT k, n, off FROM r', 'a batch read leaves out the same');
is($node->safe_psql('postgres', <<'SQL'), join("\n", map { "0|$_|t|t" } 2 .. 7), 'each is kept once, with its place and the reason');
SELECT partition, position, error <> '', rejected_at > now() - interval '1 hour' FROM streaming.rejected_rows
WHERE stream = 'r'::regclass ORDER BY position
SQL
is($node->safe_psql('postgres', <<'SQL'), 'no JSON', 'and its payload');
SELECT convert_from(payload, 'UTF8') FROM streaming.rejected_rows WHERE stream = 'r'::regclass AND position = '3'
SQL
like($node->safe_psql('postgres', <<'SQL'), qr/\bn\b.*many|many.*\bn\b/s, 'the reason names column and value');
SELECT error FROM streaming.rejected_rows WHERE stream = 'r'::regclass AND position = '2'
SQL
ok(wait_for($node, <<'SQL', '6'), 'stat_streams counts them');
SELECT max(rejected_rows) FROM streaming.stat_streams WHERE stream = 'r'::regclass
SQL

is($node->safe_psql('postgres', 'SELECT k, n IS NULL FROM nulling WHERE off IN (2, 7, 8) ORDER BY off'),
	"number|t\nlarge|t\nlast|f", 'on_error null: the bad field is NULL');
is($node->safe_psql('postgres', q(SELECT count(*) FROM streaming.rejected_rows WHERE stream = 'z'::regclass AND position IN ('3', '4'))),
	2, 'what is no record at all is rejected');

ok(wait_for($node, q(SELECT status, last_error <> '' FROM streaming.views WHERE view = 'stopping'::regclass), qr/^(failed|retrying)\|t$/),
	'on_error stop: the view stops and tells why');
is($node->safe_psql('postgres', 'SELECT count(*) FROM stopping'), 2, 'what it shows stays');
my ($ret, $out, $err) = $node->psql('postgres', q(SELECT streaming.drain('stopping', '20 s')));
isnt($ret, 0, 'drain of a stopped view fails');
unlike($err, qr/in time/, 'not by its timeout');
$kafka->produce($topic, 1, [ '{"k": "more", "n": 4}' ]);
drain($node, 'rejecting');
is($node->safe_psql('postgres', 'SELECT count(*) FROM rejecting'), 4, 'and the other streams of the topic go on');

# The way out: say what to do with such messages.
$node->safe_psql('postgres', q(ALTER FOREIGN TABLE s OPTIONS (SET on_error 'reject')));
ok(wait_for($node, 'SELECT count(*) FROM stopping', '4'), 'ALTER FOREIGN TABLE lets it go on');
ok(wait_for($node, q(SELECT status, coalesce(last_error, '') FROM streaming.views WHERE view = 'stopping'::regclass), 'running|'),
	'and the error is gone');

$node->stop;
done_testing();
