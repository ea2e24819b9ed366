# Topics whose messages change rows: what a message means, whose key is in it or beside
# it, and views that go on while everything but the broker is killed.
#
# Takes long.

use strict;
use warnings;

use StreamingKafka;
use StreamingLoad;
use StreamingTest;
use Test::More;
use Time::HiRes qw(sleep);

random_seed();

my $kafka = StreamingKafka->shared;
my $node = new_node('main', 'streaming.retry_max = 1s');

sub sql { return $node->safe_psql('postgres', @_); }

sql("CREATE SERVER broker FOREIGN DATA WRAPPER kafka OPTIONS (${\$kafka->options})");

# --- where the key is ------------------------------------------------------------

my %keys = map { $_ => $kafka->create_topic("keys_$_", 1) } qw(text object several metadata envelope mongo);
sql(<<SQL);
CREATE FOREIGN TABLE of_text (id int, v text) SERVER broker OPTIONS (topic '$keys{text}', changes 'upsert', key 'id');
CREATE FOREIGN TABLE of_object (id int, v text) SERVER broker OPTIONS (topic '$keys{object}', changes 'upsert', key 'id');
CREATE FOREIGN TABLE of_several (a int, b text, v text)
	SERVER broker OPTIONS (topic '$keys{several}', format 'csv', changes 'upsert', key 'a, b');
CREATE FOREIGN TABLE of_metadata (v text, k text OPTIONS (metadata 'key'), off bigint OPTIONS (metadata 'offset'))
	SERVER broker OPTIONS (topic '$keys{metadata}', changes 'upsert');
CREATE FOREIGN TABLE of_envelope (id int, v text) SERVER broker OPTIONS (topic '$keys{envelope}', changes 'debezium', key 'id');
CREATE FOREIGN TABLE of_mongo (id text OPTIONS (field '_id.\$oid'), v text)
	SERVER broker OPTIONS (topic '$keys{mongo}', changes 'debezium', key 'id');
CREATE VIEW text WITH (streaming.continuous) AS SELECT * FROM of_text;
CREATE VIEW object WITH (streaming.continuous) AS SELECT * FROM of_object;
CREATE VIEW several WITH (streaming.continuous) AS SELECT * FROM of_several;
CREATE VIEW metadata WITH (streaming.continuous) AS SELECT * FROM of_metadata;
CREATE VIEW envelope WITH (streaming.continuous) AS SELECT * FROM of_envelope;
CREATE VIEW mongo WITH (streaming.continuous) AS SELECT * FROM of_mongo;
SQL

sub rows_are
{
	my ($view, $rows, $name) = @_;

	drain($node, $view);
	same_as_batch($node, $view, "SELECT * FROM of_$view");
	return is(sql("SELECT * FROM $view ORDER BY 1"), join("\n", @$rows), $name);
}

$kafka->produce($keys{text}, 0, [ map { [ $_->[0], $_->[1] && qq({"id": $_->[0], "v": "$_->[1]"}) ] }
	[ 1, 'a' ], [ 2, 'b' ], [ 3, 'c' ], [ 1, 'd' ], [ 1, 'd' ], [ 2, undef ], [ 9, undef ], [ 3, undef ], [ 3, 'e' ] ]);
rows_are('text', [ '1|d', '3|e' ], 'the key is a text');
is(sql(q(SELECT input_rows, state_rows, unknown_keys FROM streaming.stat_views WHERE view = 'text'::regclass)), '9|2|1',
	'a row a key is kept; a deletion of none is counted');
$kafka->produce($keys{text}, 0, [ [ 3, undef ], [ 1, undef ], [ 1, '{"id": 1, "v": "again"}' ] ]);
rows_are('text', ['1|again'], 'deleted in a later batch');

$kafka->produce($keys{object}, 0, [
	[ '{"id": 1}', '{"id": 1, "v": "a"}' ], [ '{"id": 2}', '{"id": 2, "v": "b"}' ], [ '{"id": 3}', '{"id": 3, "v": "c"}' ],
	[ '{"id": 1}', undef ], [ '{"schema": {"type": "struct"}, "payload": {"id": 2}}', undef ] ]);
