# Generated views over several streams, each with its watermark: unions, inner and outer
# joins and subqueries with a bound in event time, chains of aggregations. Rows come out of order, one drain a
# batch. What is late follows from the order in which they were fed; of the rest each
# view shows, after every batch, what its query answers as a batch (in append mode:
# what the watermark has closed).
#
# Takes long.

use strict;
use warnings;

use StreamingTest;
use Test::More;

my $seed = random_seed();
my $node = new_node('random', 'timezone = UTC');

sub pick { return $_[ rand @_ ]; }
sub max { my $m = shift; foreach (@_) { $m = $_ if $_ > $m } return $m; }

$node->safe_psql('postgres', <<'SQL');
CREATE FOREIGN TABLE a (id int, k text, at timestamptz OPTIONS (watermark '20 seconds'), v int) SERVER streaming;
CREATE FOREIGN TABLE b (id int, k text, at timestamptz OPTIONS (watermark '5 seconds'), v int) SERVER streaming;
-- with the watermarks that the batch of the row began with: of a view over both, over a
CREATE TABLE fed (side text, id int, k text, at timestamptz, v int, both_began timestamptz, a_began timestamptz);
SQL

# A window of a time, and when it ends.
my @windows = (
	(map { my $w = $_; [ sub { "date_bin('$w', $_[0], 'epoch')" }, sub { "$_[0] + '$w'" } ] } '7 seconds', '30 seconds', '1 minute'),
	[ sub { "date_trunc('minute', $_[0])" }, sub { "$_[0] + '1 minute'" } ],
	[ sub { "streaming.tumble($_[0], '17 seconds')" }, sub { "upper($_[0])" } ],
	[ sub { $_[0] }, sub { "$_[0] + '1 microsecond'" } ]);
my @aggregates = ('count(*)', 'sum(V)', 'avg(V)', 'min(V)', 'count(DISTINCT V)', 'array_agg(V ORDER BY V)');

# Rows of a side that are in time by their own time, and by a window of it.
sub in_time { my ($side, $began) = @_; return "(SELECT * FROM fed WHERE side = '$side' AND isfinite(at) AND (${began}_began IS NULL OR at >= ${began}_began))"; }
sub late { my ($side, $began) = @_; return "(SELECT count(*) FROM fed WHERE side = '$side' AND NOT coalesce(isfinite(at) AND (${began}_began IS NULL OR at >= ${began}_began), false))"; }
sub in_window
{
	my ($side, $window, $append) = @_;
	my $end = $window->[1]->($window->[0]->('at'));

	return "(SELECT * FROM fed WHERE side IN ($side) AND CASE WHEN at IS NULL OR NOT isfinite(at) THEN NOT $append ELSE both_began IS NULL OR $end > both_began END)";
}

# What a watermark must be past a time by so many seconds.
sub after { return "interval '$_[0] seconds 1 microsecond'"; }

# a.at is between b.at + low and b.at + high; what that makes of the times it is late
sub bound
{
	my ($x, $y, $low, $high) = @_;
	my $op = pick(0, 1, 2);

	return "$x BETWEEN $y + interval '$low seconds' AND $y + interval '$high seconds'" if $op == 0;
	return "$x - $y >= '$low seconds' AND $x - $y <= '$high seconds'" if $op == 1;
	return "$x + interval '" . -$low . " seconds' >= $y AND $y + '$high seconds' >= $x";
}

