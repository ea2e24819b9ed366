# A recursion that goes on for long, or for ever, takes no memory for each of its rounds.

use strict;
use warnings;

use StreamingTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $rounds = 200_000;
my $node = new_node('main', 'streaming.max_query_workers = 1', 'shared_buffers = 8MB');

# At its most: what a batch has taken it gives back.
sub memory { return slurp_file("/proc/$_[0]/status") =~ /^VmHWM:\s+(\d+) kB/m ? $1 : die; }

$node->safe_psql('postgres', <<SQL);
CREATE FOREIGN TABLE s (a int) SERVER streaming;
CREATE FOREIGN TABLE g (a int) SERVER streaming;
CREATE VIEW v WITH (streaming.continuous) AS WITH RECURSIVE r (a, n) AS (
	SELECT a, 0 FROM s x UNION ALL SELECT r.a, n + 1 FROM r JOIN g y ON y.a = r.a WHERE n < $rounds
) SELECT max(n) AS n, count(*) AS rows FROM r;
INSERT INTO g VALUES (1);
INSERT INTO s VALUES (2);
SQL
drain($node, 'v');
my ($worker) = worker_pids($node, 'streaming query');
my $before = memory($worker);

$node->safe_psql('postgres', 'INSERT INTO s VALUES (1)');
drain($node, 'v');
is($node->safe_psql('postgres', 'SELECT n, rows FROM v'), "$rounds|" . ($rounds + 2), 'it has gone through all rounds');
is((worker_pids($node, 'streaming query'))[0], $worker, 'in one process');
my $more = memory($worker) - $before;
cmp_ok($more, '<', 40_000, "which has not grown with them ($more kB)");

$node->stop;
done_testing();
