-- Aggregates that rows which disappear are taken back from: variances of exact numbers, bits
-- of integers, min and max of values of any width.
\getenv source PG_ABS_SRCDIR
\set ECHO none
\set include :source '/sql/include/same_as_batch.sql'
\i :include
\set ECHO all
CALL stream('s', 'v int, id int, k int, j smallint, i int, l bigint, n numeric, t text, c text COLLATE "C", a int[], y bytea');

-- the latest row of each id: a new one takes the one before back
CALL keep('latest', 'SELECT DISTINCT ON (id) * FROM s ORDER BY id, v DESC');
CALL keep('of_all', 'SELECT k, var_pop(j) AS j, var_pop(i) AS i, var_pop(l) AS l, var_pop(n) AS n, stddev_pop(j) AS dj, stddev_pop(i) AS di, stddev_pop(l) AS dl, stddev_pop(n) AS dn FROM latest GROUP BY k');
CALL keep('of_sample', 'SELECT k, variance(j) AS j, var_samp(i) AS i, variance(l) AS l, var_samp(n) AS n, stddev(j) AS dj, stddev_samp(i) AS di, stddev(l) AS dl, stddev_samp(n) FILTER (WHERE i > 3) AS dn FROM latest GROUP BY k');
CALL keep('distinct_ones', 'SELECT k, stddev(DISTINCT i) AS i, var_pop(DISTINCT l) AS l, bit_xor(DISTINCT i) AS x FROM latest GROUP BY k');
CALL keep('bits', 'SELECT k, bit_and(j) AS aj, bit_or(j) AS oj, bit_xor(j) AS xj, bit_and(i) AS ai, bit_or(i) AS oi, bit_xor(i) AS xi, bit_and(l) AS al, bit_or(l) AS ol, bit_xor(l) FILTER (WHERE i > 3) AS xl FROM latest GROUP BY k');
CALL keep('ends', 'SELECT k, min(t) AS t1, max(t) AS t2, min(c) AS c1, max(c) FILTER (WHERE i > 3) AS c2, min(a) AS a1, max(a) AS a2, max(t::varchar(5)) AS v, min(n) AS n1, max(n) AS n2 FROM latest GROUP BY k');
CALL keep('one_end', 'SELECT max(t) AS t FROM latest');
CALL keep('whole', 'SELECT stddev(n) AS n, bit_or(l) AS l, min(t) AS t, count(*) AS rows FROM latest');
CALL keep('shown', 'SELECT k, round(stddev(l) / nullif(avg(l), 0), 5) AS r FROM latest GROUP BY k HAVING max(t) > ''b'' AND bit_or(i) & 4 = 4');

CREATE FUNCTION made(first int, last int, seed int) RETURNS text LANGUAGE sql AS $$
	SELECT format('SELECT i, pick(i, %3$s, 14), pick(i, %3$s + 1, 3), (pick(i, %3$s + 2, 9) - 4)::smallint, pick(i, %3$s + 3, 70000) - 9, pick(i, %3$s + 4, 9) * 1000000000000 - 5, '
		'(pick(i, %3$s + 5, 50) || repeat(''0'', pick(i, %3$s + 6, 7)))::numeric / 10 ^ pick(i, %3$s + 7, 12), chr(97 + pick(i, %3$s + 8, 6)) || repeat(''x'', pick(i, %3$s + 9, 4) * 1500), '
		'chr(65 + pick(i, %3$s + 10, 40)), array_fill(pick(i, %3$s + 11, 3), ARRAY[1 + coalesce(pick(i, %3$s + 12, 900), 0)]), NULL::bytea '
		'FROM generate_series(%1$s, %2$s) i', first, last, seed)
