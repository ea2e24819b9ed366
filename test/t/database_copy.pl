# A database that CREATE DATABASE has copied: each delivers what was written in it.

use strict;
use warnings;

use StreamingTest;
use Test::More;

my $node = new_node('main');
my $base = $node->basedir . '/out';
mkdir $base;
mkdir "$base/$_" foreach qw(used waits);

sub rows
{
	my ($dir) = @_;

	return join ' ', sort map { split /\n/, PostgreSQL::Test::Utils::slurp_file($_) } glob "$base/$dir/*.csv";
}

$node->safe_psql('postgres', <<SQL);
CREATE SERVER there FOREIGN DATA WRAPPER directory OPTIONS (path '$base');
CREATE FOREIGN TABLE used (v text) SERVER there OPTIONS (path 'used/*.csv', format 'csv', file_interval '0');
CREATE FOREIGN TABLE waits (v text) SERVER there OPTIONS (path 'waits/*.csv', format 'csv', file_interval '1 day');
CREATE FOREIGN TABLE s (v int) SERVER streaming;
CREATE VIEW sums WITH (streaming.continuous) AS SELECT count(*) AS n, sum(v) FROM s;
INSERT INTO s SELECT generate_series(1, 10);
INSERT INTO used VALUES ('before');
INSERT INTO waits VALUES ('original');
SQL
drain($node, 'sums');
ok(wait_until(sub { rows('used') eq 'before' }), 'there has been a delivery');
$node->safe_psql('template1', 'CREATE DATABASE clone TEMPLATE postgres');
$node->safe_psql('clone', q(INSERT INTO used VALUES ('clone'); INSERT INTO waits VALUES ('clone waits'); INSERT INTO s VALUES (100)));
ok(wait_until(sub { rows('used') eq 'before clone' }), 'the first row that is written in the copy is delivered');
$node->safe_psql('postgres', q(INSERT INTO used VALUES ('again'); INSERT INTO s VALUES (1)));
ok(wait_until(sub { rows('used') eq 'again before clone' }), 'and those of the original');
foreach my $database (qw(postgres clone))
{
	$node->safe_psql($database, q(ALTER FOREIGN TABLE waits OPTIONS (SET file_interval '0')));
}
ok(wait_until(sub { rows('waits') eq 'clone waits original' }), 'what waited is delivered by the original alone');
$node->safe_psql($_, "SELECT streaming.drain('sums', '$deadline seconds')") foreach qw(postgres clone);
is($node->safe_psql('postgres', 'TABLE sums'), '11|56', 'views of the original go on');
is($node->safe_psql('clone', 'TABLE sums'), '11|155', 'and those of the copy');

$node->stop;
done_testing();
