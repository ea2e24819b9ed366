
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
	OPTIONS (${\$kafka->options}, schema_registry '${\$registry->address}/');
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

my $stderr;

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

is($node->safe_psql('postgres', 'SELECT schema_id, subject, count(*) >= 1 FROM streaming_internal.registry_schemas GROUP BY 1, 2 ORDER BY 1'),
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

# --- schemas that use others ------------------------------------------------------

my $city = $registry->add('{"type": "record", "name": "org.example.City", "fields": [{"name": "name", "type": "string"}]}');
my $address = $registry->add('{"type": "record", "name": "Address", "namespace": "org.example", "fields": [{"name": "city", "type": "City"}, {"name": "zip", "type": "int"}]}',
	references => [ { name => 'org.example.City', subject => "id-$city", version => 1 } ]);
my $customer = $registry->add('{"type": "record", "name": "Customer", "fields": [{"name": "home", "type": "org.example.Address"}, {"name": "born", "type": ["null", "org.example.City"]}]}',
	references => [ map { { name => 'x', subject => "id-$_", version => 1 } } $address, $city ]);
my $customers = $kafka->create_topic('registry_customers', 1);
$node->safe_psql('postgres', <<SQL);
CREATE FOREIGN TABLE customers (city text OPTIONS (field 'home.city.name'), zip int OPTIONS (field 'home.zip'), born jsonb)
	SERVER broker OPTIONS (topic '$customers', format 'avro');
SQL
$kafka->produce_bytes($customers, 0, [ message($customer, bytes('Oslo') . long(150) . long(1) . bytes('Bergen')), message($customer, bytes('Rome') . long(1) . "\0") ]);
is($node->safe_psql('postgres', 'SELECT * FROM customers ORDER BY zip'), qq(Rome|1|\nOslo|150|{"name": "Bergen"}), 'a schema uses types of others');

# Bytes that confluent-kafka's AvroSerializer has made, but for the number of the schema.
my $confluent = $registry->add('{"type":"record","name":"Visit","fields":[{"name":"page","type":"string"},{"name":"ms","type":"int"},'
	. '{"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}}]}');
my $serialized = $kafka->create_topic('registry_confluent', 1);
$node->safe_psql('postgres', "CREATE FOREIGN TABLE serialized (page text, ms int, at timestamptz) SERVER broker OPTIONS (topic '$serialized', format 'avro')");
$kafka->produce_bytes($serialized, 0, [ map { my $bytes = pack 'H*', $_; substr($bytes, 1, 4) = pack 'N', $confluent; $bytes }
	qw(0000000001062f7030c70101 0000000001062f70310001 0000000001062f7032c80101) ]);
is($node->safe_psql('postgres', q(SELECT page, ms, at AT TIME ZONE 'UTC' FROM serialized ORDER BY page)),
	join("\n", map { "/p$_|" . ($_ * 100 - 100) . '|1969-12-31 23:59:59.999' } 0 .. 2), "confluent-kafka's messages are read");

# --- TLS --------------------------------------------------------------------------

# openssl serves files as they are; what they hold is the whole answer of a registry.
my $tls = "$ENV{STREAMING_WORK}/registry_tls";
mkdir $tls;
mkdir "$tls/schemas";
mkdir "$tls/schemas/ids";
open my $file, '>', "$tls/schemas/ids/1" or die "$tls: $!";
print $file "HTTP/1.0 200 ok\r\n\r\n" . '{"schema": "{\"type\": \"record\", \"name\": \"R\", \"fields\": [{\"name\": \"a\", \"type\": \"int\"}]}"}';
close $file;
foreach my $name (qw(server client other))
{
	system("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=$name -addext subjectAltName=IP:127.0.0.1"
		. " -keyout $tls/$name.key -out $tls/$name.pem >/dev/null 2>&1") == 0 or die "openssl: $?";
}
my $tls_port = PostgreSQL::Test::Cluster::get_free_port();
my $tls_server = fork // die "fork: $!";
if ($tls_server == 0)
{
	chdir $tls;
	open STDIN, '<', '/dev/null';
	open STDOUT, '>', '/dev/null';
	open STDERR, '>', '/dev/null';
	exec 'openssl', 's_server', '-HTTP', '-accept', "127.0.0.1:$tls_port", '-key', 'server.key', '-cert', 'server.pem',
		'-Verify', 1, '-verify_return_error', '-CAfile', 'client.pem';
}
END { my $status = $?; if ($tls_server) { kill 'TERM', $tls_server; waitpid $tls_server, 0; } $? = $status; }

sub pem
{
	my ($name) = @_;

	open my $in, '<', "$tls/$name" or die "$tls/$name: $!";
	local $/;
	return scalar <$in>;
}
my $secure = $kafka->create_topic('registry_tls', 1);
$node->safe_psql('postgres', <<SQL);
CREATE SERVER tls FOREIGN DATA WRAPPER kafka
	OPTIONS (${\$kafka->options}, schema_registry 'https://127.0.0.1:$tls_port', schema_registry_ca_pem '${\pem('server.pem')}');
CREATE USER MAPPING FOR CURRENT_USER SERVER tls
	OPTIONS (schema_registry_certificate_pem '${\pem('client.pem')}', schema_registry_key_pem '${\pem('client.key')}');
CREATE FOREIGN TABLE secure (a int) SERVER tls OPTIONS (topic '$secure', format 'avro');
SQL
$kafka->produce_bytes($secure, 0, [ message(1, long(42)) ]);
ok($node->poll_query_until('postgres', 'SELECT a FROM secure', '42'), 'by TLS, with certificates of both sides');
$node->safe_psql('postgres', 'DELETE FROM streaming_internal.registry_schemas');
$node->safe_psql('postgres', "ALTER SERVER tls OPTIONS (SET schema_registry_ca_pem '${\pem('other.pem')}')");
(undef, undef, $stderr) = $node->psql('postgres', 'SELECT * FROM secure');
like($stderr, qr/could not get schema 1 from schema registry "https:.*certificate/, 'not if nobody known vouches for the registry');
$node->safe_psql('postgres', <<SQL);
ALTER SERVER tls OPTIONS (SET schema_registry_ca_pem '${\pem('server.pem')}');
DROP USER MAPPING FOR CURRENT_USER SERVER tls;
SQL
(undef, undef, $stderr) = $node->psql('postgres', 'SELECT * FROM secure');
like($stderr, qr/could not get schema 1 from schema registry "https:/, 'nor without the certificate of the client');

# --- one that does not answer ---------------------------------------------------------

my $silent = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 5) or die "listen: $!";
$node->safe_psql('postgres', <<SQL);
CREATE SERVER silent FOREIGN DATA WRAPPER kafka
	OPTIONS (${\$kafka->options}, schema_registry 'http://127.0.0.1:${\$silent->sockport}');
CREATE FOREIGN TABLE unanswered (a int) SERVER silent OPTIONS (topic '$secure', format 'avro');
SQL
(undef, undef, $stderr) = $node->psql('postgres', "SET statement_timeout = '3s'; SELECT * FROM unanswered");
like($stderr, qr/canceling statement due to statement timeout/, 'who waits for a registry can be interrupted');

# --- an outage -----------------------------------------------------------------

my $fourth = $registry->add('{"type": "record", "name": "Visit", "fields": [{"name": "page", "type": "string"}]}');
$registry->stop;
$kafka->produce_bytes($topic, 0, [ message($fourth, bytes('/new')), message($first, bytes('/behind') . long(3)) ]);
ok(wait_for($node, q(SELECT bool_or(last_error LIKE 'could not get schema % from schema registry%') FROM streaming.stat_streams WHERE stream = 'visits'::regclass), 't'),
	'an outage is shown');
is($node->safe_psql('postgres', 'SELECT count(*) FROM seen WHERE off > 12'), 0, 'nothing is passed over');
(undef, undef, $stderr) = $node->psql('postgres', 'SELECT * FROM visits');
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

# --- writing -------------------------------------------------------------------

my $written = $kafka->create_topic('registry_written', 1);
my $columns = <<'SQL';
	id int, s2 smallint, s8 bigint, f4 real, f8 double precision, b boolean, t text, v varchar(10), raw bytea,
	money numeric(20,4), free numeric, d date, tm time, ts timestamptz, lts timestamp, u uuid, span interval, e color, j jsonb, js json,
	ints int[], texts text[], p spot, spots spot[], amount positive, net inet
SQL
$node->safe_psql('postgres', <<SQL);
CREATE TYPE color AS ENUM ('red', 'green');
CREATE TYPE spot AS (x int, label text, at timestamptz, doc jsonb, price numeric(8,2));
CREATE DOMAIN positive AS numeric(10,2) CHECK (VALUE > 0);
CREATE FOREIGN TABLE written ($columns) SERVER broker OPTIONS (topic '$written', format 'avro');
CREATE TABLE original ($columns);
INSERT INTO original
SELECT n, (n - 100) * 300, (n - 100) * 92233720368547758, n / 3.0, 1 / (n + 0.5), n % 2 = 0, repeat('é"\\' || chr(10), n % 7), 'v' || n, decode(md5(n::text), 'hex'),
	(n - 100) * 12345678901.2345 / (n % 9 + 1), pi()::numeric ^ (n - 100), date '0004-01-01' + n * 9999, time '00:00' + n * interval '7.123456 minutes',
	timestamptz '1969-12-31 23:59:59.999999+00' + (n - 100) * interval '9 days 1.000001 seconds', timestamp '1815-06-18 11:35' + n * interval '1 year',
	md5(n::text)::uuid, n * interval '1 month 2 days 3.5 seconds', (ARRAY['red', 'green'])[n % 2 + 1]::color, jsonb_build_object('n', n, 'a', ARRAY[n, NULL]),
	to_json('text ' || n), ARRAY(SELECT nullif(i, 2) FROM generate_series(1, n % 5) i), ARRAY['', 'NULL', '{'], row(n, 'x', now(), '{"a": [1]}'::jsonb, n / 7.0)::spot,
	ARRAY[row(n, NULL, NULL, '[]'::jsonb, 0)::spot, NULL, row(NULL, '"', timestamptz '2000-01-01', '1'::jsonb, 1)::spot], n, '10.0.0.1'
FROM generate_series(1, 200) n;
INSERT INTO original (id) VALUES (0), (NULL);
INSERT INTO written SELECT * FROM original;
SQL
ok(wait_for($node, 'SELECT count(*) FROM written', '202'), 'rows are written');
is($node->safe_psql('postgres', <<'SQL'), '0', 'and come back as the same rows');
SELECT count(*) FROM ((SELECT w::text FROM written w EXCEPT ALL SELECT o::text FROM original o)
	UNION ALL (SELECT o::text FROM original o EXCEPT ALL SELECT w::text FROM written w)) x
SQL
my ($wrote) = map { $_->[3] } $kafka->consume($written);
my $derived = $registry->schema(unpack 'xN', $wrote);
like($derived, qr/^\{"type": "record", "name": "written", "fields": \[\{"name": "id", "type": \["null", "int"\], "default": null\}/, 'by a schema of the columns');
$node->safe_psql('postgres', 'INSERT INTO written (id) VALUES (7)');
is(scalar(grep { $_ eq "POST /subjects/$written-value/versions" } $registry->requests), 1, 'which is registered once');

my $orders = $kafka->create_topic('registry_orders', 1);
$node->safe_psql('postgres', <<SQL);
CREATE FOREIGN TABLE orders_out (page text, n bigint, seen_ms timestamptz) SERVER broker
	OPTIONS (topic '$orders', format 'avro', key 'page', avro_schema '{"type": "record", "name": "Order", "fields": [
		{"name": "n", "type": "long"}, {"name": "page", "type": ["string", "null"]},
		{"name": "seen_ms", "type": ["null", {"type": "long", "logicalType": "timestamp-millis"}]},
		{"name": "source", "type": "string", "default": "pg"}]}');
CREATE FOREIGN TABLE orders_in (page text, n bigint, seen_ms timestamptz, source text) SERVER broker OPTIONS (topic '$orders', format 'avro');
CREATE VIEW orders_view WITH (streaming.sink = 'orders_out') AS SELECT page, count(*) AS n, timestamptz '2026-01-01 00:00:00.0019+00' AS seen_ms FROM visits GROUP BY page;
CREATE VIEW orders_seen WITH (streaming.continuous) AS SELECT * FROM orders_in;
SELECT streaming.drain('orders_view');
SQL
ok(wait_for($node, q(SELECT string_agg(page || n || source || extract(milliseconds FROM seen_ms), ' ' ORDER BY page) FROM orders_seen WHERE page IN ('/pay', 'PAY')),
	'/pay1pg1.000 PAY1pg1.000'), 'a view writes by the schema that the stream says');

foreach my $bad (
	[ 'a int, b text', q(INSERT INTO bad VALUES (1, 'x')), qr/"refused"|schema registry does not take the schema of stream public\.bad/, 'refused' ],
	[ 'at timestamptz', q(INSERT INTO bad VALUES ('infinity')), qr/Avro has no place for an infinite time, in "at"/ ],
	[ 'd date', q(INSERT INTO bad VALUES ('-infinity')), qr/Avro has no place for an infinite date, in "d"/ ],
	[ 'n numeric(5,2)', q(INSERT INTO bad VALUES ('NaN')), qr/Avro has no place for a number that is none or infinite, in "n"/ ],
	[ 'a int[]', q(INSERT INTO bad VALUES ('{{1,2},{3,4}}')), qr/Avro has no place for an array with more than one dimension, in "a"/ ],
	[ '"schÃ¶n" int', 'INSERT INTO bad VALUES (1)', qr/is no name of a field in Avro.*option "field"/s ])
{
	my ($columns, $insert, $error, $field) = @$bad;
	my $option = $field ? ", more int OPTIONS (field '$field')" : '';

	(undef, undef, $stderr) = $node->psql('postgres', "CREATE FOREIGN TABLE bad ($columns$option) SERVER broker OPTIONS (topic '$orders', format 'avro'); $insert");
	like($stderr, $error, "not written: $columns");
	$node->safe_psql('postgres', 'DROP FOREIGN TABLE bad');
}
foreach my $bad (
	[ '{"name": "a", "type": "string"}, {"name": "b", "type": "int"}', qr/field "b" of Avro record "R" has no default, and no column/ ],
	[ '{"name": "b", "type": "int", "default": 1}', qr/column "a" is no field of Avro record "R"/ ],
	[ '{"name": "a", "type": ["null", "boolean"]}', qr/column "a" of type integer cannot be written as Avro type union/ ],
	[ '{"name": "a", "type": "int"}', qr/null value in "a" cannot be written as Avro type int/ ])
{
	my ($fields, $error) = @$bad;

	(undef, undef, $stderr) = $node->psql('postgres', "CREATE FOREIGN TABLE bad (a int) SERVER broker OPTIONS (topic '$orders', format 'avro',"
		. " avro_schema '{\"type\": \"record\", \"name\": \"R\", \"fields\": [$fields]}'); INSERT INTO bad VALUES (NULL)");
	like($stderr, $error, "not written by $fields");
	$node->safe_psql('postgres', 'DROP FOREIGN TABLE bad');
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
(undef, undef, $stderr) = $node->psql('postgres', 'SELECT * FROM streaming_internal.registry_schemas', extra_params => [ '-U', 'alice' ]);
like($stderr, qr/permission denied/, 'nor may anybody look it up');

$node->stop;
done_testing();
