# Views and streams are altered and dropped while batches run.

use strict;
use warnings;

use StreamingLoad;
use StreamingTest;
use Test::More;

my $node = new_node('main', 'streaming.retry_max = 1s');
my $dir = $node->basedir . '/landing';
mkdir $dir;

$node->safe_psql('postgres', <<SQL);
CREATE FOREIGN TABLE pushed (tx bigint, k int, v int) SERVER streaming;
CREATE TABLE mirror (tx bigint, k int, v int);
CREATE SERVER landing FOREIGN DATA WRAPPER directory OPTIONS (path '$dir');
CREATE FOREIGN TABLE f (k int, v int) SERVER landing OPTIONS (path '*.json');
CREATE VIEW kept WITH (streaming.continuous) AS SELECT k, count(*) AS n, sum(v) FROM pushed GROUP BY k;
CREATE VIEW paused WITH (streaming.continuous) AS SELECT count(*) AS n, sum(v) FROM pushed;
CREATE VIEW before WITH (streaming.continuous) AS SELECT k, max(v) FROM pushed GROUP BY k;
CREATE VIEW filed WITH (streaming.continuous) AS SELECT k, count(*) AS n, sum(v) FROM f GROUP BY k;
SQL

my $load = StreamingLoad->sessions($node, 3);
my $files = StreamingLoad->files($dir);

foreach my $round (1 .. rounds(5))
{
	# None of these may fail, wait for good, or disturb the other views.
	$load->wait_for_more(5);
	$node->safe_psql('postgres', <<SQL);
CREATE VIEW shortlived$round WITH (streaming.continuous) AS SELECT tx, count(*) FROM pushed GROUP BY tx;
CREATE VIEW over$round WITH (streaming.continuous) AS SELECT count, count(*) AS n FROM shortlived$round GROUP BY count;
CREATE VIEW of_files$round WITH (streaming.continuous) AS SELECT k, v FROM f;
SQL
	$load->wait_for_more(3);
	$files->wait_for_more(2);
	$node->safe_psql('postgres', 'ALTER VIEW paused SET (streaming.enabled = off)');
	$load->wait_for_more(3);
	$node->safe_psql('postgres', "ALTER VIEW paused SET (streaming.enabled = on, streaming.trigger = '50 ms')");
	$node->safe_psql('postgres', "SELECT streaming.reset('filed')");
	$node->safe_psql('postgres', $round % 2 ? 'ALTER VIEW before RENAME TO after' : 'ALTER VIEW after RENAME TO before');
	$node->safe_psql('postgres', "DROP VIEW shortlived$round CASCADE; DROP VIEW of_files$round");
	# A stream of its own, with a view and rows, and all of it away again.
	$node->safe_psql('postgres', <<SQL);
CREATE FOREIGN TABLE own$round (v int) SERVER streaming;
CREATE VIEW of_own$round WITH (streaming.continuous) AS SELECT count(*) AS n FROM own$round;
INSERT INTO own$round SELECT generate_series(1, 1000);
DROP FOREIGN TABLE own$round CASCADE;
SQL
	# Rolled back DDL leaves everything as it was.
	$node->safe_psql('postgres', <<SQL);
BEGIN;
DROP VIEW kept;
SELECT streaming.reset('paused');
ALTER VIEW paused RENAME TO gone;
CREATE VIEW rolled_back WITH (streaming.continuous) AS SELECT v FROM pushed;
ROLLBACK;
SQL
}
$load->stop;
$files->stop;
$load->acknowledged_are_there($node, 'mirror');
my $renamed = $node->safe_psql('postgres', q(SELECT view FROM streaming.views WHERE view::text IN ('before', 'after')));
drain($node, $_) foreach 'kept', 'paused', 'filed', $renamed;
same_as_batch($node, 'kept', 'SELECT k, count(*) AS n, sum(v) FROM mirror GROUP BY k', 'others are not disturbed');
same_as_batch($node, 'paused', 'SELECT count(*) AS n, sum(v) FROM mirror', 'nothing is lost in a pause');
same_as_batch($node, $renamed, 'SELECT k, max(v) FROM mirror GROUP BY k', 'nor by renaming');
same_as_batch($node, 'filed', 'SELECT k, count(*) AS n, sum(v) FROM f GROUP BY k', 'nor by reset');

is($node->safe_psql('postgres', q(SELECT count(*) FROM streaming.views)), 4, 'the views that are left are listed');
is($node->safe_psql('postgres', q(SELECT string_agg(status || coalesce(last_error, ''), ' ') FROM streaming.views)),
	'running running running running', 'and all run without an error');
is($node->safe_psql('postgres', <<'SQL'), '', 'dropped views and streams leave no tables');
SELECT c.relname FROM pg_class c LEFT JOIN (
	SELECT unnest(relations) AS name FROM streaming_internal.continuous_view) r ON r.name = c.relname
WHERE relnamespace = 'streaming_internal'::regnamespace AND relkind = 'r' AND r.name IS NULL
	AND relname ~ '_\d' AND relname !~ '^(buffer|push)'
SQL
is($node->safe_psql('postgres', <<'SQL'), '', 'nor rows in the catalogs');
SELECT 'checkpoints', view::oid FROM streaming.checkpoints WHERE view NOT IN (SELECT view FROM streaming_internal.continuous_view)
UNION ALL
SELECT 'progress', view::oid FROM streaming_internal.progress WHERE view NOT IN (SELECT view FROM streaming_internal.continuous_view)
UNION ALL
SELECT 'files', stream::oid FROM streaming.files WHERE stream NOT IN (SELECT oid FROM pg_class)
SQL

# An error in a worker's log that is ours to explain would be a surprise.
my $log = PostgreSQL::Test::Utils::slurp_file($node->logfile);
unlike($log, qr/PANIC|signal 11|Assert|could not open relation with OID|cache lookup failed/, 'the log has no internal errors');

$node->stop;
done_testing();
