# What views over several streams, and partitions, need: memory whatever the size, and
# for few rows no more than these touch; what happens and unhappens in a batch is nothing.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use StreamingTest;
use Test::More;

my $node = new_node('main', 'streaming.work_mem = 1MB', 'shared_buffers = 16MB', 'autovacuum = off', 'fsync = off', 'log_temp_files = -1');

sub sql { return $node->safe_psql('postgres', $_[0]); }

sql(<<'SQL');
CREATE FOREIGN TABLE a (id int, k int) SERVER streaming;
CREATE FOREIGN TABLE b (k int, w int) SERVER streaming;
CREATE VIEW joined WITH (streaming.trigger = 'manual') AS SELECT a.id, b.w FROM a JOIN b ON a.k = b.k;
CREATE VIEW ranked WITH (streaming.trigger = 'manual') AS SELECT id, k, row_number() OVER (PARTITION BY k ORDER BY id) AS n FROM a;
INSERT INTO a VALUES (1, 1);
INSERT INTO b VALUES (1, 1);
SQL
drain($node, $_) foreach qw(joined ranked);

# Few rows, planned when the tables were empty, and just after they have been filled.
sql('INSERT INTO a SELECT i, i FROM generate_series(2, 40000) i; INSERT INTO b SELECT i, i FROM generate_series(2, 40000) i');
drain($node, $_) foreach qw(joined ranked);
my $read = q(SELECT coalesce(sum(seq_tup_read), 0) FROM pg_stat_user_tables WHERE schemaname = 'streaming_internal' AND relname ~ '^rows_');
# a worker tells what it has counted when it is idle, or at its end
sub counted { terminate_worker($node, 'streaming query'); drain($node, 'joined'); return sql($read); }
my $before = counted();
sql('INSERT INTO a SELECT 40000 + i, i * 100 FROM generate_series(1, 10) i');
drain($node, $_) foreach qw(joined ranked);
sql('INSERT INTO b SELECT i * 100, 0 FROM generate_series(1, 10) i');
drain($node, $_) foreach qw(joined ranked);
cmp_ok(counted() - $before, '<', 1000, 'ten rows are joined with rows that an index finds');
is(sql('SELECT count(*), sum(w) FROM joined'), '40030|' . (40000 * 40001 / 2 + 100 * 55), 'and are');
is(sql('SELECT count(*) FROM ranked WHERE n = 2'), 10, 'partitions, too');

# One partition of all rows.
sql('CREATE VIEW numbered WITH (streaming.trigger = $$manual$$) AS SELECT id, count(*) OVER () AS n FROM a WHERE k > 0');
sql('INSERT INTO a SELECT i, 1 FROM generate_series(1, 300000) i');
drain($node, 'numbered');
sql('INSERT INTO a VALUES (0, 1)');
drain($node, 'numbered');
my $rows = sql('SELECT count(*) FROM numbered');
is(sql('SELECT count(*) FROM numbered WHERE n <> ' . $rows), 0, 'all rows are one partition');
my ($largest) = sort { $b <=> $a } map { slurp_file("/proc/$_/status") =~ /VmHWM:\s*(\d+)/ ? $1 : () } worker_pids($node, 'streaming query');
diag(sprintf '%d MB for a partition of %d rows', $largest / 1024, $rows);
cmp_ok($largest, '<', 90 * 1024, 'in little memory');

# Six batches of the view below are one here: rows come and go in any order.
sql(<<'SQL');
CREATE FOREIGN TABLE s (k int) SERVER streaming;
CREATE FOREIGN TABLE t (k int, w numeric) SERVER streaming;
CREATE VIEW counts WITH (streaming.trigger = 'manual') AS SELECT k, count(*) AS n FROM s GROUP BY k;
CREATE VIEW above WITH (streaming.trigger = 'manual') AS SELECT counts.k, n, w FROM counts JOIN t USING (k);
CREATE VIEW most WITH (streaming.trigger = 'manual') AS SELECT k, n, rank() OVER (PARTITION BY n % 3 ORDER BY n DESC, k) AS r FROM counts;
INSERT INTO s SELECT i FROM generate_series(1, 3000) i;
INSERT INTO t SELECT i, j FROM generate_series(1, 3000) i, generate_series(1, 3) j;
SQL
drain($node, $_) foreach qw(counts above most);
foreach (1 .. 6)
{
	sql('INSERT INTO s SELECT i FROM generate_series(1, 3000) i');
	drain($node, 'counts');
}
drain($node, $_) foreach qw(above most);
same_as_batch($node, 'above', 'SELECT i AS k, 7::bigint AS n, j::numeric AS w FROM generate_series(1, 3000) i, generate_series(1, 3) j', 'a join of what has come and gone');
same_as_batch($node, 'most', 'SELECT i AS k, 7::bigint AS n, i::bigint AS r FROM generate_series(1, 3000) i', 'partitions of it');
is(sql(q(SELECT output_rows FROM streaming.batches WHERE view = 'above'::regclass ORDER BY batch_id DESC LIMIT 1)), 18000, 'no more is handed up than differs');

# No temporary file, of those that 1 MB makes necessary, is left to the commit.
unlike(slurp_file($node->logfile), qr/temporary file leak/, 'temporary files are closed');

$node->stop;
done_testing();
