# Views without input cost nothing.

use strict;
use warnings;

use StreamingTest;
use Test::More;

my $node = new_node('main', 'autovacuum = off');
my $dir = $node->basedir . '/landing';
mkdir $dir;

$node->safe_psql('postgres', <<SQL);
CREATE FOREIGN TABLE s (k int, v int) SERVER streaming;
CREATE SERVER landing FOREIGN DATA WRAPPER directory OPTIONS (path '$dir');
CREATE FOREIGN TABLE f (k int, v int) SERVER landing OPTIONS (path '*.json');
SQL
foreach my $i (1 .. 20)
{
	my $stream = $i % 2 ? 's' : 'f';
	my $trigger = $i % 4 < 2 ? 'asap' : '100 ms';
	$node->safe_psql('postgres', "CREATE VIEW v$i WITH (streaming.trigger = '$trigger') AS SELECT k, sum(v) FROM $stream GROUP BY k");
}
# They have had input and taken it.
$node->safe_psql('postgres', 'INSERT INTO s SELECT i % 10, i FROM generate_series(1, 1000) i');
put_file($dir, 'a.json', join '', map { qq({"k": 1, "v": $_}\n) } 1 .. 100);
drain($node, "v$_") foreach 1 .. 20;

# Over a stretch of time: there is nothing to wait for.
my $seconds = 5;
my $before = cpu_seconds($node);
$node->safe_psql('postgres', "SELECT pg_sleep($seconds)");
my $used = cpu_seconds($node) - $before;
diag(sprintf '%.2f CPU s in %d s', $used, $seconds);
cmp_ok($used, '<', 0.05 * $seconds, '20 idle views use less than 5 % of a core');

# And are awake at once.
$node->safe_psql('postgres', 'INSERT INTO s VALUES (77, 1)');
ok(wait_for($node, 'SELECT sum FROM v1 WHERE k = 77', '1'), 'a row wakes them');

$node->stop;
done_testing();