rows_are('object', ['3|c'], 'the key is an object, with its schema or without');

$kafka->produce($keys{several}, 0, [
	[ 'ignored', '1,x,a' ], [ 'ignored', '1,y,b' ], [ 'ignored', '2,x,c' ], [ '{"a": 1, "b": "y"}', undef ], [ 'ignored', '2,x,d' ] ]);
rows_are('several', [ '1|x|a', '2|x|d' ], 'several columns are the key');

$kafka->produce($keys{metadata}, 0, [ [ 'k1', '{"v": "a"}' ], [ 'k2', '{"v": "b"}' ], [ 'k1', '{"v": "c"}' ], [ 'k2', undef ] ]);
rows_are('metadata', ['c|k1|2'], 'the key is a column with metadata');

# What has no key, or one that is none, is rejected.
$kafka->produce($keys{text}, 0, [ [ 'x', undef ], [ '{"no": 1}', undef ], [ '', '{"v": "no key"}' ], [ 5, '{"id": 5, "v": "good"}' ] ]);
rows_are('text', [ '1|again', '5|good' ], 'records without a key are rejected');
is(sql(q(SELECT sqlstate, column_name, error FROM streaming.rejected_rows WHERE stream = 'of_text'::regclass ORDER BY rejected_at, position::int)),
	join("\n", '22P02||invalid input syntax for type integer: "x"',
		'23502|id|column "id": record has no key (Column "id" of the key is NULL.)',
		'23502|id|column "id": record has no key (Column "id" of the key is NULL.)'), 'with the reason');

# --- Debezium's envelopes ----------------------------------------------------------

my $before = '{"id": 2, "v": null}';
$kafka->produce($keys{envelope}, 0, [
	[ '{"id": 1}', '{"before": null, "after": {"id": 1, "v": "snapshot"}, "source": {"snapshot": "first"}, "op": "r", "ts_ms": 1}' ],
	[ '{"id": 2}', '{"schema": {"type": "struct", "fields": []}, "payload": {"before": null, "after": {"id": 2, "v": "b"}, "op": "c"}}' ],
	[ '{"id": 1}', '{"before": {"id": 1, "v": "snapshot"}, "after": {"id": 1, "v": "full"}, "op": "u"}' ],
	[ '{"id": 7}', '{"before": null, "after": {"id": 7, "v": "never seen"}, "op": "u"}' ],
	[ '{"id": 2}', qq({"before": $before, "after": null, "op": "d"}) ],
	[ '{"id": 2}', undef ],
	[ '{"id": 3}', '{"after": {"id": 3, "v": "c"}, "op": "c"}' ],
	[ '{"id": 3}', '{"before": null, "after": null, "op": "d"}' ],
	[ '{"prefix": "p"}', '{"op": "m", "message": {"prefix": "p", "content": "eA=="}}' ],
	[ '{"id": "571"}', '{"status": "BEGIN", "id": "571", "event_count": null}' ],
	[ '{"id": "571"}', '{"status": "END", "id": "571", "event_count": 2}' ] ]);
rows_are('envelope', [ '1|full', '7|never seen' ], 'created, read, updated, deleted; the rest is passed over');
is(sql(q(SELECT unknown_keys FROM streaming.stat_views WHERE view = 'envelope'::regclass)), 1, 'an update of no row is counted');
is(sql(q(SELECT count(*) FROM streaming.rejected_rows WHERE stream = 'of_envelope'::regclass)), 0, 'nothing is rejected');
$kafka->produce($keys{envelope}, 0, [ [ 'null', '{"op": "t", "before": null, "after": null}' ],
	[ '{"id": 8}', '{"after": {"id": 8, "v": "after"}, "op": "c"}' ] ]);
