# The cases of test/bench/run whose state grows: [ name => description ], ...
#
# A description has
#
#   streams   name => columns of each
#   tables    SQL of what else the query reads, for the view and the batch query alike
#   below     name => query of a continuous view that the query reads; its batches are not measured
#   query     that of the view
#   rows      stream => what is pushed into it, for the numbers i of SERIES
#   phases    [ name => up to which number, so many numbers a batch, rows ], ...; where the
#             first is not said there are ten batches, and rows of a phase's own count from 1
#
# and what is reported of it, each with the target:
#
#   rate      rows/s : those of the batch query, run once over tables of the same rows
#   us        CPU us a row
#   ms        [ phase => most CPU ms a batch ]
#   slower    [ phase => phase before, most ]: CPU of the median batch of one : that of the other
#   flat      [ phase => batches, most ]: CPU of its last batches : of its first
#   state     [ keys, most ]: rows of state beside the result : keys
#
# The drain of each batch is measured, not the push. <1000> is scaled as --scale says.

my $random = sub { my ($n, $seed) = @_; return "(hashint8extended(i, $seed) & 9223372036854775807) % $n" };

(
	[ 'distinct-1m' => {
		streams => { s => 'v bigint' },
		query => 'SELECT count(DISTINCT v) AS n FROM s',
		rows => { s => 'SELECT i FROM SERIES' },
		phases => [ [ load => 1_000_000, 100_000 ], [ 'one row' => undef, 1 ] ],
		ms => [ 'one row' => 1 ] } ],
	[ 'extremes-1m' => {
		streams => { s => 'k bigint, v bigint' },
		below => { w => 'SELECT k, sum(v)::bigint AS v FROM s GROUP BY k' },
		query => 'SELECT min(v) AS least, max(v) AS most FROM w',
		rows => { s => 'SELECT i, i FROM SERIES' },
		# takes the ten largest away
		phases => [ [ load => 1_000_000, 1_000_000 ],
			[ 'ten rows' => undef, 10, { s => 'SELECT <1000000> + 1 - i, -2 * <1000000> FROM SERIES' } ] ],
		ms => [ 'ten rows' => 1 ] } ],
	[ 'groups-10m' => {
		streams => { s => 'k bigint, v bigint' },
		query => 'SELECT k, count(*) AS n, sum(v) AS total FROM s GROUP BY k',
		rows => { s => 'SELECT i * 7919 % <10000000>, i % 1000 FROM SERIES' },
		phases => [ [ load => 10_000_000, 10_000_000 ] ],
		us => 1.6, rate => '' } ],
	# a row of b meets one of a, from anywhere, whatever the size
	[ 'join-state' => {
		streams => { a => 'k bigint, v bigint', b => 'k bigint, w bigint' },
		query => 'SELECT k, v, w FROM a JOIN b USING (k)',
		rows => { a => 'SELECT i, i FROM SERIES', b => 'SELECT 1 + ' . $random->('i', 1) . ', i FROM SERIES' },
		phases => [ [ load => 500_000, 5000 ], [ 'at 1 M' => undef, 5000 ],
			[ more => 2_500_000, 5000 ], [ 'at 5 M' => undef, 5000 ] ],
		slower => [ 'at 5 M' => 'at 1 M', 1.5 ], rate => 0.3, us => '' } ],
	[ 'average-max' => {
		streams => { s => 'k bigint, v bigint' },
		query => 'SELECT avg(m) AS a FROM (SELECT k, max(v) AS m FROM s GROUP BY k) x',
		rows => { s => 'SELECT ' . $random->('<300000>', 1) . ', ' . $random->(1_000_000, 2) . ' FROM SERIES' },
		phases => [ [ load => 5_000_000, 500_000 ] ],
		rate => 0.3 } ],
	[ 'distinct-8' => {
		streams => { s => 'day date, channel text, bidder bigint, auction bigint, price bigint' },
		query => 'SELECT day, channel, count(*) AS n, ' . join(', ', map {
			my $column = $_;
			("count(DISTINCT $column) AS ${column}s",
				map { "count(DISTINCT $column) FILTER (WHERE price / 10000 " . ('= 0', 'BETWEEN 1 AND 9', '> 9')[$_] . ") AS ${column}s$_" } 0 .. 2)
		} 'bidder', 'auction') . ' FROM s GROUP BY day, channel',
		rows => { s => "SELECT date '2026-01-01' + (i / <500000>)::int, 'channel-' || i % 10, " . $random->('<100000>', 1) . ', '
			. $random->('<50000>', 2) . ', ' . $random->(200_000, 3) . ' FROM SERIES' },
		phases => [ [ load => 2_000_000, 100_000 ] ],
		rate => 0.2, flat => [ load => 1, 1.3 ] } ],
	[ 'top-10' => {
		streams => { s => 'k bigint, v bigint, id bigint' },
		query => 'SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY k ORDER BY v DESC, id) AS n FROM s) x WHERE n <= 10',
		rows => { s => 'SELECT ' . $random->('<100000>', 1) . ', ' . $random->(1000, 2) . ', i FROM SERIES' },
		phases => [ [ load => 2_000_000, 100_000 ] ],
		rate => 0.3, state => [ 100_000, 10 ] } ],
	[ 'last-row' => {
		streams => { s => 'k bigint, v bigint, id bigint' },
		query => 'SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY k ORDER BY id DESC) AS n FROM s) x WHERE n = 1',
		rows => { s => 'SELECT ' . $random->('<1000000>', 1) . ', ' . $random->(1000, 2) . ', i FROM SERIES' },
		phases => [ [ load => 2_000_000, 100_000 ] ],
		rate => 0.3, state => [ 1_000_000, 1 ] } ],
	# a row of r meets all 100,000 rows of the key
	[ 'left-join-key' => {
		streams => { l => 'k int, n bigint', r => 'k int, id bigint' },
		query => 'SELECT k, n, id FROM l LEFT JOIN r USING (k)',
		rows => { l => 'SELECT 1, i FROM SERIES' },
		phases => [ [ load => 100_000, 100_000 ], [ match => undef, 1, { r => 'SELECT 1, i FROM SERIES' } ] ],
		flat => [ match => 3, 1.3 ] } ],
	# a row of r meets one of them
	[ 'left-join-row' => {
		streams => { l => 'k int, n bigint', r => 'k int, n bigint' },
		query => 'SELECT l.k, l.n, r.n AS m FROM l LEFT JOIN r ON l.k = r.k AND r.n BETWEEN l.n AND l.n + 9',
		rows => { l => 'SELECT 1, i * 10 FROM SERIES' },
		phases => [ [ load => 10_000, 10_000 ], [ 'at 10,000' => undef, 1, { r => 'SELECT 1, i * 100 FROM SERIES' } ],
			[ more => 100_000, 90_000 ], [ 'at 100,000' => undef, 1, { r => 'SELECT 1, i * 100 + 50 FROM SERIES' } ] ],
		slower => [ 'at 100,000' => 'at 10,000', 1.5 ], ms => [ 'at 100,000' => '' ] } ],
	[ 'running-sum' => {
		streams => { s => 'k int, n bigint, v bigint' },
		query => 'SELECT k, n, sum(v) OVER (PARTITION BY k ORDER BY n) AS total FROM s',
		rows => { s => 'SELECT 1, i, i % 1000 FROM SERIES' },
		phases => [ [ load => 10_000, 10_000 ], [ 'at 10,000' => undef, 100 ],
			[ more => 1_000_000, 100_000 ], [ 'at 1 M' => undef, 100 ] ],
		slower => [ 'at 1 M' => 'at 10,000', 1.5 ], ms => [ 'at 1 M' => '' ] } ],
	# an order and its four items come together, after the customers
	[ 'tpch-nation' => {
		streams => { customer => 'c_custkey bigint, c_nationkey int',
			orders => 'o_orderkey bigint, o_custkey bigint, o_orderdate date',
			lineitem => 'l_orderkey bigint, l_linenumber int, l_extendedprice numeric(15,2), l_discount numeric(15,2)' },
		tables => "CREATE TABLE nation AS SELECT i AS n_nationkey, 'NATION ' || i AS n_name FROM generate_series(0, 24) i",
		query => 'SELECT n_name, sum(l_extendedprice * (1 - l_discount)) AS revenue
			FROM customer JOIN orders ON c_custkey = o_custkey JOIN lineitem ON l_orderkey = o_orderkey
				JOIN nation ON c_nationkey = n_nationkey GROUP BY n_name',
		rows => { orders => 'SELECT i, 1 + ' . $random->('<150000>', 2) . ", date '1992-01-01' + (i % 2406)::int FROM SERIES",
			lineitem => 'SELECT i, l, (1000 + ' . $random->(100_000, 3) . ') / 1.00, (i + l) % 11 / 100.0 FROM SERIES, generate_series(1, 4) l' },
		phases => [ [ customers => 150_000, 10_000, { customer => 'SELECT i, ' . $random->(25, 1) . ' FROM SERIES' } ],
			[ load => 1_500_000, 2000 ] ],
		rate => '', us => 12, flat => [ load => 0.1, 1.1 ] } ],
);
