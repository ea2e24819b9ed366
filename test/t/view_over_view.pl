# A view over a view, and an aggregate over an aggregate.

use strict;
use warnings;

use StreamingTest;
use Test::More;

random_seed();

my $node = new_node('main', 'streaming.retry_max = 1s');

$node->safe_psql('postgres', <<'SQL');
CREATE FOREIGN TABLE s (k int, v int) SERVER streaming;
CREATE TABLE mirror (k int, v int);
CREATE VIEW counts WITH (streaming.continuous) AS SELECT k, count(*) AS n, sum(v) AS total FROM s GROUP BY k;
CREATE VIEW histogram WITH (streaming.continuous) AS SELECT n, count(*) AS keys, sum(total) FROM counts GROUP BY n;
CREATE VIEW large WITH (streaming.continuous) AS SELECT k, total FROM counts WHERE n >= 5;
CREATE VIEW evens WITH (streaming.continuous) AS SELECT k, v FROM s WHERE v % 2 = 0;
CREATE VIEW even_counts WITH (streaming.continuous) AS SELECT k, count(*) AS n FROM evens GROUP BY k;
CREATE VIEW nested WITH (streaming.continuous) AS
	SELECT n, count(*) AS keys FROM (SELECT k, count(*) AS n FROM s GROUP BY k) c GROUP BY n;
CREATE VIEW third WITH (streaming.continuous) AS SELECT keys, count(*) AS times FROM histogram GROUP BY keys;
SQL

my $counts = 'SELECT k, count(*) AS n, sum(v) AS total FROM mirror GROUP BY k';
my $histogram = "SELECT n, count(*) AS keys, sum(total) FROM ($counts) c GROUP BY n";
my %batch = (
	counts      => $counts,
	histogram   => $histogram,
	large       => "SELECT k, total FROM ($counts) c WHERE n >= 5",
	even_counts => 'SELECT k, count(*) AS n FROM mirror WHERE v % 2 = 0 GROUP BY k',
	nested      => "SELECT n, count(*) AS keys FROM ($counts) c GROUP BY n",
	third       => "SELECT keys, count(*) AS times FROM ($histogram) h GROUP BY keys",
);

sub insert
{
	my ($n) = @_;
	my $rows = join ', ', map { '(' . int(rand 20) . ', ' . int(rand 100) . ')' } 1 .. $n;

	$node->safe_psql('postgres', "BEGIN; INSERT INTO s VALUES $rows; INSERT INTO mirror VALUES $rows; COMMIT");
	return;
}

sub all_right
{
	my ($when) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	foreach my $view (sort keys %batch)
	{
		# Drains what it reads, first.
		drain($node, $view);
		same_as_batch($node, $view, $batch{$view}, "$view, $when");
	}
	return;
}

insert(1);
all_right('after one row');
insert(1 + int rand 10) foreach 1 .. 20;
all_right('after many inserts');

foreach my $round (1 .. rounds(4))
{
	insert(5) foreach 1 .. 5;
	kill9($node, 'streaming query');
	insert(5) foreach 1 .. 5;
	kill9($node, 'postmaster');
	insert(5);
	all_right("after kills $round");
}

# Dependencies are PostgreSQL's.
my ($ret, $out, $err) = $node->psql('postgres', 'DROP VIEW counts');
like($err, qr/other objects depend/, 'a view that another reads is not dropped alone');
$node->safe_psql('postgres', 'DROP VIEW counts CASCADE');
is($node->safe_psql('postgres', 'SELECT string_agg(view::text, $$ $$ ORDER BY view::text) FROM streaming.views'),
	'even_counts evens nested', 'CASCADE takes those that depend on it');
delete @batch{qw(counts histogram large third)};
insert(5);
all_right('after the others are dropped');

$node->stop;
done_testing();
