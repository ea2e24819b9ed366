# Indexes of continuous views: the one on the group key, which the view makes itself
# where it does no harm; all of them in a dump, after a crash, and when somebody has
# damaged them.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use StreamingTest;
use Test::More;

my $node = new_node('main', 'streaming.retry_max = 500ms', 'streaming.query_workers = 1', 'autovacuum = off');
my $many = 40_000;

$node->safe_psql('postgres', <<'SQL');
CREATE ROLE eve LOGIN;
GRANT CREATE ON SCHEMA public TO eve;
SET SESSION AUTHORIZATION eve;
CREATE TABLE called (who name);
CREATE FUNCTION distance(float8, float8) RETURNS float8 IMMUTABLE LANGUAGE plpgsql AS
	'BEGIN RAISE LOG ''distance called by %'', current_user; RETURN $1 - $2; END';
CREATE TYPE span AS RANGE (subtype = float8, subtype_diff = distance);
CREATE TYPE mood AS ENUM ('calm', 'cross');
CREATE FOREIGN TABLE s (k int, url text, short varchar(20), at timestamptz OPTIONS (watermark '0'), r span, m mood, v int)
	SERVER streaming;
CREATE TABLE taken (LIKE s);
SQL

# view => [options, SELECT list and keys, the columns of the index or nothing]
my %view = (
	int_key => [ '', 'k, count(*) AS n, sum(v) FROM s GROUP BY k', 'USING btree (k)' ],
	text_key => [ '', 'url, count(*) AS n FROM s GROUP BY url', 'USING hash (url)' ],
	short_keys => [ '', 'short, count(*) AS n, k, m FROM s GROUP BY k, m, short', 'USING btree (k, m, short)' ],
	mixed_keys => [ '', 'url, k, count(*) AS n FROM s GROUP BY url, k', 'USING btree (k)' ],
	hidden_key => [ '', 'count(*) AS n, min(url) FROM s GROUP BY k', '' ],
	half_hidden => [ '', 'url, count(*) AS n FROM s GROUP BY url, k', '' ],
	user_key => [ '', 'r, count(*) AS n FROM s GROUP BY r', '' ],
	user_keys => [ '', 'r, k, count(*) AS n FROM s GROUP BY r, k', 'USING btree (k)' ],
	recomputed => [ '', 'k, count(DISTINCT v) AS n FROM s GROUP BY k HAVING count(*) > 0', 'USING btree (k)' ],
	unlogged => [ ", streaming.sink = 'memory'", 'k, sum(v) FROM s GROUP BY k', 'USING btree (k)' ],
	printed => [ ", streaming.sink = 'console'", 'k FROM s WHERE v < -1', '' ],
	rows => [ '', 'k, url FROM s', '' ],
	nested => [ '', 'n, k FROM (SELECT k, count(*) AS n FROM s GROUP BY k) i WHERE n > 0', '' ],
	closed => [ ", streaming.output_mode = 'append'", q(date_bin('1 s', at, '2000-01-01') AS t, k, count(*) AS n FROM s GROUP BY 1, 2), 'USING btree (t, k)' ],
	sessions => [ '', q(k, streaming.session(at, '1 s') AS w, count(*) AS n FROM s GROUP BY 1, 2), 'USING btree (k)' ],
	many_keys => [ '', join(', ', map { "k + $_ AS k$_" } 1 .. 40) . ', count(*) AS n FROM s GROUP BY ' . join(', ', 1 .. 40),
		'USING btree (' . join(', ', map { "k$_" } 1 .. 32) . ')' ]);
foreach my $name (sort keys %view)
{
	my ($options, $query) = @{ $view{$name} };

	$node->safe_psql('postgres', "SET SESSION AUTHORIZATION eve; CREATE VIEW $name WITH (streaming.trigger = 'manual'$options) AS SELECT $query");
}
my @with_index = grep { $view{$_}[2] } sort keys %view;
my $made = q(SELECT string_agg(view::text, ' ' ORDER BY view::text) FROM streaming.indexes WHERE name = '$key');

# The stream forgets what all views have taken.
sub insert
{
	my ($rows) = @_;

	$node->safe_psql('postgres', "WITH rows AS (INSERT INTO taken $rows RETURNING *) INSERT INTO s TABLE rows");
}

sub push_rows
{
	my ($from, $to) = @_;

	insert(<<SQL);
SELECT i, '/page/' || i, 'p' || i, '2026-01-01'::timestamptz + make_interval(secs => i / 1000.0), span(i, i + 1), 'calm', i % 100
FROM generate_series($from, $to) i
SQL
	drain($node, $_) foreach sort keys %view;
}