sub make_view
{
	my $kind = pick('union', 'union of aggregations', 'join', 'join', 'windows of a join', 'windows of a join', 'join of windows',
		'chain', 'self join', 'three', 'outer join', 'outer join', 'windows of an outer join', 'subquery');
	my $window = pick(@windows);
	my $append = pick('true', 'true', 'false');
	my ($low, $high) = (pick(-40, -10, 0, 10), pick(10, 30, 60));
	my %view = (kind => $kind, append => $append, began => 'both');
	my @aggs = map { pick(@aggregates) } 1 .. 1 + int rand 2;
	my $n = 0;
	my $aggs = join ', ', map { "$_ AS a" . ++$n } @aggs;
	my $open = $append eq 'true' ? 'END <= CLOSED' : 'true';
	my $group = pick('', ', k');

	if ($kind eq 'union')
	{
		my $where = pick('true', 'v > 2');
		my $w = $window->[0]->('at');
		my $end = $window->[1]->($w);

		$aggs =~ s/V/v/g;
		$view{sql} = "SELECT $w AS w$group, $aggs FROM (SELECT id, k, at, v FROM a UNION ALL SELECT id, k, at, v FROM b) u WHERE $where GROUP BY 1$group";
		$view{batch} = "SELECT $w AS w$group, $aggs FROM " . in_window("'a', 'b'", $window, $append) . " u WHERE $where GROUP BY 1$group HAVING " . $open =~ s/END/min($end)/r;
		$view{late} = "SELECT count(*) FROM fed WHERE ($where) AND NOT CASE WHEN at IS NULL OR NOT isfinite(at) THEN NOT $append ELSE both_began IS NULL OR $end > both_began END";
	}
	elsif ($kind eq 'union of aggregations')
	{
		my $w = $window->[0]->('at');
		my $end = $window->[1]->($w);
		my $below = sub { "SELECT $w AS w, count(*) AS n FROM $_[0] GROUP BY 1" };

		$view{sql} = 'SELECT w, sum(n) AS n FROM (' . $below->('a') . ' UNION ALL ' . $below->('b') . ') u GROUP BY w';
		$view{batch} = $below->(in_window("'a', 'b'", $window, $append) . ' u') . ' HAVING ' . $open =~ s/END/min($end)/r;
	}
	elsif ($kind eq 'join of windows' || $kind eq 'chain')
	{
		my $w = $window->[0]->('at');
		my $end = $window->[1]->('w');
		my $below = sub { "(SELECT $w AS w, k, count(*) AS n FROM $_[0] GROUP BY 1, 2)" };
		my $select = $kind eq 'chain' ? 'SELECT w, count(*) AS n, sum(x.n * y.n) AS m' : 'SELECT w, k, x.n, y.n AS m';
		my $outer = $kind eq 'chain' ? ' GROUP BY w' : '';

		$view{sql} = "$select FROM " . $below->('a') . ' x JOIN ' . $below->('b') . " y USING (w, k)$outer";
		$view{batch} = "$select FROM " . $below->(in_window("'a'", $window, $append) . ' x') . ' x JOIN '
		  . $below->(in_window("'b'", $window, $append) . ' y') . ' y USING (w, k) WHERE ' . $open =~ s/END/$end/r . $outer;
	}
	elsif ($kind eq 'join' || $kind eq 'self join')
	{
		my $self = $kind eq 'self join';
		my $on = 'x.k = y.k AND ' . bound('x.at', 'y.at', $low, $high);
		my $select = 'SELECT x.id, y.id AS other, x.at, y.at AS other_at, x.v + y.v AS v';

		$view{began} = 'a' if $self;
		$view{sql} = "$select FROM a x JOIN " . ($self ? 'a' : 'b') . " y ON $on";
		$view{batch} = "$select FROM " . in_time('a', $view{began}) . ' x JOIN ' . in_time($self ? 'a' : 'b', $view{began}) . " y ON $on";
		$view{late} = 'SELECT ' . late('a', $view{began}) . ' + ' . late($self ? 'a' : 'b', $view{began});
		$append = 'true';
	}
	elsif ($kind eq 'outer join')
	{
		my $self = pick(0, 0, 1);
		my $type = pick('LEFT', 'RIGHT', 'FULL');
		my $on = 'x.k = y.k AND ' . bound('x.at', 'y.at', $low, $high) . pick('', ' AND x.v < y.v');
		my $where = pick('true', 'true', 'x.id IS NULL OR y.id IS NULL', 'coalesce(x.v, y.v) > 2');
		my $select = 'SELECT x.id, y.id AS other, x.at, y.at AS other_at, coalesce(x.v, -1) + coalesce(y.v, -1) AS v';
		my ($x, $y) = ('a', $self ? 'a' : 'b');

		$view{began} = 'a' if $self;
		$view{sql} = "$select FROM $x x $type JOIN $y y ON $on WHERE $where";
		$view{batch} = "$select FROM " . in_time($x, $view{began}) . " x $type JOIN " . in_time($y, $view{began}) . " y ON $on WHERE ($where)"
		  . ' AND CASE WHEN y.id IS NULL THEN x.at + ' . after(max(0, -$low)) . ' <= CLOSED WHEN x.id IS NULL THEN y.at + ' . after(max(0, $high)) . ' <= CLOSED ELSE true END';
		$view{late} = 'SELECT ' . late($x, $view{began}) . ' + ' . late($y, $view{began});
		$append = 'true';
	}
	elsif ($kind eq 'windows of an outer join')
	{
		my $type = pick('LEFT', 'FULL');
		my $on = 'x.k = y.k AND ' . bound('x.at', 'y.at', $low, $high);
		my $w = $window->[0]->($type eq 'FULL' ? 'coalesce(x.at, y.at)' : 'x.at');
		my $end = $window->[1]->($w);
		my $delay = $type eq 'FULL' ? max(0, -$low, $high) : max(0, -$low);

		$view{sql} = "SELECT $w AS w, count(*) AS n, count(y.id) AS m, sum(x.v + y.v) AS v FROM a x $type JOIN b y ON $on GROUP BY 1";
		$view{batch} = "SELECT $w AS w, count(*) AS n, count(y.id) AS m, sum(x.v + y.v) AS v FROM " . in_time('a', 'both') . " x $type JOIN "
		  . in_time('b', 'both') . " y ON $on GROUP BY 1 HAVING min($end) + '$delay seconds' <= CLOSED";
		$view{late} = 'SELECT ' . late('a', 'both') . ' + ' . late('b', 'both');
		$append = 'true';
	}
	elsif ($kind eq 'subquery')
	{
		my $on = 'x.k = y.k AND ' . bound('x.at', 'y.at', $low, $high);
		my $form = pick('NOT EXISTS', 'EXISTS', 'NOT IN', 'scalar', 'lateral');
		my $query = sub {
			my ($x, $y) = @_;

			return "SELECT x.id, x.at FROM $x x WHERE $form (SELECT FROM $y y WHERE $on)" if $form =~ /EXISTS/;
			return "SELECT x.id, x.at FROM $x x WHERE x.v NOT IN (SELECT y.v FROM $y y WHERE $on)" if $form eq 'NOT IN';
			return "SELECT x.id, x.at, (SELECT sum(y.v) FROM $y y WHERE $on) AS v FROM $x x" if $form eq 'scalar';
			return "SELECT x.id, x.at, l.id AS last FROM $x x CROSS JOIN LATERAL (SELECT y.id FROM $y y WHERE $on ORDER BY y.at DESC, y.id LIMIT 1) l";
		};

		$view{sql} = $query->('a', 'b');
		$view{batch} = 'SELECT * FROM (' . $query->(in_time('a', 'both'), in_time('b', 'both')) . ') q WHERE at + ' . after(max(0, -$low)) . ' <= CLOSED';
		$view{late} = 'SELECT ' . late('a', 'both') . ' + ' . late('b', 'both');
		$append = 'true';
	}
	elsif ($kind eq 'three')
	{
		my ($low2, $high2) = (pick(-20, 0), pick(10, 30));
		my $on = 'x.k = y.k AND ' . bound('x.at', 'y.at', $low, $high);
		my $on2 = 'z.k = y.k AND ' . bound('y.at', 'z.at', $low2, $high2);
		my $w = $window->[0]->('x.at');
		my $end = $window->[1]->($w);
		my $delay = max(0, -$low, -$low - $low2);

		$append = 'true';
		$view{sql} = "SELECT $w AS w, count(*) AS n, sum(x.v - y.v + z.v) AS v FROM a x JOIN b y ON $on JOIN a z ON $on2 GROUP BY 1";
		$view{batch} = "SELECT $w AS w, count(*) AS n, sum(x.v - y.v + z.v) AS v FROM " . in_time('a', 'both') . ' x JOIN '
		  . in_time('b', 'both') . " y ON $on JOIN " . in_time('a', 'both') . " z ON $on2 GROUP BY 1 HAVING min($end) + '$delay seconds' <= CLOSED";
	}
	else
	{
		my $side = pick('x', 'y');
		my $on = 'x.k = y.k AND ' . bound('x.at', 'y.at', $low, $high);
		my $w = $window->[0]->("$side.at");
		my $end = $window->[1]->($w);
		my $delay = $side eq 'x' ? max(0, -$low) : max(0, $high);

		# the rows of a session of update mode need not have a time
		$append = 'true';
		$group =~ s/k/x.k/;
		$aggs =~ s/V/x.v + y.v/g;
		$view{sql} = "SELECT $w AS w$group, $aggs FROM a x JOIN b y ON $on GROUP BY 1$group";
		$view{batch} = "SELECT $w AS w$group, $aggs FROM " . in_time('a', 'both') . ' x JOIN ' . in_time('b', 'both')
		  . " y ON $on GROUP BY 1$group HAVING min($end) + '$delay seconds' <= CLOSED";
		$view{late} = 'SELECT ' . late('a', 'both') . ' + ' . late('b', 'both');
	}
	$view{mode} = $append eq 'true' ? 'append' : 'update';
	return \%view;
}

