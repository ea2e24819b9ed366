# Views over a stream whose records change rows go on in a restored database with the rows
# that they have kept.

use strict;
use warnings;

use StreamingTest;
use Test::More;

my $node = new_node('main', '');
my $dir = "$ENV{STREAMING_WORK}/landing";
my $dump = $node->basedir . '/dump.sql';

mkdir $dir or die "$dir: $!";
put_file($dir, '1.json', join '', map { qq({"id": $_, "v": $_}\n) } 1 .. 20);
$node->safe_psql('postgres', <<SQL);
CREATE SERVER landing FOREIGN DATA WRAPPER directory OPTIONS (path '$dir');
CREATE FOREIGN TABLE u (id int, v int) SERVER landing OPTIONS (path '*.json', changes 'upsert', key 'id');
CREATE VIEW rows WITH (streaming.continuous) AS SELECT * FROM u;
CREATE VIEW sums WITH (streaming.continuous) AS SELECT v % 2 AS r, count(*), sum(v) FROM u GROUP BY 1;
SQL
drain($node, $_) foreach qw(rows sums);
$node->command_ok([ 'pg_dump', '-f', $dump, '-d', $node->connstr('postgres') ], 'dump');
$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d', $node->connstr('other') ], 'restore');

put_file($dir, '2.json', join '', map { qq({"id": $_, "v": 100}\n) } 5 .. 25);
$node->safe_psql('other', "SELECT streaming.drain('$_', '180 s')") foreach qw(rows sums);
is($node->safe_psql('other', 'SELECT count(*), sum(v) FROM rows'), '25|2110', 'the rows are those of both files');
is($node->safe_psql('other', 'SELECT sum(count), sum(sum) FROM sums'), '25|2110', 'and what is made of them');
is($node->safe_psql('other', 'SELECT count(*), sum(v) FROM u'), '25|2110', 'as SELECT from the stream has them');

$node->stop;
done_testing();