push_rows(1, 10);
is($node->safe_psql('postgres', $made), '', 'small tables have no index');
push_rows(11, $many);
push_rows($many + 1, $many + 10_000);	# so that the watermark has passed the others
ok(wait_for($node, $made, qr/^\Q@with_index\E$/), 'those of many groups have one, where their keys can be indexed');
foreach my $name (@with_index)
{
	like($node->safe_psql('postgres', qq(SELECT definition FROM streaming.indexes WHERE view = '$name'::regclass AND name = '\$key')),
		qr/\Q$view{$name}[2]\E$/, "$name: its columns");
}

sub status_of
{
	my ($name) = @_;

	return $node->safe_psql('postgres', "SELECT status, last_error FROM streaming.views WHERE view = '$name'::regclass");
}

sub drain_attempt
{
	return $node->psql('postgres', "SELECT streaming.drain('int_key', '100 ms')");
}

sub plan_of
{
	my ($query) = @_;

	return $node->safe_psql('postgres', "EXPLAIN (COSTS OFF) $query");
}
like(plan_of("SELECT * FROM text_key WHERE url = '/page/7'"), qr/Index.*_\$key/, 'it is used');
like(plan_of('SELECT * FROM int_key WHERE k BETWEEN 7 AND 9'), qr/Index.*_\$key/, 'also for ranges');
like(plan_of('SELECT * FROM generate_series(1, 3) i JOIN int_key ON k = i'), qr/Index.*_\$key/, 'and joins');

# Updates of groups leave it alone.
my $updates = q(SELECT n_tup_upd > 0 AND n_tup_upd = n_tup_hot_upd FROM pg_stat_all_tables t JOIN streaming_internal.continuous_view c ON c.result = t.relid WHERE view = 'int_key'::regclass);
$node->safe_psql('postgres', 'SELECT pg_stat_reset()');
push_rows(1, 2000);
ok(wait_for($node, $updates, qr/^t$/), 'updates are heap-only');
is($node->safe_psql('postgres', "SET enable_seqscan = off; SELECT n FROM int_key WHERE k = 1500"), 2, 'and found');

# What is too large for an entry of a B-tree is no trouble.
$node->safe_psql('postgres', <<'SQL');
CREATE FUNCTION incompressible(n int) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT string_agg(md5(i::text), '') FROM generate_series(1, n) i $$;
SQL
insert('(k, url) VALUES (-1, incompressible(200))');
drain($node, $_) foreach sort keys %view;
is($node->safe_psql('postgres', 'SET enable_seqscan = off; SELECT n FROM text_key WHERE url = incompressible(200)'), 1, 'long keys are found');
ok(wait_for($node, q(SELECT string_agg(view::text, ' ') FROM streaming.views WHERE status <> 'running'), ''), 'no view is in trouble');

# Nothing of a user's was called by the owner of the tables.
$node->safe_psql('postgres', 'ANALYZE');
unlike(slurp_file($node->logfile), qr/distance called by (?!eve)/, 'no code of users ran as somebody else');