my %views;
foreach my $i (1 .. rounds(30))
{
	my $view = make_view();
	my $err;

	$view->{sql} = "CREATE VIEW v$i WITH (streaming.trigger = 'manual', streaming.output_mode = '$view->{mode}') AS $view->{sql}";
	if ($node->psql('postgres', $view->{sql}, stderr => \$err) != 0)
	{
		fail("kept: $view->{sql}");
		diag($err);
		next;
	}
	$views{"v$i"} = $view;
}

my %watermark = (
	a => "(SELECT max(at) - interval '20 seconds' FROM fed WHERE side = 'a' AND isfinite(at))",
	b => "(SELECT max(at) - interval '5 seconds' FROM fed WHERE side = 'b' AND isfinite(at))");
$watermark{both} = "CASE WHEN $watermark{a} IS NOT NULL AND $watermark{b} IS NOT NULL THEN least($watermark{a}, $watermark{b}) END";
my $id = 0;
my $base = 0;

sub feed
{
	my ($side, @rows) = @_;
	my $values = join ', ', @rows;

	return '' if !@rows;
	return <<SQL;
WITH r AS (
	INSERT INTO fed SELECT '$side', r.id, r.k, r.at::timestamptz, r.v::int, began.both_at, began.a_at
	FROM (VALUES $values) r(id, k, at, v), began RETURNING id, k, at, v)
INSERT INTO $side SELECT * FROM r;
SQL
}

