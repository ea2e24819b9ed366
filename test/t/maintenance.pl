# Maintenance of our tables by others: VACUUM FULL, truncation, other tablespaces.
# No row is lost and none comes twice, whatever waits meanwhile.

use strict;
use warnings;

use StreamingTest;
use Test::More;

my $node = new_node('main', 'autovacuum = off', q(streaming.buffer_size = '16MB'));
my $dir = $node->basedir . '/landing';
my $elsewhere = $node->basedir . '/elsewhere';
mkdir $_ foreach $dir, $elsewhere;

sub sql { return $node->safe_psql('postgres', $_[0]); }

sql(<<SQL);
CREATE TABLESPACE elsewhere LOCATION '$elsewhere';
CREATE FOREIGN TABLE s (k int, v int, t text) SERVER streaming;
CREATE VIEW counts WITH (streaming.continuous) AS SELECT k, count(*) AS n, sum(v) FROM s GROUP BY k;
CREATE VIEW "all" WITH (streaming.trigger = 'manual') AS SELECT v FROM s;
CREATE VIEW over WITH (streaming.continuous) AS SELECT n, count(*) AS groups FROM counts GROUP BY n;
SQL

# All tables that hold pushed rows of s; a command on each.
sub each_table
{
	my ($command, $pattern) = @_;
	$pattern ||= '^push_\d+_[01]$';
	my @tables = split /\n/, sql("SELECT oid::regclass FROM pg_class WHERE relnamespace = 'streaming_internal'::regnamespace AND relkind = 'r' AND relname ~ '$pattern' ORDER BY 1");
	sql(sprintf $command, $_) foreach @tables;
	return @tables;
}

my $rolled_back = q(BEGIN; INSERT INTO s SELECT 0, -1, repeat('x', 50) FROM generate_series(1, %d); ROLLBACK);
my $next = 0;

sub push_rows
{
	my ($n) = @_;

	sql(sprintf q(INSERT INTO s SELECT i %% 3, i, 'row' FROM generate_series(%d, %d) i), $next + 1, $next + $n);
	$next += $n;
}

