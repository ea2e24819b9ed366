
# Avro messages whose schemas are in a registry: each has the number of the one that it
# was written with, which may differ from the others and from what the stream wants.

use strict;
use warnings;

use StreamingKafka;
use StreamingRegistry;
use StreamingTest;
use Test::More;

my $kafka = StreamingKafka->shared;
my $registry = StreamingRegistry->new(user => 'app', password => 'a "secret":');
my $node = new_node('main', 'streaming.retry_max = 500ms');

sub long
{
	my ($n) = @_;
	my $bits = $n < 0 ? ((-$n) << 1) - 1 : $n << 1;
	my $bytes = '';

	for (; $bits >= 0x80; $bits >>= 7) { $bytes .= chr(($bits & 0x7f) | 0x80); }
	return $bytes . chr $bits;
}

sub bytes   { return long(length $_[0]) . $_[0]; }
sub message { return pack('CN', 0, $_[0]) . $_[1]; }

my $first = $registry->add('{"type": "record", "name": "Visit", "fields": [{"name": "page", "type": "string"}, {"name": "ms", "type": "int"}]}');
my $second = $registry->add('{"type": "record", "name": "Visit", "fields": [{"name": "ms", "type": "long"},'
	. ' {"name": "user", "type": ["null", "string"]}, {"name": "page", "type": {"type": "enum", "name": "Page", "symbols": ["HOME", "PAY"]}}]}');
my $third = $registry->add('{"type": "record", "name": "Visit", "fields": [{"name": "url", "type": "string"}]}');
my $protobuf = $registry->add('syntax = "proto3";', schemaType => 'PROTOBUF');
my $broken = $registry->add('{"type": "record"}');
my $topic = $kafka->create_topic('registry', 1);

$node->safe_psql('postgres', <<SQL);
CREATE SERVER broker FOREIGN DATA WRAPPER kafka
	OPTIONS (bootstrap_servers '${\$kafka->address}', schema_registry '${\$registry->address}/');
CREATE USER MAPPING FOR CURRENT_USER SERVER broker
	OPTIONS (schema_registry_username 'app', schema_registry_password 'a "secret":');
CREATE FOREIGN TABLE visits (page text, ms int, "user" text, off bigint OPTIONS (metadata 'offset'), schema int OPTIONS (metadata 'schema_id'))
	SERVER broker OPTIONS (topic '$topic', format 'avro');
CREATE FOREIGN TABLE wanted (page text, ms bigint, "user" text, weight float8, tags text[], off bigint OPTIONS (metadata 'offset'))
	SERVER broker OPTIONS (topic '$topic', format 'avro', avro_schema '{"type": "record", "name": "Seen", "aliases": ["Visit"], "fields": [
		{"name": "page", "type": "string", "aliases": ["url"]}, {"name": "ms", "type": "long", "default": -1},
		{"name": "user", "type": ["null", "string"], "default": null},
		{"name": "weight", "type": "double", "default": 0.5},
		{"name": "tags", "type": {"type": "array", "items": "string"}, "default": ["none", "caf\\u00e9"]}]}');
CREATE VIEW seen WITH (streaming.continuous) AS SELECT * FROM visits;
CREATE VIEW pages WITH (streaming.continuous) AS SELECT page, count(*), sum(ms) AS ms FROM visits GROUP BY page;
CREATE VIEW resolved WITH (streaming.continuous) AS SELECT * FROM wanted;
SQL

# --- several schemas in one topic ---------------------------------------------

$kafka->produce_bytes($topic, 0, [
	message($first, bytes('/') . long(12)),
	message($second, long(31) . long(1) . bytes('ann') . long(1)),
	message($third, bytes('/old')),
	message($first, bytes('/pay') . long(95)) ]);
drain($node, $_) foreach qw(seen pages resolved);
is($node->safe_psql('postgres', 'SELECT * FROM seen ORDER BY off'),
	"/|12||0|$first\nPAY|31|ann|1|$second\n|||2|$third\n/pay|95||3|$first", 'columns take what each schema has');
is($node->safe_psql('postgres', 'SELECT * FROM resolved ORDER BY off'),
	"/|12||0.5|{none,café}|0\n/old|-1||0.5|{none,café}|2\n/pay|95||0.5|{none,café}|3",
	'avro_schema says what the reader wants: aliases, defaults');
is($node->safe_psql('postgres', q(SELECT position, error FROM streaming.rejected_rows WHERE stream = 'wanted'::regclass)),
	'1|invalid Avro record (type Page cannot be read as the reader\'s string, at byte 12.)', 'what cannot be resolved is rejected');
same_as_batch($node, 'seen', 'SELECT * FROM visits');
same_as_batch($node, 'pages', 'SELECT page, count(*), sum(ms) AS ms FROM visits GROUP BY page');

# --- asked once ------------------------------------------------------------

is($node->safe_psql('postgres', 'SELECT schema_id, subject, count(*) >= 1 FROM streaming.registry_schemas GROUP BY 1, 2 ORDER BY 1'),
	"$first||t\n$second||t\n$third||t", 'schemas are kept');
my $asked = () = $registry->requests;
$node->restart;
$kafka->produce_bytes($topic, 0, [ message($second, long(1) . long(0) . long(0)) ]);
drain($node, $_) foreach qw(seen pages);
is($node->safe_psql('postgres', 'SELECT page, ms FROM seen WHERE off = 4'), 'HOME|1', 'goes on after a restart');
is(scalar(() = $registry->requests), $asked, 'without asking again');

# --- messages that are none --------------------------------------------------

