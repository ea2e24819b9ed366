# What a view on a Kafka topic shows: values, metadata, and where it begins.

use strict;
use warnings;

use StreamingKafka;
use StreamingTest;
use Test::More;

my $kafka = StreamingKafka->shared;
my $node = new_node('main');
my $topic = $kafka->create_topic('basic', 4);

$node->safe_psql('postgres', <<SQL);
CREATE SERVER broker FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers '${\$kafka->address}');
CREATE FOREIGN TABLE clicks (
	k text,
	n int OPTIONS (field 'num'),
	at timestamptz OPTIONS (time_format 'epoch_ms'),
	doc jsonb,
	key text OPTIONS (metadata 'key'),
	part int OPTIONS (metadata 'partition'),
	off bigint OPTIONS (metadata 'offset'),
	ts timestamptz OPTIONS (metadata 'timestamp'),
	headers jsonb OPTIONS (metadata 'headers'),
	topic text OPTIONS (metadata 'topic')
) SERVER broker OPTIONS (topic '$topic', format 'json');
SQL

# Some before the views, some after.
foreach my $p (0 .. 3)
{
	$kafka->produce($topic, $p, [ map { sprintf '{"k": "k%d", "num": %d}', $_, $_ * 10 + $p } 0 .. 99 ]);
}
$node->safe_psql('postgres', <<'SQL');
CREATE VIEW per_part WITH (streaming.continuous) AS
	SELECT part, count(*) AS rows, count(n) AS ns, sum(n), min(off), max(off) FROM clicks GROUP BY part;
CREATE VIEW everything WITH (streaming.continuous) AS SELECT * FROM clicks;
SQL
drain($node, 'per_part');
is($node->safe_psql('postgres', 'SELECT * FROM per_part ORDER BY part'),
	join("\n", map { "$_|100|100|" . (49500 + 100 * $_) . '|0|99' } 0 .. 3),
	'a view begins with what the topic holds, in all partitions');

$kafka->produce($topic, 1,
	[ [ 'the key', '{"k": "caf\u00e9 \"x\"", "num": 7, "at": 1700000000123, "doc": {"a": [1, null]}}' ] ],
	'-H', 'source=web', '-H', 'empty=');
$kafka->produce($topic, 2, [ [ 'gone', undef ] ]);
drain($node, 'everything');
is($node->safe_psql('postgres', <<'SQL'), qq(café "x"|7|2023-11-14 22:13:20.123|{"a": [1, null]}|the key|1|100|web|t|$topic), 'value and metadata of a message');
SELECT k, n, at AT TIME ZONE 'UTC', doc, key, part, off, headers ->> 'source', ts > now() - interval '1 hour' AND ts <= now(), topic
FROM everything WHERE part = 1 AND off = 100
SQL
is($node->safe_psql('postgres', 'SELECT k, n, doc, key, off FROM everything WHERE part = 2 AND off = 100'),
	'|||gone|100', 'a tombstone is a row of nulls with its key');

# The same query as a batch is the oracle.
drain($node, $_) foreach qw(per_part everything);
same_as_batch($node, 'everything', 'SELECT * FROM clicks');
same_as_batch($node, 'per_part',
	'SELECT part, count(*) AS rows, count(n) AS ns, sum(n), min(off), max(off) FROM clicks GROUP BY part');

# What monitoring tells.
is($node->safe_psql('postgres', <<'SQL'), join("\n", '0|100', '1|101', '2|101', '3|100'), 'checkpoints are offsets of the next records');
SELECT partition, position FROM streaming.checkpoints WHERE view = 'per_part'::regclass ORDER BY partition
SQL
ok(wait_for($node, <<'SQL', join("\n", '0|100|100|0', '1|101|101|0', '2|101|101|0', '3|100|100|0')), 'stat_streams tells positions, ends and lag');
SELECT partition, position, end_position, lag_rows FROM streaming.stat_streams
WHERE stream = 'clicks'::regclass ORDER BY partition
SQL
is($node->safe_psql('postgres', 'SELECT sum(rows_read) = max(rows_read), count(rows_read), count(*) FROM streaming.stat_streams'), 't|1|4',
	'what was read is counted once');
is($node->safe_psql('postgres', <<'SQL'), '402|402|0|t|t', 'stat_views tells totals');
SELECT input_rows, output_rows, lag_rows, batches > 0, last_batch_ms > 0 AND last_batch_at > now() - interval '1 hour'
FROM streaming.stat_views WHERE view = 'everything'::regclass
SQL
is($node->safe_psql('postgres', <<'SQL'), '402|t', 'batches tells the batches');
SELECT sum(input_rows), bool_and(duration_ms >= 0 AND started_at <= now()) FROM streaming.batches WHERE view = 'everything'::regclass
SQL

# Where views begin.
my $between = $node->safe_psql('postgres', "SELECT max(ts) + interval '1 ms' FROM clicks");
$kafka->produce($topic, 0, [ map { qq({"k": "between", "num": $_}) } 1 .. 5 ]);
$node->safe_psql('postgres', <<SQL);
CREATE VIEW from_latest WITH (streaming.start = 'latest') AS SELECT k, count(*) AS n FROM clicks GROUP BY k;
CREATE VIEW from_time WITH (streaming.start = '$between') AS SELECT k, count(*) AS n FROM clicks GROUP BY k;
SQL
drain($node, $_) foreach qw(from_latest from_time);
is($node->safe_psql('postgres', 'SELECT * FROM from_latest'), '', 'latest leaves out what is there');
is($node->safe_psql('postgres', 'SELECT * FROM from_time'), 'between|5', 'a timestamp is where to begin');
$kafka->produce($topic, 3, [ '{"k": "after"}' ]);
drain($node, $_) foreach qw(from_latest from_time);
is($node->safe_psql('postgres', 'SELECT * FROM from_latest'), 'after|1', 'latest takes what comes');
is($node->safe_psql('postgres', 'SELECT * FROM from_time ORDER BY 1'), "after|1\nbetween|5", 'so does a timestamp');

# Partitions that are added later.
$kafka->grow_topic($topic, 5);
$kafka->produce($topic, 4, [ '{"k": "new", "num": 1}' ]);
ok(wait_for($node, 'SELECT rows FROM per_part WHERE part = 4', '1'), 'a new partition is read from its beginning');

# CSV values.
my $csv = $kafka->create_topic('csv', 2);
$node->safe_psql('postgres', <<SQL);
CREATE FOREIGN TABLE lines (a int, b text, c date, part int OPTIONS (metadata 'partition'))
SERVER broker OPTIONS (topic '$csv', format 'csv', delimiter ';', null 'NULL');
CREATE VIEW csv_rows WITH (streaming.continuous) AS SELECT * FROM lines;
SQL
$kafka->produce($csv, 0, [ '1;plain;2026-01-02', qq(2;"quoted; ""and""\nbroken";2026-01-03) ]);
$kafka->produce($csv, 1, [ '3;NULL;NULL', '4;;2026-01-04' ]);
drain($node, 'csv_rows');
is($node->safe_psql('postgres', q(SELECT a, replace(b, E'\n', '\n'), b IS NULL, c, part FROM csv_rows ORDER BY a)),
	join("\n", '1|plain|f|2026-01-02|0', '2|quoted; "and"\nbroken|f|2026-01-03|0', '3||t||1', '4||f|2026-01-04|1'),
	'CSV values');
same_as_batch($node, 'csv_rows', 'SELECT * FROM lines');

$node->stop;
done_testing();
