# Generated continuous views against PostgreSQL itself: after every batch of
# random rows each view shows exactly what its query answers over a plain table
# that received the same rows in the same transactions. Some of them also write
# to tables, in output modes update and complete.
#
# Takes long.
use strict;
use warnings;
use List::Util qw(shuffle);
use StreamingTest;
use Test::More;

my $seed = random_seed();
my $node = new_node('random');

sub pick { return $_[ rand @_ ]; }

$node->safe_psql('postgres', <<'SQL');
CREATE TABLE dim (b text, label text, weight int);
INSERT INTO dim SELECT 'b' || i, 'label ' || i % 3, i FROM generate_series(0, 6) i;
INSERT INTO dim VALUES ('b1', 'again', 100), (NULL, 'none', 0);
CREATE FOREIGN TABLE s (a int, b text, c numeric, e timestamptz, f boolean, g bigint, h int[], j jsonb)
    SERVER streaming;
CREATE TABLE plain (LIKE s);
SQL

# A value of each column, NULL now and then; few of them, so that groups meet.
my %value = (
	a => sub { int rand 6 },
	b => sub { "'b" . int(rand 9) . "'" },
	c => sub { pick('1.0', '1.00', '-2.5', '0', '1e10', "'NaN'", '123456789.123') },
	e => sub { "timestamptz '2026-01-01 00:00:00+00' + interval '1 second' * " . int rand 100 },
	f => sub { pick('true', 'false') },
	g => sub { int(rand 2e9) - int 1e9 },
	h => sub { pick("'{1,2}'", "'{}'", "'{NULL}'") },
	j => sub { pick(q('{"x": 1}'), q('{"x": 2}'), q('[1]')) });
my @columns = sort keys %value;

sub random_rows
{
	my ($n) = @_;

	return join ', ', map {
		'(' . join(', ', map { rand() < 0.1 ? 'NULL' : $value{$_}->() } @columns) . ')'
	} 1 .. $n;
}

my @keys = (
	'a', 'b', 'c', 'e', 'f', 'h', 'j', 'a % 2', 'g > 0', 'coalesce(b, \'none\')',
	"date_bin('20 seconds', e, 'epoch')", 'a IS NULL', 'a::money', 'a::bit(4)', "j ->> 'x'",
	"int4range(a, a + 2)", 'b::bytea', '-c', "e::date");
# Kept by combining partial states
my @combined = (
	'count(*)', 'count(a)', 'sum(a)', 'sum(g)', 'sum(c)', 'avg(a)', 'avg(g)', 'min(a)', 'max(b)',
	'min(e)', 'max(c)', 'bool_and(f)', 'bool_or(f)', 'bit_xor(a)', 'every(a > 1)',
	'stddev(a)', 'var_pop(g)', 'max(h)', 'min(c)', 'sum(a + 1)', "sum(e - timestamptz '2026-01-01')",
	'count(*) FILTER (WHERE a > 2)', 'sum(g) FILTER (WHERE f)', 'max(length(b))');
# Recomputed
my @recomputed = (
	'count(DISTINCT b)', 'count(DISTINCT b) FILTER (WHERE f)', 'count(DISTINCT a) FILTER (WHERE NOT f)', 'sum(DISTINCT a)', "string_agg(b, ',' ORDER BY b)",
	'array_agg(a ORDER BY a, g)', 'percentile_disc(0.5) WITHIN GROUP (ORDER BY a)',
	'mode() WITHIN GROUP (ORDER BY f)', 'array_agg(DISTINCT a) FILTER (WHERE f)',
	'rank(3) WITHIN GROUP (ORDER BY a)', 'max(a ORDER BY b)');
my @filters = ('a > 1', "b LIKE 'b%'", 'f', 'g < 0 OR a IS NULL', "j @> '{\"x\": 1}'", 'a IN (1, 2, 5)',
	'EXISTS (SELECT FROM dim WHERE dim.b = s.b)', 'a = ANY (h)');