# An index that a user has made on what grows too long is a user's error, which goes with the index.
sub as_eve
{
	my ($sql) = @_;

	return $node->psql('postgres', "SET SESSION AUTHORIZATION eve; $sql");
}
my ($result, $stdout, $stderr) = as_eve('CREATE INDEX ON text_key (url)');
like($stderr, qr/index row size .* exceeds/, 'what is too long for a B-tree cannot be indexed by one');
$node->safe_psql('postgres', "SET SESSION AUTHORIZATION eve; CREATE INDEX by_n ON text_key (n, url) WHERE n > 1; COMMENT ON INDEX by_n IS 'kept';
	CREATE INDEX inverse ON int_key ((n / 2))");
insert('(k, url) VALUES (-1, incompressible(200))');
as_eve("SELECT streaming.drain('text_key', '1 s')");
like($node->safe_psql('postgres', q(SELECT last_error FROM streaming.views WHERE view = 'text_key'::regclass)), qr/index row size .*_by_n/, 'the view says which index it is');
is((as_eve('ALTER INDEX by_n RENAME TO by_number'))[0], 0, 'an index can be renamed');
is((as_eve('DROP INDEX by_number'))[0], 0, 'and dropped');
drain($node, 'text_key');
is($node->safe_psql('postgres', 'SELECT n FROM text_key WHERE url = incompressible(200)'), 2, 'the view goes on');
drain($node, $_) foreach sort keys %view;

# Damage: batches and readers get errors at the worst.
my $internal = 'streaming_internal."result_' . $node->safe_psql('postgres', q(SELECT id FROM streaming_internal.continuous_view WHERE view = 'recomputed'::regclass)) . '_$key"';
$node->safe_psql('postgres', "UPDATE pg_index SET indisvalid = false WHERE indexrelid = '$internal'::regclass");
push_rows(1, 100);
same_as_batch($node, 'recomputed', 'SELECT k, count(DISTINCT v) AS n FROM taken GROUP BY k', 'an index that is not valid');
$node->safe_psql('postgres', "REINDEX TABLE recomputed");
$node->safe_psql('postgres', "DROP INDEX $internal");
push_rows(1, 100);
same_as_batch($node, 'recomputed', 'SELECT k, count(DISTINCT v) AS n FROM taken GROUP BY k', 'an index that is no more');

# A dump has them, with their comments.
$node->safe_psql('postgres', "SET SESSION AUTHORIZATION eve; CREATE INDEX by_n ON short_keys (n DESC, upper(short)); COMMENT ON INDEX by_n IS 'kept'");
my $listing = q(SELECT view, name, definition, valid FROM streaming.indexes ORDER BY view::text, name);
my $indexes = $node->safe_psql('postgres', $listing);
like($indexes, qr/short_keys\|by_n\|/, 'there are indexes');
my $dump = $node->basedir . '/dump';
command_ok([ 'pg_dump', '-Fd', '-f', $dump, '-d', $node->connstr('postgres') ], 'pg_dump');
$node->safe_psql('postgres', 'CREATE DATABASE copy');
command_ok([ 'pg_restore', '--exit-on-error', '-j', 2, '-d', $node->connstr('copy'), $dump ], 'pg_restore -j');
is($node->safe_psql('copy', $listing), $indexes, 'indexes are the same in the copy');
is($node->safe_psql('copy', q(SELECT obj_description(c.oid) FROM pg_class c WHERE relname ~ '^result_\d+_by_n$')), 'kept', 'with their comments');
$node->safe_psql('copy', "INSERT INTO s (k, short, v) VALUES (-5, 'new', 1), (-5, 'new', 1)");
$node->safe_psql('copy', "SELECT streaming.drain('short_keys', '$deadline s')");
is($node->safe_psql('copy', "SET enable_seqscan = off; SELECT n FROM short_keys WHERE n = 2 AND upper(short) = 'NEW'"), 2, 'and they are kept up to date');
$node->safe_psql('copy', 'SET SESSION AUTHORIZATION eve; DROP INDEX by_n');
is($node->safe_psql('copy', q(SELECT count(*) FROM streaming.indexes WHERE name = 'by_n')), 0, 'their owner can drop them');
$node->safe_psql('postgres', 'DROP DATABASE copy');

# A crash.
$node->stop('immediate');
$node->start;
push_rows(100, 200);
foreach my $name (qw(int_key text_key unlogged short_keys))
{
	same_as_batch($node, $name, 'SELECT ' . $view{$name}[1] =~ s/FROM s /FROM taken /r, "after a crash: $name") if $name ne 'unlogged';
	cmp_ok($node->safe_psql('postgres', "SELECT count(*) FROM streaming.indexes WHERE view = '$name'::regclass AND name = '\$key' AND valid"), '==', 1, "$name has its index");
}
is($node->safe_psql('postgres', 'SET enable_seqscan = off; SELECT count(*) FROM unlogged WHERE k BETWEEN 100 AND 200'), 101, 'what is unlogged was computed anew');

# Pages of nonsense: the view waits until somebody has made the index again.
my $index = $node->safe_psql('postgres', q(SELECT 'streaming_internal."result_' || id || '_$key"' FROM streaming_internal.continuous_view WHERE view = 'int_key'::regclass));
my $file = $node->data_dir . '/' . $node->safe_psql('postgres', "SELECT pg_relation_filepath('$index')");
$node->stop;
open my $pages, '+<:raw', $file or die "$file: $!";
print $pages "\x5a" x -s $file;
close $pages or die;
$node->start;
insert('(k, v) VALUES (-7, 1)');
ok(wait_until(sub { drain_attempt(); status_of('int_key') =~ /^retrying.*invalid page/ }), 'a batch that meets nonsense fails');
ok(wait_for($node, q(SELECT view FROM streaming.views WHERE status <> 'running'), 'int_key'), 'and no other one');
$node->safe_psql('postgres', "SET SESSION AUTHORIZATION eve; REINDEX TABLE int_key");
drain($node, 'int_key');
same_as_batch($node, 'int_key', 'SELECT k, count(*) AS n, sum(v) FROM taken GROUP BY k', 'after REINDEX it goes on');

# What has been replaced is gone, and its name with it.
$node->safe_psql('postgres', 'SET SESSION AUTHORIZATION eve; DROP VIEW int_key');
is($node->safe_psql('postgres', q(SELECT count(*) FROM pg_class WHERE relname ~ '_inverse$')), 0, 'indexes go with their view');

$node->stop;
done_testing();
