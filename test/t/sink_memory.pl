# The sinks that keep nothing through a crash: memory begins again by itself, the
# console has shown what it has shown.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use StreamingTest;
use Test::More;

my $node = new_node('main', 'streaming.scan_interval = 200ms');
my $dir = $node->basedir . '/landing';
mkdir $dir;
my $lost = qr/continuous view "(\w+)" has lost its unlogged tables and begins again at its start/;

# What the server has logged since the last call.
my $log_end = 0;
sub logged
{
	my $log = slurp_file($node->logfile, $log_end);
	$log_end += length $log;
	return $log;
}

# --- memory -----------------------------------------------------------------

$node->safe_psql('postgres', <<SQL);
CREATE SERVER landing FOREIGN DATA WRAPPER directory OPTIONS (path '$dir');
CREATE FOREIGN TABLE f (k int, v int) SERVER landing OPTIONS (path '*.json');
CREATE FOREIGN TABLE s (k int, v int) SERVER streaming OPTIONS (retention '1 day');
CREATE VIEW sums WITH (streaming.sink = 'memory') AS SELECT k, count(*) AS n, sum(v), count(DISTINCT v) AS d FROM f GROUP BY k;
CREATE VIEW large WITH (streaming.sink = 'memory') AS SELECT k, v FROM f WHERE v > 500;
CREATE VIEW nothing WITH (streaming.sink = 'memory') AS SELECT k, v FROM f WHERE v < 0;
CREATE VIEW pushed WITH (streaming.sink = 'memory') AS SELECT k, sum(v) FROM s GROUP BY k;
CREATE VIEW by_hand WITH (streaming.sink = 'memory', streaming.trigger = 'manual') AS SELECT max(v) FROM f;
CREATE VIEW over WITH (streaming.continuous) AS SELECT n, count(*) AS keys FROM sums GROUP BY n;
CREATE VIEW logged WITH (streaming.continuous) AS SELECT k, sum(v) FROM f GROUP BY k;
INSERT INTO s SELECT i % 3, i FROM generate_series(1, 100) i;
SQL
my %batch = (
	sums => 'SELECT k, count(*), sum(v), count(DISTINCT v) FROM f GROUP BY k',
	large => 'SELECT k, v FROM f WHERE v > 500',
	nothing => 'SELECT k, v FROM f WHERE v < 0',
	pushed => 'SELECT k, sum(v) FROM s GROUP BY k',
	by_hand => 'SELECT max(v) FROM f',
	over => 'SELECT n, count(*) FROM (SELECT count(*) AS n FROM f GROUP BY k) x GROUP BY n',
	logged => 'SELECT k, sum(v) FROM f GROUP BY k');
my $files = 0;
sub next_file
{
	put_file($dir, ++$files . '.json', join '', map { sprintf qq({"k": %d, "v": %d}\n), $_ % (7 + $files), $_ } 1 .. 1000);
}
sub all_same
{
	my ($when) = @_;
	drain($node, $_) foreach sort keys %batch;
	same_as_batch($node, $_, $batch{$_}, "$when: $_") foreach sort keys %batch;
}
next_file();
all_same('at first');

# A restart that is none of a crash keeps everything.
my $batches = 'SELECT view, batches, input_rows FROM streaming.stat_views ORDER BY view::text';
my $before = $node->safe_psql('postgres', $batches);
logged();
$node->restart;
ok(wait_for($node, q(SELECT count(*) FROM streaming.views WHERE status = 'running'), 7), 'after a restart all views run');
same_as_batch($node, $_, $batch{$_}, "after a restart: $_") foreach sort keys %batch;
all_same('after a restart, drained');
is($node->safe_psql('postgres', 'SELECT view, input_rows FROM streaming.stat_views ORDER BY view::text'),
	join("\n", map { s/\|\d+\|/|/r } split /\n/, $before), 'nothing was read again');
unlike(logged(), $lost, 'and nothing was lost');