rows_are('envelope', ['8|after'], 'truncated');
$kafka->produce($keys{envelope}, 0, [ map { [ '{}', $_ ] }
	'{"id": 1, "v": "flat"}', '{"op": "x"}', '{"op": "u", "after": null}', '{"op": "d", "before": null}', '{"op": "c", "after": {"v": "x"}}', '[1]',
	'{"op": "u", "before": {"id": 8}, "after": {"id": 9}}' ]);
rows_are('envelope', ['8|after'], 'what is no envelope changes nothing');
is(sql(q(SELECT string_agg(sqlstate, ' ' ORDER BY position::int) FROM streaming.rejected_rows WHERE stream = 'of_envelope'::regclass)),
	'22000 22000 22000 23502 23502 22P02 0A000', 'and is rejected');

my $oid = '{\\"$oid\\": \\"%s\\"}';
sub mongo_key { return '{"id": "' . sprintf($oid, $_[0]) . '"}'; }
sub mongo_row { return '"{\\"_id\\": ' . sprintf($oid, $_[0]) . ', \\"v\\": \\"' . $_[1] . '\\"}"'; }
$kafka->produce($keys{mongo}, 0, [
	[ mongo_key('a1'), '{"before": null, "after": ' . mongo_row('a1', 'one') . ', "op": "c"}' ],
	[ mongo_key('a2'), '{"after": ' . mongo_row('a2', 'two') . ', "op": "r"}' ],
	[ mongo_key('a1'), '{"after": ' . mongo_row('a1', 'uno') . ', "op": "u"}' ],
	[ mongo_key('a2'), '{"before": null, "after": null, "op": "d"}' ],
	[ mongo_key('a2'), undef ] ]);
rows_are('mongo', ['a1|uno'], "MongoDB's rows are texts");

