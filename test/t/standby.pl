# A standby shows the views, and goes on with them when it is promoted.

use strict;
use warnings;

use StreamingTest;
use Test::More;

my $primary = new_node('primary', q(streaming.buffer_size = '16MB'), 'wal_level = replica', 'max_wal_senders = 5', 'hot_standby = on');
$primary->set_replication_conf;
$primary->reload;
my $dir = $primary->basedir . '/landing';
mkdir $dir;

$primary->safe_psql('postgres', <<SQL);
CREATE SERVER landing FOREIGN DATA WRAPPER directory OPTIONS (path '$dir');
CREATE FOREIGN TABLE f (k int, v int) SERVER landing OPTIONS (path '*.json');
CREATE FOREIGN TABLE s (k int, v int) SERVER streaming OPTIONS (retention '1 hour');
CREATE VIEW of_files WITH (streaming.continuous) AS SELECT k, count(*) AS n, sum(v) FROM f GROUP BY k;
CREATE VIEW of_rows WITH (streaming.continuous) AS SELECT k, count(*) AS n, sum(v) FROM s GROUP BY k;
CREATE FOREIGN TABLE u (k int, v int) SERVER streaming OPTIONS (durable 'false');
CREATE FOREIGN TABLE switched (v int, pad text) SERVER streaming;
CREATE VIEW of_unlogged WITH (streaming.continuous) AS SELECT k, count(*) AS n FROM u GROUP BY k;
CREATE VIEW of_switched WITH (streaming.continuous) AS SELECT count(*) AS n, sum(v) FROM switched;
CREATE VIEW in_memory WITH (streaming.sink = 'memory') AS SELECT k, sum(v) FROM f GROUP BY k;
SQL
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

$primary->safe_psql('postgres', 'INSERT INTO s SELECT i % 3, i FROM generate_series(1, 100) i');
put_file($dir, 'a.json', join '', map { qq({"k": 1, "v": $_}\n) } 1 .. 10);
drain($primary, $_) foreach qw(of_files of_rows in_memory);
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
foreach my $view (qw(of_files of_rows))
{
	is($standby->safe_psql('postgres', "SELECT * FROM $view ORDER BY 1"),
		$primary->safe_psql('postgres', "SELECT * FROM $view ORDER BY 1"), "$view is read on the standby");
}
is($standby->safe_psql('postgres', 'SELECT count(*) FROM f'), 10, 'and so is a stream');
is($standby->safe_psql('postgres', q(SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'streaming %')), 0, 'nothing runs there');
is($standby->safe_psql('postgres', q(SELECT count(*) FROM streaming.views)), 5, 'views are listed');
$primary->safe_psql('postgres', 'INSERT INTO u VALUES (1, 1)');
drain($primary, 'of_unlogged');
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
is($standby->safe_psql('postgres', q(SELECT view, lag_rows IS NULL FROM streaming.stat_views WHERE view IN ('of_rows'::regclass, 'of_unlogged'::regclass) ORDER BY 1::text)), "of_rows|f\nof_unlogged|t", 'statistics are shown, of an unlogged stream without its lag');
is($standby->safe_psql('postgres', q(SELECT count(*) >= 0 FROM streaming.stat_streams)), 't', 'those of streams, too');
is($standby->safe_psql('postgres', 'TABLE of_unlogged'), '1|1', 'a view of an unlogged stream is read');
like(($standby->psql('postgres', 'SELECT * FROM u'))[2], qr/cannot read stream "u" during recovery/, 'the stream is not');
like(($standby->psql('postgres', 'SELECT * FROM in_memory'))[2], qr/unlogged/, 'a view in memory cannot be read there');
my ($ret, $out, $err) = $standby->psql('postgres', q(SELECT streaming.drain('of_rows')));
like($err, qr/recovery|read-only/, 'drain says that it cannot');

# A look at the standby must not make it keep what the primary changes later.
is($standby->safe_psql('postgres', 'SELECT count(*) FROM switched'), 0, 'the first segment');
foreach my $round (1 .. 4)
{
	$primary->safe_psql('postgres', q(INSERT INTO switched SELECT i, repeat('x', 1000) FROM generate_series(1, 10000) i));
	drain($primary, 'of_switched');
}
ok(wait_for($primary, q(SELECT segment > 2 FROM streaming_internal.push_segments WHERE stream = 'switched'::regclass)), 'others have begun');
$primary->safe_psql('postgres', q(ALTER VIEW of_switched SET (streaming.enabled = off); INSERT INTO switched SELECT 1 FROM generate_series(1, 10)));

$primary->safe_psql('postgres', 'INSERT INTO s VALUES (7, 7)');
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
$primary->stop('immediate');
$standby->promote;
$standby->safe_psql('postgres', 'INSERT INTO s VALUES (8, 8)');
put_file($dir, 'b.json', qq({"k": 2, "v": 1}\n));
drain($standby, $_) foreach qw(of_files of_rows in_memory);
same_as_batch($standby, 'of_rows', 'SELECT k, count(*) AS n, sum(v) FROM s GROUP BY k');
is($standby->safe_psql('postgres', 'SELECT sum(n) FROM of_rows'), 102, 'rows of before and after the promotion, once');
is($standby->safe_psql('postgres', 'SELECT * FROM of_files ORDER BY k'), "1|10|55\n2|1|1", 'files too');
is($standby->safe_psql('postgres', 'SELECT * FROM in_memory ORDER BY k'), "1|55\n2|1", 'a view in memory has begun again');

$standby->safe_psql('postgres', q(INSERT INTO switched SELECT 1 FROM generate_series(1, 10); ALTER VIEW of_switched SET (streaming.enabled = on)));
drain($standby, 'of_switched');
is($standby->safe_psql('postgres', 'SELECT * FROM of_switched'), '40020|' . (4 * 50005000 + 20), 'no row is missing where segments have changed');

$standby->stop;
done_testing();
