# Generated views over event-time windows: rows come out of order, one drain a
# batch. What is late follows from the order in which they were fed; of the
# rest each view shows, after every batch, what its query answers as a batch (in
# append mode: of the windows that the watermark has closed).
#
# Takes long.

use strict;
use warnings;

use StreamingTest;
use Test::More;

my $seed = random_seed();
my $node = new_node('random', 'timezone = UTC');

sub pick { return $_[ rand @_ ]; }

$node->safe_psql('postgres', <<'SQL');
CREATE FOREIGN TABLE s (id int, k text, at timestamptz OPTIONS (watermark '20 seconds'), v int) SERVER streaming;
-- with the watermark that the batch of the row began with
CREATE TABLE fed (id int, k text, at timestamptz, v int, began timestamptz);
SQL

# A window of at: as the view has it, FROM of the batch query for it, and when it
# closes. Both call it win.
my @windows = (
	(map { [ "date_bin('$_', at, 'epoch')", "date_bin('$_', at, 'epoch')", "win + '$_'" ] } '7 seconds', '30 seconds', '1 minute'),
	[ "date_trunc('minute', at)", "date_trunc('minute', at)", "win + '1 minute'" ],
	[ "date_trunc('hour', at, 'Asia/Kolkata')", "date_trunc('hour', at, 'Asia/Kolkata')", "win + '1 hour'" ],
	[ 'at', 'at', "win + '1 microsecond'" ],
	[ "streaming.tumble(at, '17 seconds')", "streaming.tumble(at, '17 seconds')", 'upper(win)' ],
	[ "streaming.hop(at, '10 seconds', '25 seconds')", "streaming.hop(at, '10 seconds', '25 seconds')", 'upper(win)' ]);
my @gaps = ('1 second', '4 seconds', '15 seconds');
my @combined = ('count(*)', 'sum(v)', 'avg(v)', 'min(v)', 'max(k)', 'bool_or(v > 5)', 'count(v) FILTER (WHERE v > 3)', 'max(at)');
my @recomputed = ('count(DISTINCT v)', 'array_agg(v ORDER BY v, id)', 'percentile_disc(0.5) WITHIN GROUP (ORDER BY v)');
my %views;

# The batch query over the rows that were not late; CLOSED is the watermark.
sub batch_query
{
	my ($window, $group, $aggs, $having, $where, $append) = @_;
	my $lateral = "LATERAL (SELECT $window->[1] AS win) w";

	return <<SQL;
SELECT win AS w$group, $aggs FROM (SELECT f.*, win, $window->[2] AS closes FROM fed f, $lateral) s
WHERE ($where) AND CASE WHEN closes IS NULL OR NOT isfinite(closes) THEN NOT $append ELSE coalesce(closes > began, true) END
GROUP BY win$group HAVING ($having) AND (NOT $append OR min(closes) <= CLOSED)
SQL
}

sub late_query
{
	my ($window, $where, $append) = @_;

	return <<SQL;
SELECT count(*) FROM (SELECT f.*, win, $window->[2] AS closes FROM fed f, LATERAL (SELECT $window->[1] AS win) w) s
WHERE ($where) AND NOT CASE WHEN closes IS NULL OR NOT isfinite(closes) THEN NOT $append ELSE coalesce(closes > began, true) END
SQL
}

# Sessions as gaps and islands. What is older than the watermark is late.
my $session_in_time = '(isfinite(at) IS TRUE AND (began IS NULL OR at >= began))';
sub session_query
{
	my ($gap, $group, $aggs, $having, $where, $append) = @_;
	my $partition = $group ? 'PARTITION BY k' : '';

	return <<SQL;
SELECT tstzrange(min(at), max(at) + '$gap') AS w$group, $aggs
FROM (SELECT *, sum(new) OVER ($partition ORDER BY at, id) AS island
	FROM (SELECT *, coalesce(at - lag(at) OVER ($partition ORDER BY at, id) > '$gap', true)::int AS new
		FROM fed WHERE ($where) AND $session_in_time) n) i
GROUP BY island$group HAVING ($having) AND (NOT $append OR max(at) + '$gap' < CLOSED)
SQL
}