$kafka->produce_bytes($topic, 0, [
	'{"page": "/"}', "\0\0\0", message(999999, 'x'), message(999999, 'y'), message($protobuf, 'x'), message($broken, 'x'),
	message($first, bytes('/') . long(1) . 'z'), message($first, bytes('/end') . long(2)) ]);
drain($node, 'seen');
is($node->safe_psql('postgres', 'SELECT page, off FROM seen WHERE off > 4'), '/end|12', 'goes on behind them');
is($node->safe_psql('postgres', <<'SQL'), <<"EXPECTED" =~ s/\n\z//r, 'they are rejected');
SELECT position, error FROM streaming.rejected_rows WHERE stream = 'visits'::regclass ORDER BY position::int
SQL
5|invalid Avro record (It does not begin with a zero and the number of a schema.)
6|invalid Avro record (It does not begin with a zero and the number of a schema.)
7|schema registry has no schema 999999
8|schema registry has no schema 999999
9|schema $protobuf of the schema registry is of type PROTOBUF, not AVRO
10|invalid Avro schema (A record, enum or fixed has no name.)
11|invalid Avro record (bytes are left behind the record, at byte 9.)
EXPECTED
cmp_ok(scalar(grep { m{/999999$} } $registry->requests), '<=', 4, 'a number that there is not is not asked for each time');

# --- an outage -----------------------------------------------------------------

my $fourth = $registry->add('{"type": "record", "name": "Visit", "fields": [{"name": "page", "type": "string"}]}');
$registry->stop;
$kafka->produce_bytes($topic, 0, [ message($fourth, bytes('/new')), message($first, bytes('/behind') . long(3)) ]);
ok(wait_for($node, q(SELECT bool_or(last_error LIKE 'could not get schema % from schema registry%') FROM streaming.stat_streams WHERE stream = 'visits'::regclass), 't'),
	'an outage is shown');
is($node->safe_psql('postgres', 'SELECT count(*) FROM seen WHERE off > 12'), 0, 'nothing is passed over');
my ($status, undef, $stderr) = $node->psql('postgres', 'SELECT * FROM visits');
like($stderr, qr/could not get schema \d+ from schema registry "\Q${\$registry->address}\E": /, 'a SELECT fails, and says why');
$registry->start;
drain($node, 'seen');
is($node->safe_psql('postgres', 'SELECT page FROM seen WHERE off > 12 ORDER BY off'), "/new\n/behind", 'then it goes on');
is($node->safe_psql('postgres', q(SELECT count(*) FROM streaming.rejected_rows WHERE stream = 'visits'::regclass)), 7, 'nothing was rejected for it');
same_as_batch($node, 'seen', 'SELECT * FROM visits');

# --- answers that no registry gives ------------------------------------------------

foreach my $odd ([ 302, 'a redirect is not followed', 'status 302' ], [ 200, 'nor is a page an answer', 'status 200: <html>login' ],
	[ 503, 'nor is a server that is busy', 'status 503: busy' ], [ 5000000, 'nor what is too long', 'the answer is longer than 4194304 bytes' ])
{
	my ($id, $name, $error) = @$odd;
	my $odd_topic = $kafka->create_topic("registry_$id", 1);

	$node->safe_psql('postgres', "CREATE FOREIGN TABLE odd_$id (page text) SERVER broker OPTIONS (topic '$odd_topic', format 'avro')");
	$kafka->produce_bytes($odd_topic, 0, [ message($id, 'x') ]);
	(undef, undef, $stderr) = $node->psql('postgres', "SELECT * FROM odd_$id");
	like($stderr, qr/could not get schema $id .*: \Q$error\E/, $name);
}

# --- who may ----------------------------------------------------------------------

$node->safe_psql('postgres', <<SQL);
CREATE ROLE alice LOGIN;
GRANT USAGE ON FOREIGN DATA WRAPPER kafka TO alice;
GRANT USAGE ON FOREIGN SERVER broker TO alice;
GRANT CREATE ON SCHEMA public TO alice;
SQL
(undef, undef, $stderr) = $node->psql('postgres', <<SQL, extra_params => [ '-U', 'alice' ]);
CREATE SERVER hers FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers 'localhost:1', schema_registry 'http://169.254.169.254/');
SQL
like($stderr, qr/permission denied to set option "schema_registry"/, 'an ordinary role names no address');
foreach my $bad ([ 'file:///etc/passwd', 'does not begin with http' ], [ 'http://a:b@c/', 'belong into a user mapping' ],
	[ 'http://c/?x=y', 'has a query' ], [ 'http://c d/', 'a blank' ], [ 'ftp://c/', 'does not begin with http' ])
{
	(undef, undef, $stderr) = $node->psql('postgres', "CREATE SERVER bad FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers 'x:1', schema_registry '$bad->[0]')");
	like($stderr, qr/invalid value for option "schema_registry".*\Q$bad->[1]\E/s, "$bad->[0] is no address");
}
(undef, undef, $stderr) = $node->psql('postgres', "ALTER SERVER broker OPTIONS (ADD schema_registry_password 'x')");
like($stderr, qr/invalid option "schema_registry_password".*option of a user mapping/s, 'a password is of a user mapping');
(undef, undef, $stderr) = $node->psql('postgres', <<SQL, extra_params => [ '-U', 'alice' ]);
CREATE FOREIGN TABLE hers (page text) SERVER broker OPTIONS (topic '$topic', format 'avro');
SELECT * FROM hers;
SQL
like($stderr, qr/could not get schema $first .*: status 401/, 'who has no password is not told what others know');
(undef, undef, $stderr) = $node->psql('postgres', 'SELECT * FROM streaming.registry_schemas', extra_params => [ '-U', 'alice' ]);
like($stderr, qr/permission denied/, 'nor may anybody look it up');

$node->stop;
done_testing();
