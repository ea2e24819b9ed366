# What sessions write to a topic and to files about rows that they lock leaves in
# the order of the locks: what comes last about a row is what the table says.

use strict;
use warnings;

use StreamingKafka;
use StreamingTest;
use Test::More;

my $kafka = StreamingKafka->shared;
my $topic = $kafka->create_topic('order', 1);
my $node = new_node('main');
my $dir = $node->basedir . '/out';
mkdir $dir;

$node->safe_psql('postgres', <<SQL);
CREATE SERVER broker FOREIGN DATA WRAPPER kafka OPTIONS (${\$kafka->options});
CREATE SERVER files FOREIGN DATA WRAPPER directory OPTIONS (path '$dir');
CREATE FOREIGN TABLE topic (k int, v int) SERVER broker OPTIONS (topic '$topic', key 'k');
CREATE FOREIGN TABLE lines (k int, v int) SERVER files OPTIONS (path '*.csv', format 'csv', file_interval '1 hour', file_max_rows '4');
CREATE TABLE state (k int PRIMARY KEY, v int);
INSERT INTO state SELECT g, 0 FROM generate_series(1, 20) g;
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS \$\$
BEGIN
	INSERT INTO topic VALUES (NEW.k, NEW.v);
	INSERT INTO lines VALUES (NEW.k, NEW.v);
	RETURN NULL;
END \$\$;
CREATE TRIGGER tell AFTER UPDATE ON state FOR EACH ROW EXECUTE FUNCTION tell();
SQL

# All lines, file by file in the order of names.
sub written
{
	opendir my $handle, $dir or die "$dir: $!";
	return map { split /\n/, PostgreSQL::Test::Utils::slurp_file("$dir/$_") } sort grep { /^[^.]/ } readdir $handle;
}

# The first to begin is the second to lock the row, and has written before.
my ($first, $second) = map { $node->background_psql('postgres') } 1 .. 2;
$first->query_safe('BEGIN; UPDATE state SET v = 1 WHERE k = 2;');
$second->query_safe('BEGIN; UPDATE state SET v = 1 WHERE k = 1;');
$first->query_until(qr/waits/, "\\echo waits\nUPDATE state SET v = 2 WHERE k = 1;\n");
ok(wait_for($node, q(SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'UPDATE%'), '1'), 'one waits for the other');
$second->query_safe('COMMIT;');
$first->query_safe('COMMIT;');
$first->query_safe('UPDATE state SET v = 3 WHERE k = 2;');
ok(wait_until(sub { written() == 4 }), 'four lines are a file');
is(join(' ', written()), '1,1 2,1 1,2 2,3', 'who has waited comes later, all of its transaction at once');
$_->quit foreach $first, $second;

# Many do so at the same time.
my $script = $node->basedir . '/update.sql';
PostgreSQL::Test::Utils::append_to_file($script, <<'SQL');
\set a random(1, 10)
\set b random(11, 20)
\set c random(1, 3)
BEGIN;
SELECT pg_current_xact_id() \gset
\sleep :c ms
UPDATE state SET v = v + 1 WHERE k = :a;
SAVEPOINT s;
UPDATE state SET v = v + 1000000 WHERE k = :b;
ROLLBACK TO s;
UPDATE state SET v = v + 1 WHERE k = :b;
COMMIT;
SQL
$node->command_ok([ 'pgbench', '-n', '-c', 8, '-t', 250, '-f', $script, $node->connstr('postgres') ], 'updates of many sessions');
ok(wait_for($node, q(SELECT count(*) FROM streaming_internal.outbox WHERE stream = 'topic'::regclass), '0'), 'all is delivered to the topic');
$node->safe_psql('postgres', q(ALTER FOREIGN TABLE lines OPTIONS (SET file_interval '10 ms')));
ok(wait_for($node, 'SELECT count(*) FROM streaming_internal.outbox', '0'), 'and to files');
is($node->safe_psql('postgres', 'SELECT count(*) FROM streaming_internal.outbox_transactions'), '0', 'and nothing of it is kept');

# Each value of a row is one more than the one before.
sub in_order
{
	my ($test, @rows) = @_;
	my %last = map { $_ => 0 } 1 .. 20;
	my @wrong;

	foreach (@rows)
	{
		my ($k, $v) = @$_;
		push @wrong, "$k: $v after $last{$k}" if $v != $last{$k} + 1 && "$k $v" ne '2 3';
		$last{$k} = $v;
	}
	is(join(', ', @wrong), '', "$test: every row, in its order");
	return is(join(' ', map { "$_,$last{$_}" } sort { $a <=> $b } keys %last),
		join(' ', split /\n/, $node->safe_psql('postgres', q(SELECT k || ',' || v FROM state ORDER BY k))), "$test: the last is what the table says");
}
in_order('topic', map { $_->[3] =~ /"k":(\d+),"v":(\d+)/ ? [ $1, $2 ] : die $_->[3] } $kafka->consume($topic));
in_order('files', map { [ split /,/ ] } written());

done_testing();