# A crash empties them; they begin again without being told.
kill9_worker($node, 'streaming query');
ok(wait_for($node, 'SELECT sum(n) FROM sums', 1000), 'after a crash a view fills itself');
ok(wait_for($node, 'SELECT count(*) FROM large', 500), 'a view without state, too');
ok(wait_for($node, 'SELECT sum(keys) FROM over', 8), 'and a view over it');
all_same('after a crash of a worker');
my %told = map { $_ => 1 } logged() =~ /$lost/g;
is(join(' ', sort keys %told), 'by_hand large nothing pushed sums', 'the log tells which views were lost');
is($node->safe_psql('postgres', q(SELECT input_rows FROM streaming.stat_views WHERE view = 'sums'::regclass)), 1000, 'rows are counted once');

next_file();
all_same('with another file');
kill9_postmaster($node);
no_survivors($node);
next_file();
$node->start;
all_same('after a crash of the server');

# Twice, before the first batch after it.
$node->safe_psql('postgres', 'ALTER VIEW sums SET (streaming.enabled = off)');
kill9_worker($node, 'streaming query');
kill9_worker($node, 'streaming query');
$node->safe_psql('postgres', 'ALTER VIEW sums SET (streaming.enabled = on)');
all_same('after two crashes');
$node->safe_psql('postgres', "DROP VIEW $_ CASCADE") foreach qw(sums large nothing pushed by_hand logged);

# --- console ----------------------------------------------------------------

$node->safe_psql('postgres', <<'SQL');
CREATE FOREIGN TABLE t (name text, n int, at date) SERVER streaming;
CREATE VIEW shown WITH (streaming.trigger = 'manual', streaming.sink = 'console') AS SELECT name, n, at FROM t WHERE n > 0;
CREATE VIEW sums WITH (streaming.trigger = 'manual', streaming.sink = 'console') AS SELECT name, sum(n) FROM t GROUP BY name HAVING sum(n) > 1;
CREATE VIEW whole WITH (streaming.trigger = 'manual', streaming.sink = 'console', streaming.output_mode = 'complete') AS SELECT name, sum(n) FROM t GROUP BY name HAVING sum(n) > 1;
SQL
# The tables of a view that were logged, without tabs before and blanks behind lines.
sub shown
{
	my ($view) = @_;
	return join "---\n", map { s/^\t| +$//mgr } logged() =~ /LOG:  (batch \d+ of continuous view "$view"\n(?:\t.*\n)+)/g;
}
$node->safe_psql('postgres', q(INSERT INTO t VALUES ('a', 5, '2020-02-02'), (e'two\nlines', 1, NULL), (e'größer\té', 10, NULL), ('none', -1, NULL)));
logged();
drain($node, 'shown');
is(shown('shown'), <<'TABLE', 'append: the rows of the batch');
batch 1 of continuous view "shown"
 name        | n  | at
-------------+----+------------
 a           |  5 | 2020-02-02
 two\nlines  |  1 |
 größer\x09é | 10 |
(3 rows)
TABLE
drain($node, 'sums');
logged();
drain($node, 'whole');
logged();
$node->safe_psql('postgres', q(INSERT INTO t VALUES ('a', -5, NULL), ('b', 3, NULL), ('b', -1, NULL)));
drain($node, 'sums');
is(shown('sums'), <<'TABLE', 'update: the rows that changed');
batch 2 of continuous view "sums"
 name | sum
------+-----
 b    |   2
(1 row)
TABLE
drain($node, 'whole');
is(join("\n", sort split /\n/, shown('whole')), join("\n", sort split /\n/, <<'TABLE'), 'complete: all rows');
batch 2 of continuous view "whole"
 name        | sum
-------------+-----
 b           |   2
 größer\x09é |  10
(2 rows)
TABLE
drain($node, 'shown');
logged();
$node->safe_psql('postgres', q(INSERT INTO t VALUES ('a', -5, NULL)));
drain($node, 'shown');
is(shown('shown'), '', 'a batch without rows is not shown');
$node->safe_psql('postgres', q(INSERT INTO t SELECT repeat('ü', 100), i FROM generate_series(1, 100000) i));
drain($node, 'shown');
my $table = shown('shown');
is(scalar(() = $table =~ /^ (?:ü){40}\.\.\. \| +\d+ \|/mg), 20, 'of a large batch 20 rows are shown, cut to 40 characters');
like($table, qr/^\(100000 rows\)\nonly showing the first 20 rows\n\z/m, 'and told');

$node->stop;
done_testing();
