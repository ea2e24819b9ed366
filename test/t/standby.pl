# A standby shows the views, and goes on with them when it is promoted.

use strict;
use warnings;

use StreamingTest;
use Test::More;

my $primary = new_node('primary', 'wal_level = replica', 'max_wal_senders = 5', 'hot_standby = on');
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
is($standby->safe_psql('postgres', q(SELECT count(*) FROM streaming.views)), 3, 'views are listed');
like(($standby->psql('postgres', 'SELECT * FROM in_memory'))[2], qr/unlogged/, 'a view in memory cannot be read there');
my ($ret, $out, $err) = $standby->psql('postgres', q(SELECT streaming.drain('of_rows')));
like($err, qr/recovery|read-only/, 'drain says that it cannot');

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

$standby->stop;
done_testing();