sub all_there
{
	my ($what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	drain($node, $_) foreach qw(counts "all" over);
	same_as_batch($node, 'counts', "SELECT k, count(*) AS n, sum(v) FROM (SELECT i % 3 AS k, i AS v FROM generate_series(1, $next) i) r GROUP BY k", "$what: groups");
	is(sql('SELECT count(*), count(DISTINCT v), max(v) FROM "all"'), "$next|$next|$next", "$what: each row once");
	same_as_batch($node, 'over', 'SELECT n, count(*) AS groups FROM counts GROUP BY n', "$what: views over views");
}

my @ways = (
	[ 'VACUUM FULL', sub { each_table('VACUUM FULL %s') } ],
	[ 'VACUUM that cuts off the end', sub { each_table('VACUUM (TRUNCATE) %s') } ],
	[ 'VACUUM FULL of the database', sub { sql('VACUUM FULL') } ],
	[ 'another tablespace', sub { each_table('ALTER TABLE %s SET TABLESPACE elsewhere') } ],
	[ 'the default tablespace', sub { each_table('ALTER TABLE %s SET TABLESPACE pg_default') } ],
	[ 'VACUUM FREEZE', sub { each_table('VACUUM (FREEZE, TRUNCATE) %s') } ],
);
foreach my $way (@ways)
{
	my ($name, $do) = @$way;

	foreach my $restart (0, 1)
	{
		my $what = $name . ($restart ? ', after a restart' : '');

		# The place of the views is behind many blocks that will be empty.
		sql(sprintf $rolled_back, 50000);
		push_rows(1);
		drain($node, $_) foreach qw(counts "all");
		$node->restart if $restart;
		push_rows(5);
		$do->();
		push_rows(3);
		all_there($what);

		# What is added later fills the blocks up to the old place, and more.
		sql('ALTER VIEW counts SET (streaming.enabled = off)');
		$do->();
		push_rows(10);
		$do->();
		sql(sprintf $rolled_back, 60000);
		push_rows(10);
		$node->restart if $restart;
		sql('ALTER VIEW counts SET (streaming.enabled = on)');
		all_there("$what, and more rows");
	}
}

# While others push, and batches run.
sql('CREATE SEQUENCE pushed');
sql("SELECT setval('pushed', $next)");
{
	my @pushers = map { $node->background_psql('postgres') } 1 .. 2;
	foreach my $round (1 .. rounds(10))
	{
		$_->query_safe(q(INSERT INTO s SELECT v % 3, v, 'row' FROM (SELECT nextval('pushed')::int AS v FROM generate_series(1, 500)) r)) foreach @pushers;
		each_table($round % 2 ? 'VACUUM FULL %s' : 'VACUUM (TRUNCATE) %s');
		$pushers[0]->query_safe(q(BEGIN; INSERT INTO s SELECT 0, -1, repeat('x', 50) FROM generate_series(1, 5000); ROLLBACK));
		drain($node, '"all"') if $round % 3 == 0;
		$next += 1000;
	}
	$_->quit foreach @pushers;
}
all_there('in turn');

# State and results: the worker remembers where each row is.
sql('CREATE FOREIGN TABLE d (k int, v int) SERVER streaming');
sql('CREATE VIEW distinct_values WITH (streaming.continuous) AS SELECT k, count(DISTINCT v) AS n, string_agg(v::text, NULL ORDER BY v) AS s FROM d GROUP BY k');
sql('CREATE VIEW sums WITH (streaming.continuous) AS SELECT k, sum(v) FROM d GROUP BY k');
foreach my $round (1 .. 4)
{
	sql("INSERT INTO d SELECT i % 1000, i + $round FROM generate_series(1, 3000) i");
	drain($node, $_) foreach qw(distinct_values sums);
	each_table('VACUUM FULL %s', '^(result|state|bag|memory)_') if $round == 1;
	each_table('VACUUM (TRUNCATE) %s', '^(result|state|bag|memory)_') if $round == 2;
	sql('REINDEX DATABASE postgres') if $round == 3;
}
same_as_batch($node, 'sums', 'SELECT k, sum(v) FROM d GROUP BY k', 'state and results survive it');
same_as_batch($node, 'distinct_values', 'SELECT k, count(DISTINCT v) AS n, string_agg(v::text, NULL ORDER BY v) AS s FROM d GROUP BY k', 'bags, too');

# The buffer of a directory stream, while a file is read.
sql(<<SQL);
CREATE SERVER landing FOREIGN DATA WRAPPER directory OPTIONS (path '$dir');
CREATE FOREIGN TABLE f (v int) SERVER landing OPTIONS (path '*.json');
CREATE VIEW of_files WITH (streaming.continuous) AS SELECT count(*) AS n, count(DISTINCT v) AS d, max(v) FROM f;
CREATE VIEW waits WITH (streaming.trigger = 'manual') AS SELECT v FROM f;
SQL
my $lines = 0;
foreach my $file (1 .. 6)
{
	put_file($dir, "$file.json", join '', map { qq({"v": $_}\n) } $lines + 1 .. $lines + 20000);
	$lines += 20000;
	drain($node, 'of_files') if $file % 2;
	each_table('VACUUM FULL %s', '^buffer_') if $file != 4;
	each_table('VACUUM (TRUNCATE) %s', '^buffer_') if $file == 4;
	drain($node, 'waits') if $file == 5;
}
drain($node, $_) foreach qw(of_files waits);
is(sql('SELECT * FROM of_files'), "$lines|$lines|$lines", 'each line of the files once');
is(sql('SELECT count(*), count(DISTINCT v) FROM waits'), "$lines|$lines", 'by all views');
is(sql(q(SELECT count(*) FROM streaming.views WHERE last_error IS NOT NULL)), 0, 'no view has met an error');

$node->stop;
done_testing();
