
# Keys of messages that have a format of their own: columns are fields of them, tombstones
# have nothing else, and sinks write them.

use strict;
use warnings;

use StreamingKafka;
use StreamingRegistry;
use StreamingTest;
use Test::More;

my $kafka = StreamingKafka->shared;
my $registry = StreamingRegistry->new;
my $node = new_node('main', 'streaming.retry_max = 500ms');

sub sql { return $node->safe_psql('postgres', @_); }

sub refused
{
	my ($statement, $message, $name) = @_;
	my $stderr;

	$node->psql('postgres', $statement, stderr => \$stderr);
	return like($stderr, $message, $name);
}

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

# What confluent-kafka's AvroSerializer has made, but for the number of the schema.
sub serialized
{
	my ($id, $hex) = @_;
	my $bytes = pack 'H*', $hex;

	substr($bytes, 1, 4) = pack 'N', $id;
	return $bytes;
}

my $order_key = $registry->add('{"type": "record", "name": "OrderKey", "namespace": "org.example", "fields": [{"name": "id", "type": "long"},'
	. ' {"name": "shop", "type": "string"}, {"name": "day", "type": {"type": "int", "logicalType": "date"}}]}');
my $long_key = $registry->add('"long"');
my $string_key = $registry->add('"string"');
my ($oslo, $rome) = map { serialized($order_key, $_) } qw(00000000010e084f736c6fe6c402 00000000011008526f6d6501);
my ($long_42, $long_minus) = map { serialized($long_key, $_) } qw(000000000254 000000000201);
my $ann = serialized($string_key, '000000000306616e6e');

sql(<<SQL);
CREATE SERVER broker FOREIGN DATA WRAPPER kafka
	OPTIONS (bootstrap_servers '${\$kafka->address}', schema_registry '${\$registry->address}');
CREATE SERVER plain FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers '${\$kafka->address}');
SQL

# --- columns of a key -------------------------------------------------------------

my $orders = $kafka->create_topic('key_orders', 1);
sql(<<SQL);
CREATE FOREIGN TABLE orders (n int, id bigint OPTIONS (metadata 'key:id'), shop text OPTIONS (metadata 'key:shop'), day date OPTIONS (metadata 'key:day'),
	none text OPTIONS (metadata 'key:none'), off bigint OPTIONS (metadata 'offset')) SERVER broker OPTIONS (topic '$orders', key_format 'avro');
CREATE FOREIGN TABLE whole (n int, key jsonb OPTIONS (metadata 'key'), off bigint OPTIONS (metadata 'offset'))
	SERVER broker OPTIONS (topic '$orders', key_format 'avro');
CREATE FOREIGN TABLE or_null (n int, id smallint OPTIONS (metadata 'key:id'), shop text OPTIONS (metadata 'key:shop'))
	SERVER broker OPTIONS (topic '$orders', key_format 'avro', on_error 'null');
CREATE VIEW seen WITH (streaming.continuous) AS SELECT * FROM orders;
CREATE VIEW shops WITH (streaming.continuous) AS SELECT shop, count(*), sum(n) AS n FROM orders GROUP BY shop;
CREATE VIEW wholes WITH (streaming.continuous) AS SELECT * FROM whole;
SQL
$kafka->produce($orders, 0, [
	[ $oslo, '{"n": 1}' ], [ $rome, '{"n": 2}' ], [ 'no Avro', '{"n": 3}' ], [ substr($oslo, 0, -1), '{"n": 4}' ],
	[ message(99999, ''), '{"n": 5}' ], [ $long_42, '{"n": 6}' ], [ message($order_key, long(1 << 40) . bytes('Bergen') . long(0)), '{"n": 7}' ] ]);
