# The first rows of each key, by windows, DISTINCT ON and LIMIT: after each batch every
# view shows what its query answers over a table, and where rows only appear, it keeps
# no more of them than can ever be in its result again.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use StreamingTest;
use Test::More;

# Name, query, and how many rows each of the six keys may keep; undef: all of them.
# Keys 1 to 5 and NULL; x has ties. A limit that is negative is of all keys together.
my @queries = (
	[ 'row_number', 'SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY k ORDER BY x DESC, id) AS n FROM s) q WHERE n <= 3', 3 ],
	[ 'less', 'SELECT id, n FROM (SELECT id, row_number() OVER (PARTITION BY k ORDER BY x, id) AS n FROM s) q WHERE 4 > n AND id > 5', 3 ],
	[ 'equal', 'SELECT id, n FROM (SELECT id, row_number() OVER (PARTITION BY k ORDER BY x, id) AS n FROM s) q WHERE n = 2', 2 ],
	[ 'none', 'SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY k ORDER BY x, id) AS n FROM s) q WHERE n <= 0', 0 ],
	[ 'groups', 'SELECT k, count(*) AS c, sum(x) AS t FROM (SELECT *, row_number() OVER (PARTITION BY k ORDER BY id) AS n FROM s) q WHERE n <= 4 GROUP BY k', 4 ],
	[ 'other_groups', 'SELECT x, count(*) AS c FROM (SELECT *, row_number() OVER (PARTITION BY k ORDER BY id) AS n FROM s) q WHERE n <= 4 GROUP BY x', 4 ],
	[ 'two_windows', 'SELECT *, lag(id) OVER (PARTITION BY k ORDER BY n) AS before FROM (SELECT id, k, row_number() OVER (PARTITION BY k ORDER BY x, id) AS n FROM s) q WHERE n <= 5', 5 ],
	[ 'distinct_on', 'SELECT DISTINCT ON (k) k, id, x FROM s ORDER BY k, x DESC, id', 1 ],
	# more keys than fit into the memory of a batch, the first time as well as later
	[ 'many_keys', 'SELECT DISTINCT ON (k, x) k, x, id FROM s ORDER BY k, x DESC, id DESC', -606 ],
	[ 'at_once', 'SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY x, k ORDER BY id) AS n FROM s) q WHERE n <= 2', -1212 ],
	# rows that are equal in all that is shown; keys that have the same hash, two and two; columns
	# that are shown twice, or not at all
	[ 'equal_rows', 'SELECT k, x FROM (SELECT *, row_number() OVER (PARTITION BY k ORDER BY x) AS n FROM s) q WHERE n <= 5', 5 ],
	[ 'twins', 'SELECT * FROM (SELECT id, b, row_number() OVER (PARTITION BY b ORDER BY x DESC, id) AS n FROM s) q WHERE n <= 2', -24 ],
	[ 'first_twins', 'SELECT DISTINCT ON (b) b, x FROM s ORDER BY b, x NULLS FIRST', -12 ],
	[ 'twice', 'SELECT n, x, n AS m, x AS y, id FROM (SELECT *, row_number() OVER (PARTITION BY k ORDER BY x DESC, id DESC) AS n FROM s) q WHERE n < 3', 2 ],
	[ 'not_shown', 'SELECT id / 10 AS tens FROM (SELECT *, row_number() OVER (PARTITION BY k ORDER BY x DESC, id) AS n FROM s) q WHERE n <= 3', 3 ],
	[ 'top', 'SELECT id, x FROM s ORDER BY x DESC, id LIMIT 3 OFFSET 2', -5 ],
	[ 'sum_of_top', 'SELECT sum(x) AS t FROM (SELECT x FROM s ORDER BY x DESC, id LIMIT 4) q', -4 ],
	# ties: the rows of the first three, or all rows with the smallest two values
	[ 'with_ties', 'SELECT id, x FROM s ORDER BY x FETCH FIRST 3 ROWS WITH TIES' ],
	[ 'rank', 'SELECT * FROM (SELECT id, k, rank() OVER (PARTITION BY k ORDER BY x) AS n FROM s) q WHERE n <= 2' ],
	[ 'dense_rank', 'SELECT * FROM (SELECT id, k, dense_rank() OVER (PARTITION BY k ORDER BY x) AS n FROM s) q WHERE n <= 2' ],
	# rows behind the limit matter to another window, to the whole, or by another order
	[ 'sum_beside', 'SELECT * FROM (SELECT id, k, rank() OVER w AS n, sum(x) OVER (PARTITION BY k) AS t FROM s WINDOW w AS (PARTITION BY k ORDER BY x, id)) q WHERE n <= 1' ],
	[ 'two_orders', 'SELECT * FROM (SELECT id, row_number() OVER (PARTITION BY k ORDER BY x, id) AS n, row_number() OVER (PARTITION BY k ORDER BY id) AS m FROM s) q WHERE n <= 1' ],
	[ 'behind', 'SELECT id, n FROM (SELECT id, row_number() OVER (PARTITION BY k ORDER BY id) AS n FROM s) q WHERE n > 3' ],
	[ 'largest', 'SELECT id, k, x FROM (SELECT *, max(x) OVER (PARTITION BY k) AS m FROM s) q WHERE x = m' ],
	[ 'no_limit', 'SELECT id, x FROM s ORDER BY x, id OFFSET 7' ],
	# its input disappears again: what is behind can come back
	[ 'over_counts', 'SELECT x, k, c FROM (SELECT *, row_number() OVER (PARTITION BY k ORDER BY c DESC, x) AS n FROM (SELECT k, x, count(*) AS c FROM s GROUP BY k, x) g) q WHERE n <= 2' ],
	[ 'top_of_counts', 'SELECT x, count(*) AS c FROM s GROUP BY x ORDER BY c, x LIMIT 3' ]);