# STREAM is the stream in the view and the plain table in the batch query.
my @joins = ('STREAM s', 'STREAM s', 'STREAM s', 'STREAM s JOIN dim ON dim.b = s.b',
	'STREAM s LEFT JOIN dim ON dim.b = s.b AND weight > 2',
	'STREAM s, LATERAL (SELECT max(weight) AS weight, min(label) AS label FROM dim WHERE dim.b = s.b) d',
	'(SELECT *, a * 2 AS weight, upper(b) AS label FROM STREAM s WHERE a IS NOT NULL) s');

sub aggregate_query
{
	my ($from) = @_;
	my $joined = $from ne 'STREAM s';
	my @pool = (@combined, rand() < 0.3 ? @recomputed : ());
	my @group = map { pick(@keys, $joined ? qw(label weight) : ()) } 1 .. int rand 3;
	my (@select, %seen);

	s/\bb\b/s.b/g for @group;
	@group = grep { !$seen{$_}++ } @group;
	my @aggs = map { pick(@pool) } 1 .. 1 + int rand 3;
	s/\bb\b(?!')/s.b/g for @aggs;
	push @select, grep { rand() < 0.8 } @group;
	push @select, @aggs;
	# which of 1.0 and 1.00 is the smallest is a matter of order
	my $text = $aggs[-1] =~ /^m(in|ax)\(c\)$/ ? "trim_scale($aggs[-1])" : $aggs[-1];
	push @select, "$aggs[0] IS NULL", "coalesce(($text)::text, '-')" if rand() < 0.3;
	my $i = 0;
	my $sql = 'SELECT ' . join(', ', map { "$_ AS o" . ++$i } @select) . " FROM $from";
	if (rand() < 0.5)
	{
		my $where = pick(@filters);
		$where =~ s/\bb\b/s.b/;
		$sql .= " WHERE $where";
	}
	$sql .= ' GROUP BY ' . join(', ', map { "($_)" } @group) if @group;
	$sql .= pick(' HAVING count(*) > 2', ' HAVING sum(a) % 2 = 0', ' HAVING max(a) < 5') if rand() < 0.3;
	# the columns that are the group's key, if all of it is there
	my $keys = () = grep { my $column = $_; grep { $_ eq $column } @group } @select;
	return ($sql, $keys == @group ? map { "o$_" } 1 .. $keys : ());
}

sub random_query
{
	my $kind = rand;

	if ($kind < 0.15)
	{
		my $from = pick(@joins);
		return "SELECT a, s.b, g % 3 AS m, upper(s.b) AS u FROM $from WHERE " . pick('a > 2', 's.b IS NOT NULL', 'true');
	}
	return ('SELECT DISTINCT a % 3 AS m, f FROM STREAM s', 'm', 'f') if $kind < 0.2;
	if ($kind < 0.4)
	{
		my $inner = 'SELECT b, a, count(*) AS n, sum(g) AS total, max(e) AS last FROM STREAM s GROUP BY b, a';
		return pick(
			"SELECT n, count(*) AS groups, sum(total) AS total FROM ($inner) i GROUP BY n",
			"SELECT b, max(n) AS most, min(last) AS first FROM ($inner HAVING count(*) > 1) i GROUP BY b",
			"SELECT avg(n) AS mean, count(DISTINCT b) AS bs FROM ($inner) i",
			"SELECT b, n, label FROM ($inner) i JOIN dim USING (b) WHERE n > 1",
			"SELECT m, count(*) AS c FROM (SELECT b, max(n) AS m FROM ($inner) i GROUP BY b) k GROUP BY m");
	}
	return aggregate_query(pick(@joins));
}

my %views;
my $wanted = rounds(40);
my $tries = 0;
my $made = 0;
while ($made < $wanted && $tries++ < 3 * $wanted)
{
	my ($query, @key) = random_query();
	my $name = 'v' . ($made + 1);
	my $err;

	# What PostgreSQL itself refuses is not asked of a view.
	next if $node->psql('postgres', "BEGIN; CREATE VIEW x AS @{[ $query =~ s/STREAM/plain/r ]}; ROLLBACK", stderr => \$err) != 0
	  || $err ne '';
	my $rc = $node->psql('postgres',
		"SET client_min_messages = warning; CREATE VIEW $name WITH (streaming.trigger = 'manual') AS @{[ $query =~ s/STREAM/s/r ]}",
		stderr => \$err);
	if ($rc != 0 || $err ne '')
	{
		fail("kept: $query");
		diag($err);
		next;
	}
	$views{$name} = $query;
	$made++;

	# Tables like the result. Some have a key and a row that nobody has asked for.
	foreach my $mode (@key ? 'update' : (), 'complete')
	{
		next if rand() < 0.5;
		my ($table, $sink) = ("${name}_$mode", "${name}_sink_$mode");
		my $unique = @key && ($mode eq 'update' || rand() < 0.5);
		$node->safe_psql('postgres', join ';',
			"CREATE TABLE $sink AS @{[ $query =~ s/STREAM/plain/r ]} WITH NO DATA",
			"ALTER TABLE $sink ADD extra int DEFAULT 1",
			$unique ? "ALTER TABLE $sink ADD UNIQUE NULLS NOT DISTINCT (" . join(', ', shuffle(@key)) . ')' : (),
			$mode eq 'complete' ? "INSERT INTO $sink DEFAULT VALUES" : (),
			"CREATE VIEW $table WITH (streaming.trigger = 'manual', streaming.sink = '$sink', streaming.output_mode = '$mode') AS "
			  . $query =~ s/STREAM/s/r);
		$views{$table} = $query;
	}
}

# What views remember between batches: all of it, none, or what was read anew.
my @disturb = (
	sub { $node->restart },
	sub { $node->safe_psql('postgres', 'VACUUM') },
	map {
		my $memory = $_;
		sub {
			$node->append_conf('postgresql.conf', "streaming.state_memory = '$memory'");
			$node->reload;
		}
	} ('0', '64kB', '80MB'));

foreach my $batch (1 .. rounds(12))
{
	pick(@disturb)->() if rand() < 0.6;

	# committed, rolled back, and with a savepoint rolled back
	my $rows = random_rows(pick(1, 5, 100, 500));
	my $list = join ', ', @columns;
	$node->safe_psql('postgres', <<SQL);
BEGIN;
WITH r AS (INSERT INTO plain ($list) VALUES $rows RETURNING *) INSERT INTO s ($list) SELECT $list FROM r;
SAVEPOINT one;
INSERT INTO s ($list) VALUES @{[ random_rows(3) ]};
ROLLBACK TO one;
COMMIT;
BEGIN;
INSERT INTO s ($list) VALUES @{[ random_rows(3) ]};
ROLLBACK;
SQL
	# Complete mode sets right what others do to its table.
	if ($batch % 3 == 0)
	{
		foreach my $name (grep { /complete/ } sort keys %views)
		{
			my $sink = $name =~ s/_/_sink_/r;
			$node->safe_psql('postgres', "DELETE FROM $sink WHERE ctid IN (SELECT ctid FROM $sink LIMIT 2)");
			$node->psql('postgres', "INSERT INTO $sink SELECT * FROM $sink LIMIT 2");
		}
	}
	my $bad = 0;
	foreach my $name (sort keys %views)
	{
		my $batch_query = $views{$name} =~ s/STREAM/plain/r;
		my $ok = eval { drain($node, $name); 1 };
		if (!$ok)
		{
			fail("batch $batch: $name: $views{$name}");
			diag($@);
			last if ++$bad > 3;
			next;
		}
		same_as_batch($node, $name, $batch_query, "batch $batch: ")
		  or diag("$name: $views{$name}");
	}
	last if $bad > 3;
}

$node->stop;
done_testing();
