# Kafka topics that are written to, as a consumer of committed messages sees
# them: views in all output modes, INSERT and COPY, keys, tombstones, metadata.

use strict;
use warnings;

use StreamingKafka;
use StreamingTest;
use Test::More;

my $kafka = StreamingKafka->shared;
my $node = new_node('main');
my %topic = map { $_ => $kafka->create_topic($_, 2) } qw(source plain keyed odd_keys whole inserted csv big);

# What arrives in a topic, in the order of partitions and offsets.
sub arrived
{
	my ($name) = @_;

	return map { [ $_->[2], $_->[3] ] } $kafka->consume($topic{$name});
}

sub error_of
{
	my ($sql) = @_;
	my $error = '';

	$node->psql('postgres', $sql, stderr => \$error);
	return $error;
}

sub values_of { return join "\n", sort map { $_->[1] // 'NULL' } arrived($_[0]) }

sub arrives
{
	my ($name, $n, $test) = @_;

	ok(wait_until(sub { arrived($name) >= $n }), $test) or diag(values_of($name));
	return;
}

# A broker may say that a transaction has ended before its readers are told.
sub is_soon
{
	my ($code, $expected, $test) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	wait_until(sub { $code->() eq $expected });
	return is($code->(), $expected, $test);
}

$node->safe_psql('postgres', <<SQL);
CREATE SERVER broker FOREIGN DATA WRAPPER kafka OPTIONS (${\$kafka->options});
CREATE FOREIGN TABLE source (id int, k text, n numeric) SERVER broker OPTIONS (topic '$topic{source}');
CREATE FOREIGN TABLE plain (n bigint, label varchar(5), extra text DEFAULT 'none') SERVER broker OPTIONS (topic '$topic{plain}');
CREATE FOREIGN TABLE keyed (k text, half int, rows bigint, total numeric) SERVER broker OPTIONS (topic '$topic{keyed}', key 'k,half');
CREATE FOREIGN TABLE whole (k text, rows bigint) SERVER broker OPTIONS (topic '$topic{whole}');
SQL

# Append: a message per row, columns by name, cast as an INSERT casts.
$node->safe_psql('postgres', <<'SQL');
CREATE VIEW appended WITH (streaming.sink = 'plain') AS SELECT k AS label, n FROM source WHERE id > 0;
SQL
$kafka->produce($topic{source}, 0, [ '{"id": 1, "k": "a", "n": 1.4}', '{"id": 0, "k": "no"}', '{"id": 2, "k": "b"}' ]);
drain($node, 'appended');
is_soon(sub { values_of('plain') }, qq({"n":1,"label":"a","extra":"none"}\n{"n":null,"label":"b","extra":"none"}),
	'append: a message per row');
is($node->safe_psql('postgres', 'SELECT * FROM appended ORDER BY label'), "a|1\nb|", 'the view reads the topic');

# A row that the sink cannot take stops the view, not the others.
$kafka->produce($topic{source}, 0, [ '{"id": 3, "k": "too long"}' ]);
like(error_of("SELECT streaming.drain('appended', '60 s')"),
	qr/value too long for type character varying\(5\)/, 'a row that cannot be cast is an error of the view');
$node->safe_psql('postgres', 'DROP VIEW appended');

# Update: keyed messages, tombstones.
my $totals = <<'SQL';
SELECT k, id / 10 AS half, count(*) AS rows, sum(n) AS total FROM source GROUP BY k, id / 10 HAVING count(*) < 3
SQL
$node->safe_psql('postgres', "CREATE VIEW totals WITH (streaming.sink = 'keyed', streaming.max_rows_per_trigger = 100) AS $totals");
drain($node, 'totals');
$kafka->produce($topic{source}, 1, [ map { qq({"id": $_, "k": "a", "n": $_}) } 11, 12 ]);
drain($node, 'totals');
$kafka->produce($topic{source}, 1, [ '{"id": 13, "k": "a", "n": 13}', '{"id": 5, "k": "b", "n": 5}' ]);
drain($node, 'totals');

# What a compacted topic would hold in the end.
sub compacted
{
	my %last = map { $_->[0] => $_->[1] // 'NULL' } arrived('keyed');

	return join "\n", map { "$_ $last{$_}" } sort keys %last;
}
is_soon(\&compacted, join("\n",
		'{"k":"a","half":0} {"k":"a","half":0,"rows":1,"total":1.4}',
		'{"k":"a","half":1} NULL',
		'{"k":"b","half":0} {"k":"b","half":0,"rows":2,"total":5}',
		'{"k":"no","half":0} {"k":"no","half":0,"rows":1,"total":null}',
		'{"k":"too long","half":0} {"k":"too long","half":0,"rows":1,"total":null}'),
	'update: the last message of each key is the row, or a tombstone');
my %partitions;
push @{ $partitions{ $_->[2] } }, $_->[0] foreach $kafka->consume($topic{keyed});
is(scalar(grep { my %p = map { $_ => 1 } @$_; keys %p > 1 } values %partitions), 0,
	'messages of a key are in one partition');

# Complete: the whole result each time.
$node->safe_psql('postgres', <<'SQL');
CREATE VIEW everything WITH (streaming.sink = 'whole', streaming.output_mode = 'complete') AS
	SELECT k, count(*) AS rows FROM source GROUP BY k;
SQL
drain($node, 'everything');
is_soon(sub { scalar arrived('whole') }, 4, 'complete: the result');
$kafka->produce($topic{source}, 1, [ '{"id": 1, "k": "c"}' ]);
drain($node, 'everything');
is_soon(sub { scalar arrived('whole') }, 9, 'complete: and again with each batch, whole');

# INSERT and COPY.
$node->safe_psql('postgres', <<SQL);
CREATE FOREIGN TABLE inserted (id int, s text,
	key text OPTIONS (metadata 'key'), part int OPTIONS (metadata 'partition'),
	at timestamptz OPTIONS (metadata 'timestamp'), headers jsonb OPTIONS (metadata 'headers'),
	pos bigint OPTIONS (metadata 'offset'))
	SERVER broker OPTIONS (topic '$topic{inserted}');
BEGIN;
INSERT INTO inserted VALUES (1, 'x', 'one', 1, '2020-02-02 02:02:02.222+00', '{"a": "b", "n": [1, "two", null]}', 77);
SAVEPOINT s;
INSERT INTO inserted (id) VALUES (2);
ROLLBACK TO s;
INSERT INTO inserted (id, s) SELECT 3, repeat('long', 100000);
COMMIT;
BEGIN;
INSERT INTO inserted (id) VALUES (4);
ROLLBACK;
SQL
$node->safe_psql('postgres', "COPY inserted (id, key) FROM stdin;\n5\tfive\n6\t\\N\n\\.\n");
arrives('inserted', 4, 'INSERT and COPY arrive');
is($node->safe_psql('postgres', <<'SQL'), <<'END' =~ s/\n\z//r, 'with what their metadata columns say, and without what was rolled back');
SELECT id, length(s), key, CASE WHEN id = 1 THEN part::text ELSE 'X' END, at = '2020-02-02 02:02:02.222+00', headers, pos IS NOT NULL
FROM inserted ORDER BY id
SQL
1|1|one|1|t|{"a": "b", "n": ["1", "two", null]}|t
3|400000||X|f||t
5||five|X|f||t
6|||X|f||t
END

# Rights are those of any table.
$node->safe_psql('postgres', 'CREATE ROLE guest; GRANT SELECT ON inserted TO guest');
like(error_of('SET ROLE guest; INSERT INTO inserted (id) VALUES (7)'),
	qr/permission denied for foreign table inserted/, 'INSERT needs the right to');
$node->safe_psql('postgres', 'GRANT INSERT ON inserted TO guest; SET ROLE guest; INSERT INTO inserted (id) VALUES (7)');
arrives('inserted', 5, 'and nothing else');
ok(wait_for($node, 'SET ROLE guest; SELECT count(*), count(last_error) FROM streaming.stat_sinks WHERE delivered_rows > 0', '4|0'), 'all may see what was delivered');
like(error_of('SET ROLE guest; SELECT * FROM streaming_internal.outbox'), qr/permission denied/, 'the outbox is nobody\'s to read');

# CSV.
$node->safe_psql('postgres', <<SQL);
CREATE FOREIGN TABLE lines (a int, b text) SERVER broker OPTIONS (topic '$topic{csv}', format 'csv', delimiter ';', key 'a');
INSERT INTO lines VALUES (1, 'x;y'), (2, NULL);
SQL
arrives('csv', 2, 'CSV values arrive');
is(join("\n", sort map { "$_->[0] $_->[1]" } arrived('csv')), qq(1 1;"x;y"\n2 2;), 'with the column as their key');

# Keys that are empty or NULL have their place, too; six times, lest it be chance.
$node->safe_psql('postgres', <<SQL);
CREATE FOREIGN TABLE rows (k text) SERVER streaming;
CREATE FOREIGN TABLE odd_keys (k text, n bigint) SERVER broker OPTIONS (topic '$topic{odd_keys}', key 'k');
CREATE VIEW odd WITH (streaming.sink = 'odd_keys', streaming.trigger = 'manual') AS SELECT k, count(*) AS n FROM rows GROUP BY k HAVING count(*) <= 5;
SQL
$node->safe_psql('postgres', q(INSERT INTO rows VALUES (''), (NULL), ('x'); SELECT streaming.drain('odd', '60 s'))) foreach 1 .. 6;
my (%place, %values);
wait_until(sub { arrived('odd_keys') >= 18 });
foreach ($kafka->consume($topic{odd_keys}))
{
	my ($partition, undef, $key, $value) = @$_;
	$key //= 'no key';
	$place{$key}{$partition} = 1;
	push @{ $values{$key} }, $value // 'none';
}
is(join(' ', map { "<$_>" . scalar(keys %{ $place{$_} }) } sort keys %place), '<>1 <x>1 <{"k":null}>1', 'an empty key is one, and NULL has one');
is($values{''}[-2] . $values{'{"k":null}'}[-2], '{"k":"","n":5}{"k":null,"n":5}', 'with their rows');
is($values{''}[-1] . $values{'{"k":null}'}[-1], 'nonenone', 'and their tombstones');

# A message that the broker refuses.
$node->safe_psql('postgres', <<SQL);
CREATE SERVER narrow FOREIGN DATA WRAPPER kafka OPTIONS (${\$kafka->options}, message_max_bytes '10000');
CREATE FOREIGN TABLE big (s text) SERVER narrow OPTIONS (topic '$topic{big}');
INSERT INTO big VALUES ('fits'), (repeat('x', 20000));
SQL
ok(wait_for($node, q(SELECT status || last_error FROM streaming.stat_sinks WHERE stream = 'big'::regclass),
		qr/retrying.*Message size too large/s), 'a message that is too large is shown as the reason');
is(scalar(arrived('big')), 0, 'and nothing of its delivery is seen');
$node->safe_psql('postgres', q(ALTER SERVER narrow OPTIONS (SET message_max_bytes '900000')));
arrives('big', 2, 'another setting lets it pass');

# Monitoring.
ok(wait_for($node, q(SELECT pending_rows, pending_bytes, delivered_rows, delivered_bytes > 0, status, last_error, last_delivery_at <= now()
	FROM streaming.stat_sinks WHERE stream = 'inserted'::regclass), '0|0|5|t|running||t'), 'stat_sinks');
ok(wait_for($node, 'SELECT count(*) FROM streaming_internal.outbox', '0'), 'the outbox is empty');

# Back-pressure: nobody delivers, so the view stops and an INSERT waits.
$node->safe_psql('postgres', <<SQL);
ALTER SYSTEM SET streaming.stop_point = 'delivery_intended';
ALTER SYSTEM SET streaming.outbox_size = '1kB';
SELECT pg_reload_conf();
SQL
ok(wait_for($node, 'SHOW streaming.outbox_size', '1kB'), 'a small outbox');
$node->safe_psql('postgres', "INSERT INTO inserted (id, s) SELECT i, repeat('x', 100) FROM generate_series(100, 119) i");
ok(wait_for($node, q(SELECT pending_rows FROM streaming.stat_sinks WHERE stream = 'inserted'::regclass), '20'), 'is full');
like(error_of("SET statement_timeout = '500ms'; INSERT INTO inserted (id) VALUES (200)"),
	qr/canceling statement due to statement timeout/, 'an INSERT waits, and can be cancelled');
$node->safe_psql('postgres', <<SQL);
CREATE FOREIGN TABLE copies (id int, k text, n numeric) SERVER broker OPTIONS (topic '$topic{inserted}');
CREATE VIEW copied WITH (streaming.sink = 'copies') AS SELECT * FROM source;
SQL
ok(wait_for($node, q(SELECT pending_bytes >= 1 FROM streaming.stat_sinks WHERE stream = 'copies'::regclass)), 'a view fills its own');
$kafka->produce($topic{source}, 0, [ map { qq({"id": $_, "k": "$_"}) } 1000 .. 1100 ]);
ok(wait_for($node, q(SELECT status, last_error ~ 'streaming.outbox_size' FROM streaming.views WHERE view = 'copied'::regclass),
		'waiting|t'), 'and waits until that is delivered');
$node->safe_psql('postgres', <<SQL);
ALTER SYSTEM RESET streaming.stop_point;
SELECT pg_reload_conf();
INSERT INTO inserted (id) VALUES (201);
SQL
pass('then INSERT goes on');
drain($node, 'copied');
ok(wait_for($node, 'SELECT count(*) >= 101 FROM copies WHERE k IS NOT NULL'), 'and so does the view');

# A stream that moves to another topic, and back.
my $moved = $kafka->create_topic('moved');
$node->safe_psql('postgres', "ALTER FOREIGN TABLE inserted OPTIONS (SET topic '$moved'); INSERT INTO inserted (id) VALUES (250), (251)");
ok(wait_until(sub { my @messages = $kafka->consume($moved); @messages == 2 }), 'another topic');
$node->safe_psql('postgres', "ALTER FOREIGN TABLE inserted OPTIONS (SET topic '$topic{inserted}'); INSERT INTO inserted (id) VALUES (252)");
ok(wait_until(sub { grep { $_->[1] =~ /"id":252,/ } arrived('inserted') }), 'and back');
is(scalar(grep { $_->[1] =~ /"id":25[01],/ } arrived('inserted')), 0, 'each message goes to one');

# A worker that has nothing to do goes, and comes back.
$node->safe_psql('postgres', q(ALTER SYSTEM SET streaming.delivery_idle_timeout = '100ms'));
$node->reload;
ok(wait_until(sub { worker_pids($node, 'streaming delivery') == 0 }), 'idle workers end');
ok(wait_for($node, q(SELECT DISTINCT status FROM streaming.stat_sinks), 'idle'), 'and are idle');
for my $i (300 .. 303)
{
	$node->safe_psql('postgres', "INSERT INTO inserted (id) VALUES ($i)");
	ok(wait_until(sub { grep { $_->[1] =~ /"id":$i,/ } arrived('inserted') }), "row $i has one started");
	wait_until(sub { worker_pids($node, 'streaming delivery') == 0 });
}
drain($node, 'copied');
pass('drain has one started');
$node->safe_psql('postgres', q(ALTER SYSTEM RESET streaming.delivery_idle_timeout));
$node->restart;
$kafka->produce($topic{source}, 0, ['{"id": 2000, "k": "restarted"}']);
drain($node, 'copied');
ok(wait_for($node, q(SELECT count(*) FROM copies WHERE k = 'restarted'), '1'), 'also after a restart');

# Dropping a stream forgets all about it.
$node->safe_psql('postgres', 'DROP FOREIGN TABLE lines');
is($node->safe_psql('postgres', 'SELECT count(*) FROM streaming_internal.deliveries d WHERE NOT EXISTS (SELECT FROM pg_class WHERE oid = d.stream)'),
	'0', 'a dropped stream leaves no row');
ok(wait_until(sub { worker_pids($node, 'streaming delivery') < $node->safe_psql('postgres', 'SELECT count(*) FROM streaming_internal.deliveries') + 1 }),
	'and no worker');

$node->stop;
done_testing();