my %bounded = map { $_->[0] => $_->[2] } grep { defined $_->[2] } @queries;
my $node = new_node('top', 'streaming.work_mem = 64');

$node->safe_psql('postgres', <<'SQL');
CREATE SCHEMA live;
CREATE SCHEMA batch;
CREATE FOREIGN TABLE live.s (id int, k int, x int, b bigint) SERVER streaming;
CREATE TABLE batch.s (id int, k int, x int, b bigint);
ALTER DATABASE postgres SET search_path = batch, public;
SQL
$node->safe_psql('postgres', join "\n", 'SET search_path = live, public;',
	map { "CREATE VIEW $_->[0] WITH (streaming.trigger = 'manual') AS $_->[1];" } @queries);

# What a filter or an aggregation is above is computed with it, if it keeps to the keys.
foreach (qw(row_number less groups two_windows sum_of_top largest))
{
	unlike($node->safe_psql('postgres', "SELECT streaming.explain('live.$_')"), qr/^Stage 2/m, "$_ is one stage");
}

# Where columns tell the first rows of a batch, it is not sorted for them.
my %told = map { $_ => 1 } qw(row_number less equal groups other_groups two_windows distinct_on many_keys at_once equal_rows twins
	first_twins twice not_shown top sum_of_top);
foreach my $name (map { $_->[0] } @queries)
{
	is($node->safe_psql('postgres', "SELECT count(*) FROM streaming.explain('live.$name') line WHERE line ~ '^ +Of a batch: the first \\d'"),
		$told{$name} ? 1 : 0, "$name, the first rows of a batch");
}

my $last = 0;
foreach my $rows (20, 1, 200, 3000)
{
	my ($from, $to) = ($last + 1, $last += $rows);

	# the best rows come late as well as early
	$node->safe_psql('postgres', <<"SQL");
CREATE TEMP TABLE made AS SELECT *, CASE WHEN id % 4 < 2 THEN k ELSE 4294967296 + (k # 1) END AS b
FROM (SELECT i AS id, nullif(i * 7919 % 6, 0) AS k, (i * 104729 % 1009) / 10 AS x FROM generate_series($from, $to) i) m;
INSERT INTO batch.s SELECT * FROM made;
INSERT INTO live.s SELECT * FROM made;
SQL
	my @due = grep { $_->[0] ne 'at_once' || $rows == 3000 } @queries;
	$node->safe_psql('postgres', join '', map { "SELECT streaming.drain('live.$_->[0]', '$deadline s');\n" } @due);
	same_as_batch($node, "live.$_->[0]", $_->[1], "$_->[0] of $last rows") foreach @due;
	foreach my $name (sort grep { defined $bounded{$_} } map { $_->[0] } @due)
	{
		my $limit = $bounded{$name} < 0 ? -$bounded{$name} : 6 * $bounded{$name};
		my $plan = $node->safe_psql('postgres', "SELECT streaming.explain('live.$name')");
		my ($table) = $plan =~ /^    Rows: (streaming_internal\S+)/m ? $1 : $plan =~ /^    State: (\S+)/m;
		cmp_ok($node->safe_psql('postgres', "SELECT count(*) FROM $table"), '<=', $limit, "$name keeps few of $last rows");
		is($node->safe_psql('postgres', "SELECT count(*) - count(DISTINCT \"\$hash\") FROM $table"), 0, 'rows that are equal are one')
		  if $name eq 'equal_rows';
	}
}
is($node->safe_psql('postgres', 'SELECT count(*) FROM live.row_number'), 18, 'each key has its first rows');

$node->stop;
done_testing();