foreach my $batch (1 .. rounds(12))
{
	# Time goes on, now and then by a leap or not at all; one stream may be ahead, or rest.
	$base += pick(0, 5, 15, 15, 40, 200);
	my $exact = pick(0, 0, 1);
	my $rows = sub {
		my ($ahead) = @_;

		return map {
			my $at = rand() < 0.02 ? pick('NULL', "'infinity'", "'-infinity'")
			  : sprintf "timestamptz '2026-01-01 00:00:00+00' + interval '%.*f seconds'", $exact, $base + $ahead + rand(90) - 60;
			'(' . join(', ', ++$id, "'" . pick('a' .. 'd') . "'", $at, rand() < 0.1 ? 'NULL' : int rand 10) . ')'
		} 1 .. pick(0, 1, 3, 30, 60);
	};

	$node->safe_psql('postgres', "BEGIN; CREATE TEMPORARY TABLE began ON COMMIT DROP AS SELECT $watermark{both} AS both_at, $watermark{a} AS a_at;"
		. feed('a', $rows->(pick(0, 0, 30))) . feed('b', $rows->(0)) . 'COMMIT');
	terminate_worker($node, 'streaming query') if rand() < 0.2;
	my $bad = 0;
	foreach my $name (sort keys %views)
	{
		my $view = $views{$name};
		my $watermark = $node->safe_psql('postgres', "SELECT $watermark{$view->{began}}");

		drain($node, $name);
		my $closed = $watermark eq '' ? 'NULL::timestamptz' : "timestamptz '$watermark'";
		my $ok = same_as_batch($node, $name, $view->{batch} =~ s/CLOSED/$closed/gr, "batch $batch: $name, $view->{kind}");
		$ok &= is($node->safe_psql('postgres', "SELECT streaming.watermark('$name')"), $watermark, "batch $batch: the watermark of $name");
		$ok &= is($node->safe_psql('postgres', "SELECT late_rows FROM streaming.stat_views WHERE view = '$name'::regclass"),
			$node->safe_psql('postgres', $view->{late}), "batch $batch: late rows of $name") if $view->{late};
		next if $ok;
		diag($view->{sql});
		last if ++$bad > 3;
	}
	last if $bad > 3;
}

# What joins keep goes when it can be joined no more.
$base += 10000;
$node->safe_psql('postgres', 'BEGIN; CREATE TEMPORARY TABLE began ON COMMIT DROP AS SELECT NULL::timestamptz AS both_at, NULL::timestamptz AS a_at;'
	. join('', map { feed($_, "(0, 'z', timestamptz '2026-01-01 00:00:00+00' + interval '$base seconds', 1)") } 'a', 'b') . 'COMMIT');
drain($node, $_) foreach keys %views;
is($node->safe_psql('postgres', <<'SQL'), 't', 'nothing is left of old rows that were joined');
SELECT coalesce(bool_and((xpath('/row/n/text()', query_to_xml(format('SELECT count(*) AS n FROM streaming_internal.%I WHERE isfinite("$closes") AND "$closes" < ''2026-01-01 02:00:00+00''', relname), false, true, '')))[1]::text = '0'), true)
FROM pg_class WHERE relname ~ '^rows_[0-9]+_[0-9]+_[0-9]+$' AND relkind = 'r'
	AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = pg_class.oid AND attname = '$closes')
SQL

$node->stop;
done_testing();