# As a real Debezium has written them, with what it writes besides.
sub recorded
{
	my @messages = map { my (undef, $key, $value) = split /\t/; [ $key eq 'null' ? '' : $key, $value eq 'null' ? undef : $value ] }
		split /\n/, PostgreSQL::Test::Utils::slurp_file("test/debezium/$_[0].tsv");
	my ($truncate) = grep { ($messages[$_][1] // '') =~ /"op":"t"/ } 0 .. $#messages;

	return ([ @messages[ 0 .. $truncate - 1 ] ], [ @messages[ $truncate .. $#messages ] ]);
}

# Of a table of PostgreSQL.
my $recorded = $kafka->create_topic('recorded', 1);
my @recorded = recorded('postgres');
my ($before_truncate, $from_truncate) = split /^(?=TRUNCATE)/m, PostgreSQL::Test::Utils::slurp_file('test/debezium/postgres_changes.sql');
sql(<<SQL);
CREATE FOREIGN TABLE recorded (id int, customer text, amount numeric, big text, at timestamptz, day int, ok boolean, tags text)
	SERVER broker OPTIONS (topic '$recorded', changes 'debezium', key 'id');
CREATE VIEW orders_now WITH (streaming.continuous) AS
	SELECT id, customer, amount, big, at, date '1970-01-01' + day AS day, ok, tags::jsonb AS tags FROM recorded;
SQL
sql(PostgreSQL::Test::Utils::slurp_file('test/debezium/postgres_before.sql'));
foreach my $part ([ $before_truncate, $recorded[0] ], [ $from_truncate, $recorded[1] ])
{
	my ($statements, $messages) = @$part;

	sql($statements);
	$kafka->produce($recorded, 0, $messages);
	drain($node, 'orders_now');
	same_as_batch($node, 'orders_now', 'SELECT * FROM orders', 'as the table that Debezium has followed');
}
is(sql('SELECT count(*), min(id) FROM orders_now'), '1|7', 'which has the rows that its statements left');
is(sql(q(SELECT count(*) FROM streaming.rejected_rows WHERE stream = 'recorded'::regclass)), 0, 'nothing of it is rejected');
sql('DROP VIEW orders_now');

# Of MySQL's connector.
my $mysql = $kafka->create_topic('mysql', 1);
my ($first, $rest) = recorded('mysql');
sql(<<SQL);
CREATE FOREIGN TABLE of_mysql (id int, customer text, amount numeric, big text, at timestamptz, seen timestamp OPTIONS (time_format 'epoch_ms'), day int, ok int, tags text, note text)
	SERVER broker OPTIONS (topic '$mysql', changes 'debezium', key 'id');
CREATE VIEW mysql WITH (streaming.continuous) AS
	SELECT id, customer, amount, length(big) AS big, at AT TIME ZONE 'UTC' AS at, seen, date '1970-01-01' + day AS day, ok, tags::jsonb AS tags, note FROM of_mysql;
SQL
foreach my $part (
	[ $first, <<ROWS ],
1|Ann|13.75||2026-01-01 12:00:00|1969-12-31 23:59:58|2026-01-01|1|{"a": [1, "x"]}|
4|Zo\xc3\xab|4.00|||||1||
5|Maxi|5.00|||||1||
30|Eve|1.05|12800|2026-01-02 00:00:00.5|2026-01-02 03:04:05|2026-02-03||[]|
ROWS
	[ $rest, "7|Tim|7.77|||||0||replaced\n" ])
{
	my ($messages, $rows) = @$part;

	$kafka->produce($mysql, 0, $messages);
	drain($node, 'mysql');
	is(sql('SELECT * FROM mysql ORDER BY id') . "\n", $rows, 'as the table of MySQL was');
}
is(sql(q(SELECT string_agg(error, '; ') FROM streaming.rejected_rows WHERE stream = 'of_mysql'::regclass)), '', 'nothing of it is rejected');

# In Avro, by a schema that the stream says.
sub long  { return chr($_[0] << 1) }
sub bytes { return long(length $_[0]) . $_[0] }
sub avro_row { my ($row) = @_; return $row ? long(1) . long($row->[0]) . (defined $row->[1] ? long(1) . bytes($row->[1]) : long(0)) : long(0) }
sub avro_envelope { my ($op, $before, $after) = @_; return avro_row($before) . avro_row($after) . bytes($op) }
my $avro = $kafka->create_topic('avro', 1);
sql(<<SQL);
CREATE FOREIGN TABLE of_avro (id int, v text) SERVER broker OPTIONS (topic '$avro', format 'avro', changes 'debezium', key 'id',
	avro_schema '{"type": "record", "name": "Envelope", "fields": [
		{"name": "before", "type": ["null", {"type": "record", "name": "Value", "fields": [
			{"name": "id", "type": "int"}, {"name": "v", "type": ["null", "string"], "default": null}]}], "default": null},
		{"name": "after", "type": ["null", "Value"], "default": null}, {"name": "op", "type": "string"}]}');
CREATE VIEW avro WITH (streaming.continuous) AS SELECT * FROM of_avro;
SQL
$kafka->produce_bytes($avro, 0, [ avro_envelope('r', undef, [ 1, 'a' ]), avro_envelope('c', undef, [ 2, 'b' ]), avro_envelope('u', [ 1, 'a' ], [ 1, undef ]),
	avro_envelope('c', undef, [ 3, 'c' ]), avro_envelope('d', [ 2, 'b' ]), avro_envelope('u', [ 3, 'c' ], [ 4, 'd' ]), avro_envelope('u', [ 3, 'c' ], [ 3, '__debezium_unavailable_value' ]) ]);
rows_are('avro', [ '1|', '3|c' ], 'Avro');
is(sql(q(SELECT string_agg(error, '; ' ORDER BY position::int) FROM streaming.rejected_rows WHERE stream = 'of_avro'::regclass)),
	'an update changes column "id" of the key (Set the option "key" to the columns that make the key of the message: changes of those come as a deletion and an insertion.);'
		. ' column "v": value is not in the change event (The table\'s REPLICA IDENTITY must be FULL for values that are large and do not change.)',
	'what is not told is rejected');
$kafka->produce($keys{envelope}, 0, [ [ '{}', '{"op": "u", "before": null, "after": {"id": 8, "v": "__debezium_unavailable_value"}}' ] ]);
rows_are('envelope', ['8|after'], 'a value that was not sent is none');

# --- options that cannot change, writing ---------------------------------------------

my $stderr;
$node->psql('postgres', q(ALTER FOREIGN TABLE of_text OPTIONS (SET key 'v')), stderr => \$stderr);
like($stderr, qr/cannot change option "key" of stream "of_text" because continuous view "text" depends on it/, 'the key stays');
$node->psql('postgres', q(ALTER FOREIGN TABLE of_text OPTIONS (SET changes 'append')), stderr => \$stderr);
like($stderr, qr/cannot change option "changes"/, 'and what records do');
$node->psql('postgres', q(INSERT INTO of_envelope VALUES (1, 'x')), stderr => \$stderr);
like($stderr, qr/cannot write to stream public.of_envelope, whose records are Debezium change events/, 'envelopes are not written');
$node->psql('postgres', q(INSERT INTO of_text VALUES (NULL, 'x')), stderr => \$stderr);
like($stderr, qr/null value in column "id" of the key of stream public.of_text/, 'nor rows without a key');
sql(q(INSERT INTO of_text VALUES (1, 'inserted'), (6, 'new')));
ok(wait_for($node, 'SELECT * FROM text ORDER BY id', "1|inserted\n5|good\n6|new"), 'INSERT writes rows that replace others');

# --- random histories, and kills -------------------------------------------------------

my $topic = $kafka->create_topic('changes', 3);
my $envelopes = $kafka->create_topic('envelopes', 1);
my $out = $kafka->create_topic('out', 2);
sql(<<SQL);
CREATE FOREIGN TABLE raw (value text, key text OPTIONS (metadata 'key'), part int OPTIONS (metadata 'partition'), off bigint OPTIONS (metadata 'offset'))
	SERVER broker OPTIONS (topic '$topic', format 'text');
CREATE FOREIGN TABLE raw_envelopes (value text, off bigint OPTIONS (metadata 'offset')) SERVER broker OPTIONS (topic '$envelopes', format 'text');
CREATE FOREIGN TABLE items (k int, v int, s text) SERVER broker OPTIONS (topic '$topic', changes 'upsert', key 'k');
CREATE FOREIGN TABLE owners (k int, v int) SERVER broker OPTIONS (topic '$envelopes', changes 'debezium', key 'k');
CREATE FOREIGN TABLE out (s text, n bigint, total bigint) SERVER broker OPTIONS (topic '$out', changes 'upsert', key 's');
-- what PostgreSQL makes of the messages
CREATE VIEW items_batch AS
	SELECT (value::json->>'k')::int AS k, (value::json->>'v')::int AS v, value::json->>'s' AS s
	FROM (SELECT DISTINCT ON (key) value FROM raw ORDER BY key, off DESC) x WHERE value IS NOT NULL;
CREATE VIEW owners_batch AS
	WITH e AS (SELECT off, value::json AS e FROM raw_envelopes WHERE value IS NOT NULL),
		rows AS (SELECT off, CASE e->>'op' WHEN 'd' THEN e->'before' ELSE e->'after' END AS row, e->>'op' AS op FROM e WHERE off > (SELECT coalesce(max(off), -1) FROM e WHERE e->>'op' = 't'))
	SELECT k, v FROM (SELECT DISTINCT ON ((row->>'k')::int) (row->>'k')::int AS k, (row->>'v')::int AS v, op FROM rows
		ORDER BY (row->>'k')::int, off DESC) x WHERE op <> 'd';
CREATE VIEW rows WITH (streaming.continuous) AS SELECT * FROM items;
CREATE VIEW groups WITH (streaming.continuous) AS SELECT s, count(*) AS n, sum(v) AS total, max(v) FROM items GROUP BY s;
CREATE VIEW joined WITH (streaming.continuous) AS SELECT i.k, i.v, o.v AS owner FROM items i LEFT JOIN owners o USING (k);
CREATE VIEW slow WITH (streaming.trigger = '300 ms') AS SELECT k, v FROM owners WHERE v % 2 = 0;
CREATE VIEW drained WITH (streaming.trigger = 'manual', streaming.max_rows_per_trigger = 100) AS SELECT k % 7 AS r, count(*), min(v) FROM items GROUP BY 1;
CREATE VIEW above WITH (streaming.continuous) AS SELECT v % 5 AS r, count(*) FROM rows GROUP BY 1;
CREATE VIEW written WITH (streaming.sink = 'out') AS SELECT s, count(*) AS n, sum(v) AS total FROM items GROUP BY s;
SQL

my %batch = (
	rows    => 'SELECT * FROM items_batch',
	groups  => 'SELECT s, count(*) AS n, sum(v) AS total, max(v) FROM items_batch GROUP BY s',
	joined  => 'SELECT i.k, i.v, o.v AS owner FROM items_batch i LEFT JOIN owners_batch o USING (k)',
	slow    => 'SELECT k, v FROM owners_batch WHERE v % 2 = 0',
	drained => 'SELECT k % 7 AS r, count(*), min(v) FROM items_batch GROUP BY 1',
	above   => 'SELECT v % 5 AS r, count(*) FROM items_batch GROUP BY 1',
);

my $load = StreamingLoad->changes($kafka, $topic, 3, 300);
my $other = StreamingLoad->envelopes($kafka, $envelopes, 200);

foreach my $round (1 .. rounds(2))
{
	foreach my $victim ('postmaster', 'streaming ingest', 'streaming query')
	{
		$load->wait_for_more(2);
		$other->wait_for_more(1);
		sleep rand 0.2;
		kill9($node, $victim);
		drain($node, 'drained') if $round % 2;
	}
}
$load->wait_for_more(2);
$_->stop foreach $load, $other;

foreach my $view (sort keys %batch)
{
	drain($node, $view);
	same_as_batch($node, $view, $batch{$view}, "$view is right after all kills");
}
foreach my $stream (qw(items owners))
{
	is(sql("SELECT count(*) FROM (SELECT * FROM $stream EXCEPT ALL SELECT * FROM ${stream}_batch) x"), 0, "SELECT from $stream has no row too many");
	is(sql("SELECT count(*) FROM (SELECT * FROM ${stream}_batch EXCEPT ALL SELECT * FROM $stream) x"), 0, 'and none too few');
}
ok(sql('SELECT count(*) > 50 FROM items') eq 't' && sql('SELECT count(*) > 0 FROM owners') eq 't', 'there are rows');
is(sql(q(SELECT state_rows = (SELECT count(*) FROM items_batch) FROM streaming.stat_views WHERE view = 'rows'::regclass)), 't', 'a row a key is kept');
is(sql(q(SELECT count(*) FROM streaming.rejected_rows WHERE stream IN ('items'::regclass, 'owners'::regclass))), 0, 'nothing was rejected');

# What a view writes to a topic as rows that change is there again.
ok(wait_for($node, <<'SQL', '0'), 'a view that writes changes is read as it is');
SELECT count(*) FROM (
	(SELECT * FROM out EXCEPT ALL SELECT s, count(*), sum(v) FROM items_batch GROUP BY s) UNION ALL
	(SELECT s, count(*), sum(v) FROM items_batch GROUP BY s EXCEPT ALL SELECT * FROM out)) x
SQL

# Begun anew, they are the same.
sql(qq(SELECT streaming.reset('$_'))) foreach qw(rows joined);
foreach my $view (qw(rows joined above))
{
	drain($node, $view);
	same_as_batch($node, $view, $batch{$view}, "$view is right after a reset");
}

$node->stop;
done_testing();