$kafka->produce($orders, 0, ['{"n": 8}']);
drain($node, $_) foreach qw(seen shops wholes);
is(sql('SELECT n, id, shop, day, none, off FROM seen ORDER BY off'), <<'EXPECTED' =~ s/\n\z//r, 'fields of the key are columns');
1|7|Oslo|2026-11-30||0
2|8|Rome|1969-12-31||1
6|||||5
7|1099511627776|Bergen|1970-01-01||6
8|||||7
EXPECTED
is(sql('SELECT n, key FROM wholes ORDER BY off'), <<'EXPECTED' =~ s/\n\z//r, 'and so is all of it');
1|{"id": 7, "day": "2026-11-30", "shop": "Oslo"}
2|{"id": 8, "day": "1969-12-31", "shop": "Rome"}
6|42
7|{"id": 1099511627776, "day": "1970-01-01", "shop": "Bergen"}
8|
EXPECTED
is(sql(q(SELECT position, column_name, error FROM streaming.rejected_rows WHERE stream = 'orders'::regclass ORDER BY position::int)),
	<<'EXPECTED' =~ s/\n\z//r, 'what is no such key is rejected');
2||message key: invalid Avro record (It does not begin with a zero and the number of a schema.)
3||message key: invalid Avro record (the record ends too early, at byte 12.)
4||message key: schema registry has no schema 99999
EXPECTED
is(sql('SELECT n, id, shop FROM or_null ORDER BY n'), "1|7|Oslo\n2|8|Rome\n6||\n7||Bergen\n8||", 'on_error null: the bad field is NULL');
same_as_batch($node, 'seen', 'SELECT * FROM orders');
same_as_batch($node, 'shops', 'SELECT shop, count(*), sum(n) AS n FROM orders GROUP BY shop');
is(sql(q(SELECT absent_columns FROM streaming.stat_streams WHERE stream = 'orders'::regclass AND absent_columns IS NOT NULL)), '{none}',
	'a field that no key has had is told');

# Whoever reads which columns.
is(sql('SELECT count(*) FROM orders'), 5, 'keys are checked for columns that nobody reads');
my $retried = sql(q(ALTER FOREIGN TABLE orders ALTER none OPTIONS (SET metadata 'key:shop'); SELECT streaming.retry_rejected('orders')));
is($retried, 0, 'and again when they are retried');

# --- keys that are no records, of rows that change ---------------------------------------

my $balances = $kafka->create_topic('key_balances', 1);
sql(<<SQL);
CREATE FOREIGN TABLE balances (account bigint OPTIONS (metadata 'key'), amount numeric)
	SERVER broker OPTIONS (topic '$balances', key_format 'avro', changes 'upsert');
CREATE FOREIGN TABLE named (account bigint, amount numeric)
	SERVER broker OPTIONS (topic '$balances', key_format 'avro', changes 'upsert', key 'account');
CREATE VIEW accounts WITH (streaming.continuous) AS SELECT * FROM balances;
CREATE VIEW accounts_named WITH (streaming.continuous) AS SELECT * FROM named;
SQL
$kafka->produce($balances, 0, [ [ $long_42, '{"account": 42, "amount": 1.5}' ], [ $long_minus, '{"account": -1, "amount": 2}' ],
	[ $long_42, '{"account": 42, "amount": 3}' ], [ $ann, undef ], [ $long_minus, undef ] ]);
drain($node, $_) foreach qw(accounts accounts_named);
is(sql('SELECT * FROM accounts'), '42|3', 'tombstones have the key alone, which is a number');
is(sql('SELECT * FROM accounts_named'), '42|3', 'also of a column of the value');
is(sql(q(SELECT position, error FROM streaming.rejected_rows WHERE stream = 'balances'::regclass)),
	'3|column "account": invalid input syntax for type bigint: "ann"', 'keys of another type are rejected');

my $records = $kafka->create_topic('key_records', 1);
sql(<<SQL);
CREATE FOREIGN TABLE stock (shop text OPTIONS (metadata 'key:shop'), id int OPTIONS (metadata 'key:id'), n int)
	SERVER broker OPTIONS (topic '$records', key_format 'avro', changes 'upsert');
CREATE VIEW in_stock WITH (streaming.continuous) AS SELECT * FROM stock;
CREATE VIEW per_shop WITH (streaming.continuous) AS SELECT shop, sum(n) FROM stock GROUP BY shop;
SQL
$kafka->produce($records, 0, [ [ $oslo, '{"n": 1}' ], [ $rome, '{"n": 2}' ], [ $oslo, '{"n": 3}' ], [ $rome, undef ], [ $long_42, undef ] ]);
drain($node, $_) foreach qw(in_stock per_shop);
is(sql('SELECT * FROM in_stock'), 'Oslo|7|3', 'fields of the key tell rows apart');
is(sql('SELECT * FROM per_shop'), 'Oslo|3', 'in any query');
like(sql(q(SELECT error FROM streaming.rejected_rows WHERE stream = 'stock'::regclass)), qr/record has no key/, 'a key without them is none');
same_as_batch($node, 'in_stock', 'SELECT * FROM stock');

# Debezium: JSON beside a key in Avro.
my $envelopes = $kafka->create_topic('key_envelopes', 1);
sql(<<SQL);
CREATE FOREIGN TABLE people (id bigint, name text) SERVER broker OPTIONS (topic '$envelopes', key_format 'avro', changes 'debezium', key 'id');
CREATE FOREIGN TABLE people_by_key (id bigint OPTIONS (metadata 'key:id'), name text)
	SERVER broker OPTIONS (topic '$envelopes', key_format 'avro', changes 'debezium');
CREATE VIEW people_now WITH (streaming.continuous) AS SELECT * FROM people;
CREATE VIEW people_by_key_now WITH (streaming.continuous) AS SELECT * FROM people_by_key;
SQL
$kafka->produce($envelopes, 0, [ [ $oslo, '{"op": "c", "after": {"id": 7, "name": "Ann"}}' ], [ $rome, '{"op": "c", "after": {"id": 8, "name": "Bob"}}' ],
	[ $oslo, '{"op": "d", "before": null, "after": null}' ], [ $oslo, undef ] ]);
drain($node, $_) foreach qw(people_now people_by_key_now);
is(sql('SELECT * FROM people_now'), '8|Bob', 'deletions of Debezium have it, too');
is(sql('SELECT * FROM people_by_key_now'), '8|Bob', 'also where it is not in the row');

# --- written ----------------------------------------------------------------------------

my %out = map { $_ => $kafka->create_topic("key_out_$_", 1) } qw(record whole json protobuf given);
sql(<<SQL);
CREATE TABLE sales (shop text, n int);
CREATE FOREIGN TABLE out_record (shop text OPTIONS (metadata 'key:shop'), year int OPTIONS (metadata 'key:year'), total bigint)
	SERVER broker OPTIONS (topic '$out{record}', format 'avro', key_format 'avro', changes 'upsert');
CREATE FOREIGN TABLE out_whole (shop text OPTIONS (metadata 'key'), total bigint)
	SERVER broker OPTIONS (topic '$out{whole}', format 'avro', key_format 'avro', changes 'upsert');
CREATE FOREIGN TABLE out_json (shop text, total bigint)
	SERVER plain OPTIONS (topic '$out{json}', key_format 'json', key 'shop', changes 'upsert');
CREATE FOREIGN TABLE out_protobuf (shop text, total bigint)
	SERVER broker OPTIONS (topic '$out{protobuf}', key_format 'protobuf', key 'shop', changes 'upsert');
CREATE FOREIGN TABLE out_given (shop text OPTIONS (metadata 'key:shop'), total bigint)
	SERVER plain OPTIONS (topic '$out{given}', key_format 'avro', changes 'upsert',
		key_avro_schema '{"type": "record", "name": "Key", "fields": [{"name": "shop", "type": "string"}, {"name": "v", "type": "int", "default": 3}]}');
CREATE VIEW to_record WITH (streaming.follow = 'sales', streaming.sink = 'out_record', streaming.output_mode = 'update') AS
	SELECT shop, 2026 + n AS year, sum(n) AS total FROM sales GROUP BY 1, 2;
SQL
my @others = qw(whole json protobuf given);
sql("CREATE VIEW to_$_ WITH (streaming.follow = 'sales', streaming.sink = 'out_$_', streaming.output_mode = 'update') AS"
	  . ' SELECT shop, sum(n) AS total FROM sales GROUP BY 1') foreach @others;
sql(q(INSERT INTO sales VALUES ('Oslo', 1), ('Oslo', 1), ('Rome', 5), ('Bergen', 0)));
drain($node, "to_$_") foreach 'record', @others;
sql(q(DELETE FROM sales WHERE shop = 'Rome'));
drain($node, "to_$_") foreach 'record', @others;
foreach my $name (@others)
{
	ok(wait_for($node, "SELECT * FROM out_$name ORDER BY 1", "Bergen|0\nOslo|2"), "what is written into $name comes back, without what was deleted");
}
ok(wait_for($node, 'SELECT * FROM out_record ORDER BY 1', "Bergen|2026|0\nOslo|2027|2"), 'several columns make a record');

my ($key_schema) = grep { $_->[0] =~ /-key$/ && $_->[0] =~ /^$out{record}/ } map { [ split /\|/, $_, 3 ] }
	split /\n/, sql('SELECT subject, schema_id, schema FROM streaming_internal.registry_schemas ORDER BY 1');
is($key_schema->[2], '{"type": "record", "name": "out_record_key", "fields": [{"name": "shop", "type": ["null", "string"], "default": null},'
	  . ' {"name": "year", "type": ["null", "int"], "default": null}]}', "the key's schema is registered for the subject TOPIC-key");
is(scalar(grep { m{POST /subjects/$out{record}-key/versions} } $registry->requests), 1, 'once');
my ($rome_written) = grep { !defined $_->[3] } $kafka->consume($out{record});
is(unpack('H*', $rome_written->[2]), unpack('H*', message($key_schema->[1], long(1) . bytes('Rome') . long(1) . long(2031))), 'a tombstone has it in Avro');
my ($whole) = grep { !defined $_->[3] } $kafka->consume($out{whole});
is(unpack('H*', substr $whole->[2], 5), unpack('H*', bytes('Rome')), 'a column that is the key is not wrapped');
my ($json) = grep { !defined $_->[3] } $kafka->consume($out{json});
is($json->[2], '{"shop":"Rome"}', 'JSON keys are objects');
my ($protobuf) = grep { !defined $_->[3] } $kafka->consume($out{protobuf});
is(unpack('H*', substr $protobuf->[2], 5), unpack('H*', "\0\x0a\x04Rome"), 'Protobuf keys say which message they are');
my ($given) = grep { !defined $_->[3] } $kafka->consume($out{given});
is(unpack('H*', $given->[2]), unpack('H*', bytes('Rome') . long(3)), 'a schema of the option, without a registry');

# --- JSON and Protobuf --------------------------------------------------------------------

my $objects = $kafka->create_topic('key_objects', 1);
sql(<<SQL);
CREATE FOREIGN TABLE objects (id int OPTIONS (metadata 'key:user.id'), raw text OPTIONS (metadata 'key'), n int)
	SERVER plain OPTIONS (topic '$objects', key_format 'json');
CREATE VIEW of_objects WITH (streaming.continuous) AS SELECT * FROM objects;
SQL
$kafka->produce($objects, 0, [ [ '{"user": {"id": 1}}', '{"n": 1}' ], [ '{"schema": {}, "payload": {"user": {"id": 2}}}', '{"n": 2}' ],
	[ '{"user": {"id": "x"}}', '{"n": 3}' ], [ '{"user": {"id": 4}', '{"n": 4}' ], [ '[5]', '{"n": 5}' ], [ '{"user": 6}', '{"n": 6}' ] ]);
drain($node, 'of_objects');
is(sql('SELECT n, id, left(raw, 12) FROM of_objects ORDER BY n'), <<'EXPECTED' =~ s/\n\z//r, 'members of JSON keys');
1|1|{"user": {"i
2|2|{"schema": {
6||{"user": 6}
EXPECTED
is(sql(q(SELECT position, column_name, error ~ 'message key: ' AS of_key FROM streaming.rejected_rows WHERE stream = 'objects'::regclass ORDER BY 1)),
	"2|id|f\n3||t\n4||t", 'others are rejected');

my $protobufs = $kafka->create_topic('key_protobufs', 1);
sql(<<SQL);
CREATE FOREIGN TABLE protobufs (id bigint OPTIONS (metadata 'key:id'), bytes bytea OPTIONS (metadata 'key'), n int)
	SERVER plain OPTIONS (topic '$protobufs', key_format 'protobuf', key_protobuf_schema 'syntax = "proto3"; message K { int64 id = 1; }');
CREATE VIEW of_protobufs WITH (streaming.continuous) AS SELECT * FROM protobufs;
SQL
$kafka->produce($protobufs, 0, [ [ "\x08\x96\x01", '{"n": 1}' ], [ "\x08", '{"n": 2}' ], [ "\x10\x01", '{"n": 3}' ] ]);
drain($node, 'of_protobufs');
is(sql('SELECT n, id, bytes FROM of_protobufs ORDER BY n'), "1|150|\\x089601\n3|0|\\x1001", 'fields of Protobuf keys');

# --- what does not fit -----------------------------------------------------------------------

refused("CREATE FOREIGN TABLE bad (a int OPTIONS (metadata 'key:a')) SERVER broker OPTIONS (topic 'x'); SELECT * FROM bad",
	qr/column "a" of stream public.bad is a field of the message's key, whose format is not known.*"key_format"/s, 'fields need a format');
refused("CREATE FOREIGN TABLE bad (a int) SERVER plain OPTIONS (topic 'x', key_format 'avro')",
	qr/stream public.bad with "key_format" set to "avro" has no schema of keys.*"key_avro_schema"/s, 'Avro needs a schema');
refused("CREATE FOREIGN TABLE bad (a int) SERVER broker OPTIONS (topic 'x', key_avro_schema '\"int\"')",
	qr/option "key_avro_schema" is not valid for keys of format "text"/, 'which is of no other format');
refused("CREATE FOREIGN TABLE bad (a int) SERVER broker OPTIONS (topic 'x', key_format 'csv')",
	qr/invalid value for option "key_format": "csv"/, 'not any format');
refused("CREATE FOREIGN TABLE bad (a int OPTIONS (metadata 'key:')) SERVER broker OPTIONS (topic 'x', key_format 'json')",
	qr/option "metadata" must name a field/, 'a field has a name');
refused("CREATE FOREIGN TABLE bad (a int OPTIONS (metadata 'key')) SERVER broker OPTIONS (topic 'x', key_format 'json')",
	qr/must be of type text or bytea/, 'the key is text, unless its format says what it is');

$node->stop;
done_testing();
