# The queries of Nexmark over one stream of files: after each batch, every view
# shows what its query answers over tables with the same events.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use StreamingNexmark;
use StreamingTest;
use Test::More;

# 30 seconds of events, so that there are several windows.
my ($events, $rate, $batches) = (12_000, 400, 4);

my $node = new_node('nexmark');
my $generate = $node->basedir . '/generate';
my $made = $node->basedir . '/made';
my $landing = $node->basedir . '/landing';
mkdir $_ foreach $made, $landing;
system_or_bail($ENV{CC} // 'cc', '-O1', '-std=gnu11', '-o', $generate, 'test/bench/generate.c', '-lrdkafka', '-lm');
system_or_bail($generate, 'nexmark', '-d', $made, '-n', $events, '-r', $rate, '-f', $batches);
system_or_bail($generate, 'nexmark-tables', '-d', $made, '-n', $events, '-r', $rate);

# SQL with the names of one of the two schemas, live and batch.
sub in_schema
{
	my ($schema, @sql) = @_;

	return join "\n", "SET search_path = $schema, public;", @sql;
}

# Lets the next file of events appear, and adds the same events to the tables.
my $landed = 0;

sub land
{
	my ($from, $to) = map { $events * ($landed + $_) / $batches } 0, 1;
	my $name = sprintf 'part-%04d.json', $landed++;

	$node->safe_psql('postgres', in_schema('batch',
		map { "COPY $_ FROM '$made/$_.tsv' WHERE seq >= $from AND seq < $to;" } 'person', 'auction', 'bid'));
	rename "$made/$name", "$landing/$name" or die "$name: $!";
	return;
}

$node->safe_psql('postgres', <<SQL);
CREATE SCHEMA live;
CREATE SCHEMA batch;
CREATE SERVER nexmark FOREIGN DATA WRAPPER directory OPTIONS (path '$landing');
-- what same_as_batch compares the views with
ALTER DATABASE postgres SET search_path = batch, public;
SQL
$node->safe_psql('postgres', in_schema('live', map { nexmark_sql($_) } 'stream', 'helpers'));
$node->safe_psql('postgres', in_schema('batch', map { nexmark_sql($_) } 'tables', 'helpers'));

# The views begin with a file that is there already.
land();
my @queries = nexmark_queries();
is(scalar @queries, 24, 'there are the 24 queries');
$node->safe_psql('postgres', in_schema('live', "CREATE VIEW $_->[0] WITH (streaming.continuous) AS $_->[1];"))
  foreach @queries;

while (1)
{
	$node->safe_psql('postgres', join '', map { "SELECT streaming.drain('live.$_->[0]', '$deadline s');\n" } @queries);
	same_as_batch($node, "live.$_->[0]", $_->[1], "$_->[0] after batch $landed") foreach @queries;
	last if $landed == $batches;
	land();
}

# That something was compared: the stream has the rows of the tables, and each query finds some.
same_as_batch($node, "live.$_", "SELECT * FROM $_", "the stream has each $_") foreach 'person', 'auction', 'bid';
is($node->safe_psql('postgres', 'SELECT count(*) FROM live.nexmark'), $events, 'and no event of another kind');
is($node->safe_psql('postgres', join ' UNION ALL ',
		map { "SELECT '$_->[0]' WHERE NOT EXISTS ($_->[1])" } @queries), '', 'every query has an answer');
is($node->safe_psql('postgres', 'SELECT * FROM streaming.rejected_rows'), '', 'no record was rejected');

$node->stop;
done_testing();
