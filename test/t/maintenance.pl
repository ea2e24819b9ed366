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
	@tables = grep { sql("SELECT count(*) FROM pg_attribute WHERE attrelid = '$_'::regclass AND attname = '$1'") } @tables
	  if $command =~ /"(\$\w+)"/;
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

# Indexes by which rows cannot be looked up, older than the one by which they can.
sql(<<'SQL');
CREATE FOREIGN TABLE w (k int, at timestamptz OPTIONS (watermark '0')) SERVER streaming;
CREATE VIEW closing WITH (streaming.output_mode = 'append') AS SELECT k, streaming.tumble(at, '1 hour') AS hour, count(*) AS n FROM w GROUP BY 1, 2;
CREATE VIEW visits WITH (streaming.continuous) AS SELECT k, streaming.session(at, '1 minute') AS visit, count(*) AS n FROM w GROUP BY 1, 2;
SQL
each_table('CREATE INDEX ON %s ("$closes") WITH (fillfactor = 77)', '^(result|state|bag)_');
each_table('CREATE INDEX ON %1$s ("$hash") WITH (fillfactor = 77); CREATE INDEX ON %1$s USING hash ("$hash"); CREATE INDEX ON %1$s ((-"$hash")); CREATE INDEX ON %1$s ("$hash") WHERE "$hash" > 0; CREATE INDEX ON %1$s ("$hash" DESC)', '^(result|state|bag)_');
sql(q(UPDATE pg_index SET indisvalid = false, indisready = false WHERE indexrelid IN (SELECT oid FROM pg_class WHERE 'fillfactor=77' = ANY (reloptions))));
sql("REINDEX INDEX CONCURRENTLY $_") foreach split /\n/, sql(q(SELECT indexrelid::regclass FROM pg_index WHERE indrelid::regclass::text ~ 'streaming_internal.(result|state|bag)_' AND indisvalid AND indpred IS NULL AND indkey[0] <> 0 AND indoption[0] = 0 AND (SELECT relam = 403 FROM pg_class WHERE oid = indexrelid)));
my $inserted = q(SELECT i % 10 AS k, '2026-01-01 00:00+00'::timestamptz + i * interval '4 minutes' AS at FROM generate_series(1, 300) i);
sql("INSERT INTO w $inserted");
drain($node, $_) foreach qw(closing visits sums);
sql("INSERT INTO w SELECT k, at + interval '30 seconds' FROM ($inserted) i WHERE at >= '2026-01-01 20:00+00'; INSERT INTO w VALUES (NULL, '2026-01-03 00:00+00')");
sql("INSERT INTO d SELECT i % 1000, i FROM generate_series(1, 3000) i");
drain($node, $_) foreach qw(closing visits sums distinct_values);
same_as_batch($node, 'closing', "SELECT k, streaming.tumble(at, '1 hour') AS hour, count(*) AS n FROM (SELECT * FROM ($inserted) i UNION ALL SELECT k, at + interval '30 seconds' FROM ($inserted) i WHERE at >= '2026-01-01 20:00+00') r GROUP BY 1, 2", 'windows are found, and close');
is(sql('SELECT count(*), sum(n), max(n) FROM visits'), '301|302|2', 'sessions are found, and grow');
same_as_batch($node, 'sums', 'SELECT k, sum(v) FROM d GROUP BY k', 'groups are found');
same_as_batch($node, 'distinct_values', 'SELECT k, count(DISTINCT v) AS n, string_agg(v::text, NULL ORDER BY v) AS s FROM d GROUP BY k', 'and bags');

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