$$;
SELECT * FROM compare();
CALL feed('s', made(1, 40, 1));
SELECT * FROM compare();
CALL feed('s', made(41, 60, 2));
SELECT * FROM compare();
CALL feed('s', made(61, 62, 3));
CALL feed('s', made(63, 75, 4));
SELECT * FROM compare();
-- what a number cannot take back, and a single value in a group
CALL feed('s', $$VALUES (101, 1, 1, 1::smallint, 1, 1::bigint, 'NaN'::numeric, 'a', 'a', '{}'::int[], NULL::bytea), (102, 2, 1, 1, 1, 1, 'Infinity', repeat('z', 9000), '', NULL, NULL), (103, 3, 2, 1, 1, 1, '-Infinity', repeat('z', 9001), NULL, '{NULL}', NULL), (104, 4, 9, -1, -2147483648, -9223372036854775808, 1.00000, NULL, 'a', NULL, NULL)$$);
SELECT * FROM compare();
CALL feed('s', $$VALUES (105, 1, 2, 2::smallint, 3, 1::bigint, 0.0001::numeric, 'a', 'a', '{}'::int[], NULL::bytea), (106, 2, 2, 2, 2, 2, 1e30, repeat('A', 9000), '', NULL, NULL), (107, 3, 2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)$$);
SELECT * FROM compare();
CALL feed('s', $$SELECT 200 + i, i, 7, 1::smallint, 1, 1::bigint, 1.5, 'z', 'z', NULL::int[], NULL::bytea FROM generate_series(0, 13) i$$);
SELECT * FROM compare();
CALL feed('s', made(300, 360, 5));
SELECT * FROM compare();

-- deviations have the digits that those of the batch query have
CALL stream('d', 'v int, id int, k int, n numeric');
CALL keep('newest', 'SELECT DISTINCT ON (id) * FROM d ORDER BY id, v DESC');
CALL keep('digits', 'SELECT k, stddev(n) AS s, stddev_pop(n) AS p, variance(n) AS v, stddev(n::bigint) AS l FROM newest GROUP BY k');
CALL feed('d', $$SELECT i, i, i % 200, trunc(abs(hashint8extended(i, 1) % 1000000007) * 10::numeric ^ (i % 23 - 17), i % 9) FROM generate_series(1, 1500) i$$);
SELECT * FROM compare() WHERE view ~ 'digits|newest';
CALL feed('d', $$SELECT 2000 + i, i, i % 199, trunc(abs(hashint8extended(i, 2) % 1000000007) * 10::numeric ^ (i % 21 - 15), i % 7) FROM generate_series(1, 700) i$$);
SELECT * FROM compare() WHERE view ~ 'digits|newest';

SELECT * FROM plan('of_all');
SELECT * FROM plan('bits');
SELECT * FROM plan('ends');
-- floating-point numbers are computed anew: what they add up to depends on the order
CALL keep('floats', 'SELECT k, stddev(i::float8) AS d, sum(i::float8) AS s, corr(i, j) AS c FROM latest GROUP BY k');
SELECT * FROM plan('floats');

-- whoever calls them
SELECT streaming_internal.variance_of(3, 6, 14, true, false), streaming_internal.variance_of(3, 6, 14, false, true),
	streaming_internal.variance_of(1, 6, 36, true, true), streaming_internal.variance_of(-1, 1, 1, false, false),
	streaming_internal.variance_of(2, 'NaN', 1, true, true), streaming_internal.variance_of(NULL, 1, 1, true, true);
SELECT streaming_internal.weighted_bit_and_result(streaming_internal.weighted_bits_add(streaming_internal.weighted_bits_add(NULL, 6, 1), -3, 1));
SELECT streaming_internal.weighted_bits_add('{1,2}', 3, 1);
SELECT streaming_internal.weighted_bits_combine('{{1},{2}}', '{}');
SELECT streaming_internal.weighted_bits_add(streaming_internal.weighted_bits_add(NULL, 1, 9223372036854775807), 1, 1);
SELECT streaming_internal.is_narrow(NULL::text), streaming_internal.is_narrow(repeat('x', 2000)), streaming_internal.is_narrow(repeat('x', 2001)), streaming_internal.is_narrow(1);

\set include :source '/sql/include/done.sql'
\i :include