foreach my $i (1 .. rounds(30))
{
	my $name = "v$i";
	my $window = pick(@windows);
	my $append = pick('true', 'true', 'false');
	my @aggs = map { pick(@combined, rand() < 0.3 ? @recomputed : ()) } 1 .. 1 + int rand 3;
	my $gap = rand() < 0.25 ? pick(@gaps) : undef;
	if ($gap)
	{
		$window = [ "streaming.session(at, '$gap')", 'tstzrange(at, at)' ];
		@aggs = map { pick(@combined) } @aggs;
	}
	my $n = 0;
	my $aggs = join ', ', map { "$_ AS a" . ++$n } @aggs;
	my $group = pick('', ', k');
	my $having = pick('true', 'true', 'count(*) > 1');
	my $where = pick('true', 'true', 'v > 2', "k <> 'a'");
	my $from = pick('s', 's', '(SELECT id, at, k, v FROM s) s');
	my @options = ("streaming.trigger = 'manual'", 'streaming.output_mode = ' . ($append eq 'true' ? 'append' : 'update'));
	my $shown = $name;

	if (rand() < 0.4 && ($append eq 'true' || $group eq ', k'))
	{
		$node->safe_psql('postgres', "CREATE TABLE sink$i AS SELECT * FROM (SELECT win AS w$group, $aggs FROM (SELECT f.*, win FROM fed f, LATERAL (SELECT $window->[1] AS win) w) s GROUP BY win$group) q LIMIT 0");
		$node->safe_psql('postgres', "ALTER TABLE sink$i ADD UNIQUE NULLS NOT DISTINCT (w, k)") if $append eq 'false';
		push @options, "streaming.sink = 'sink$i'";
		$shown = "sink$i";
	}
	my $sql = "CREATE VIEW $name WITH (" . join(', ', @options) . ") AS SELECT $window->[0] AS w$group, $aggs"
	  . " FROM $from WHERE $where GROUP BY 1$group HAVING $having";
	my $err;
	if ($node->psql('postgres', $sql, stderr => \$err) != 0)
	{
		fail("kept: $sql");
		diag($err);
		next;
	}
	$views{$name} = {
		sql => $sql, shown => $shown, where => $where,
		batch => $gap ? session_query($gap, $group, $aggs, $having, $where, $append) : batch_query($window, $group, $aggs, $having, $where, $append),
		late => $gap ? "SELECT count(*) FROM fed WHERE ($where) AND NOT $session_in_time" : late_query($window, $where, $append) };
}

my $id = 0;
my $base = 0;
foreach my $batch (1 .. rounds(12))
{
	# Time goes on, now and then by a leap or not at all; rows are early or late.
	$base += pick(0, 5, 15, 15, 40, 200);
	# Whole seconds meet the ends of windows.
	my $exact = pick(0, 0, 1);
	my @rows = map {
		my $at = rand() < 0.02 ? pick('NULL', "'infinity'", "'-infinity'")
		  : sprintf "timestamptz '2026-01-01 00:00:00+00' + interval '%.*f seconds'", $exact, $base + rand(90) - 60;
		'(' . join(', ', ++$id, "'" . pick('a' .. 'd') . "'", $at, rand() < 0.1 ? 'NULL' : int rand 10) . ')'
	} 1 .. pick(1, 3, 30, 200);
	my $values = join ', ', @rows;
	$node->safe_psql('postgres', <<SQL);
WITH r AS (
	INSERT INTO fed SELECT r.id, r.k, r.at::timestamptz, r.v::int, (SELECT max(at) - interval '20 seconds' FROM fed WHERE isfinite(at))
	FROM (VALUES $values) r(id, k, at, v) RETURNING id, k, at, v)
INSERT INTO s SELECT * FROM r;
SQL
	terminate_worker($node, 'streaming query') if rand() < 0.2;
	my $bad = 0;
	my $watermark = $node->safe_psql('postgres', "SELECT max(at) - interval '20 seconds' FROM fed WHERE isfinite(at)");
	foreach my $name (sort keys %views)
	{
		my $view = $views{$name};

		drain($node, $name);
		my $closed = $watermark eq '' ? 'NULL::timestamptz' : "timestamptz '$watermark'";
		my $ok = same_as_batch($node, $view->{shown}, $view->{batch} =~ s/CLOSED/$closed/r, "batch $batch: $name");
		$ok &&= is($node->safe_psql('postgres', "SELECT watermark, late_rows FROM streaming.stat_views WHERE view = '$name'::regclass"),
			"$watermark|" . $node->safe_psql('postgres', $view->{late}), "batch $batch: $name has the watermark and late rows");
		next if $ok;
		diag($view->{sql});
		last if ++$bad > 3;
	}
	last if $bad > 3;
}

$node->stop;
done_testing();
