# The extension's tables are ordinary ones: a superuser or a half-finished restore
# may have left any of them without an index or a column, or with nonsense in it.
# No process crashes of it, the error says what is wrong, and once that is
# repaired all goes on.
#
# Takes long.

use strict;
use warnings;

use List::Util qw(shuffle);
use StreamingTest;
use Test::More;

random_seed();
my $node = new_node('main', 'streaming.retry_max = 200ms', 'streaming.scan_interval = 200ms', 'streaming.connect_timeout = 2s',
	'streaming.query_workers = 2', 'log_min_messages = warning');
my $dir = $node->basedir . '/landing';
mkdir $_ foreach $dir, "$dir/out";
put_file($dir, "$_.csv", join '', map { "$_\n" } 1 .. 100) foreach 1 .. 3;

$node->safe_psql('postgres', <<SQL);
CREATE FOREIGN TABLE s (k int, v int, at timestamptz OPTIONS (watermark '1 second')) SERVER streaming;
CREATE SERVER landing FOREIGN DATA WRAPPER directory OPTIONS (path '$dir');
CREATE FOREIGN TABLE f (k int) SERVER landing OPTIONS (path '*.csv', format 'csv');
CREATE FOREIGN TABLE written (k int, n bigint) SERVER landing OPTIONS (path 'out/*.json');
-- keeps all rows that were ever pushed
CREATE VIEW keeps WITH (streaming.trigger = 'manual') AS SELECT count(*) FROM s;
CREATE VIEW sums WITH (streaming.continuous) AS SELECT k, count(*) AS n, sum(v) FROM s GROUP BY k;
CREATE VIEW over WITH (streaming.continuous) AS SELECT n, count(*) FROM sums GROUP BY n;
CREATE VIEW minutes WITH (streaming.continuous) AS SELECT date_trunc('minute', at) AS m, count(*) FROM s GROUP BY 1;
CREATE VIEW of_files WITH (streaming.continuous) AS SELECT k, count(*) FROM f GROUP BY k;
CREATE VIEW writes WITH (streaming.sink = 'written') AS SELECT k, 1::bigint AS n FROM f;
CREATE TYPE one AS (k int);
CREATE FUNCTION take(one) RETURNS void LANGUAGE sql AS 'SELECT';
CREATE VIEW tells WITH (streaming.foreach = 'take') AS SELECT k FROM s;
CREATE TABLE plain (a int PRIMARY KEY);
INSERT INTO s SELECT i % 5, i, '2024-01-01'::timestamptz + i * interval '1 second' FROM generate_series(1, 100) i;
SQL
my %query = (
	sums => 'SELECT k, count(*) AS n, sum(v) FROM s GROUP BY k',
	over => 'SELECT n, count(*) FROM (SELECT k, count(*) AS n FROM s GROUP BY k) x GROUP BY n',
	of_files => 'SELECT k, count(*) FROM f GROUP BY k');
my @drained = (qw(over of_files minutes tells writes));
drain($node, $_) foreach @drained;
my $pid = $node->safe_psql('postgres', q(SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'));
my $n = 100;

# What users do meanwhile, and what makes the workers look at the catalogs.
sub poke
{
	my ($out, $err);

	$n++;
	put_file($dir, "$n.csv", "$n\n");
	$node->psql('postgres', <<SQL, stdout => \$out, stderr => \$err, on_error_stop => 0);
SET statement_timeout = '5s';
INSERT INTO s VALUES ($n % 5, $n, now());
UPDATE streaming_internal.continuous_view SET generation = generation + 1;
SELECT * FROM streaming.views; SELECT * FROM streaming.stat_views; SELECT * FROM streaming.stat_streams;
SELECT * FROM streaming.stat_operators; SELECT * FROM streaming.stat_sinks; SELECT * FROM streaming.batches;
SELECT count(*) FROM s; SELECT count(*) FROM f;
SELECT streaming.drain('over', '100 ms'); SELECT streaming.drain('of_files', '100 ms'); SELECT streaming.drain('writes', '100 ms');
SELECT streaming.explain('over'); SELECT streaming.watermark('minutes');
BEGIN; INSERT INTO written VALUES (1, 1); ROLLBACK;
ALTER VIEW minutes SET (streaming.trigger = '100 ms');
ALTER FOREIGN TABLE s OPTIONS (ADD retention '1 hour'); ALTER FOREIGN TABLE s OPTIONS (DROP retention);
BEGIN; SELECT streaming.reset('sums'); ROLLBACK;
BEGIN; CREATE VIEW x WITH (streaming.continuous) AS SELECT count(*) FROM s; ROLLBACK;
BEGIN; DROP VIEW over; ROLLBACK;
BEGIN; DROP FOREIGN TABLE s CASCADE; ROLLBACK;
BEGIN; ALTER VIEW sums OWNER TO CURRENT_USER; ROLLBACK;
BEGIN; CREATE TABLE other (a int); ALTER TABLE other RENAME TO another; DROP TABLE another; ROLLBACK;
SELECT 'ALIVE';
SQL
	return $out =~ /ALIVE/ ? $err : "LOST: $err";
}

sub lives
{
	my ($what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	return is($node->safe_psql('postgres', q(SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer')), $pid,
		"no crash: $what")
	  || BAIL_OUT('the server has crashed');
}

# Damages, looks for the error that tells, repairs: all is as if nothing had been.
sub damage
{
	my ($what, $damage, $repair, $told) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	$node->safe_psql('postgres', $damage);
	my $err = poke();
	unlike($err, qr/LOST|XX000|internal error|could not open relation/, "$what: no session is lost") or diag($err);
	like($err . PostgreSQL::Test::Utils::slurp_file($node->logfile), $told, "$what: the error says so") if $told;
	lives($what);
	$node->safe_psql('postgres', $repair);
	foreach my $view (@drained)
	{
		wait_for($node, "SELECT 'drained' FROM streaming.drain('$view', '$deadline s')", 'drained')
		  or fail("$what: $view goes on when it is repaired");
	}
	same_as_batch($node, $_, $query{$_}, "$what: $_ is right afterwards") foreach sort keys %query;
	return;
}

# --- shapes -----------------------------------------------------------------

my %columns;
foreach my $row (map { [ split /\|/ ] } split /\n/, $node->safe_psql('postgres', <<'SQL'))
SELECT attrelid::regclass, attname, format_type(atttypid, NULL) FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
WHERE c.oid IN (SELECT objid FROM pg_depend WHERE classid = 'pg_class'::regclass AND deptype = 'e') AND relkind = 'r' AND attnum > 0 ORDER BY relname, attnum
SQL
{
	push @{ $columns{ $row->[0] } }, [ $row->[1], $row->[2] ];
}
is(join(' ', sort keys %columns), 'streaming.checkpoints streaming.files streaming.rejected_rows streaming_internal.continuous_view streaming_internal.deliveries'
	. ' streaming_internal.missed_rows streaming_internal.outbox streaming_internal.outbox_transactions streaming_internal.planned_batches streaming_internal.progress'
	. ' streaming_internal.push_segments streaming_internal.registry_schemas streaming_internal.topic_partitions streaming_internal.topics', 'the tables');

foreach my $table (sort keys %columns)
{
	my ($schema, $name) = split /\./, $table;
	my @constraints = map { [ split /\|/ ] } split /\n/, $node->safe_psql('postgres',
		"SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = '$table'::regclass AND contype IN ('p', 'u') ORDER BY contype DESC");

	damage("$table without indexes",
		join('', map { "ALTER TABLE $table DROP CONSTRAINT $_->[0];\n" } @constraints),
		join('', map { "ALTER TABLE $table ADD CONSTRAINT $_->[0] $_->[1];\n" } reverse @constraints));
	damage("$table under another name",
		"ALTER TABLE $table RENAME TO renamed", "ALTER TABLE $schema.renamed RENAME TO $name",
		$name eq 'checkpoints' ? qr/table "streaming.checkpoints" of extension streaming does not exist/ : undef);
}
foreach my $column ([ 'streaming.checkpoints', 'position' ], [ 'streaming_internal.progress', 'state_rows' ], [ 'streaming_internal.continuous_view', 'enabled' ], [ 'streaming.files', 'size' ],
	[ 'streaming_internal.push_segments', 'segment' ], [ 'streaming_internal.deliveries', 'number' ])
{
	my ($table, $name) = @$column;

	damage("$table without $name", "ALTER TABLE $table RENAME $name TO renamed",
		"ALTER TABLE $table RENAME renamed TO $name",
		qr/table "$table" has no column "$name"/);
}
damage('a column of another type', 'ALTER TABLE streaming_internal.push_segments ALTER segment TYPE text',
	'ALTER TABLE streaming_internal.push_segments ALTER segment TYPE bigint USING segment::bigint', qr/"streaming_internal.push_segments" has no column "segment" of type bigint/);
damage('a column that was dropped and added', <<'SQL', 'SELECT');
ALTER TABLE streaming_internal.push_segments ADD copy bigint;
UPDATE streaming_internal.push_segments SET copy = segment;
ALTER TABLE streaming_internal.push_segments DROP segment;
ALTER TABLE streaming_internal.push_segments RENAME copy TO segment;
SQL
damage('columns that are not ours', join('', map { "ALTER TABLE $_ ADD extra int DEFAULT 7, ADD more text;\n" } sort keys %columns),
	'SELECT');
damage('an index with an expression', 'CREATE INDEX odd ON streaming.checkpoints (lower(partition))', 'DROP INDEX streaming.odd',
	qr/cannot write to table "streaming.checkpoints", which has index "odd"/);
damage('a partial index', 'CREATE INDEX odd ON streaming_internal.progress (view) WHERE batch_id > 5', 'DROP INDEX streaming_internal.odd',
	qr/cannot write to table "streaming_internal.progress", which has index "odd"/);
damage('indexes of other kinds', <<'SQL', 'SELECT');
CREATE INDEX ON streaming.checkpoints USING hash (view);
CREATE INDEX ON streaming_internal.progress (view DESC, batch_id);
CREATE INDEX ON streaming.files (stream, file DESC);
SQL
damage('a table that is no member', 'ALTER EXTENSION streaming DROP TABLE streaming.files', 'ALTER EXTENSION streaming ADD TABLE streaming.files',
	qr/table "streaming.files" of extension streaming does not exist/);
damage('a table that is gone', <<'SQL', <<'SQL', qr/table "streaming_internal.outbox" of extension streaming does not exist/);
CREATE TABLE saved AS TABLE streaming_internal.outbox;
ALTER EXTENSION streaming DROP TABLE streaming_internal.outbox;
DROP TABLE streaming_internal.outbox;
SQL
CREATE TABLE streaming_internal.outbox AS TABLE saved;
ALTER TABLE streaming_internal.outbox ADD PRIMARY KEY (stream, xid, number);
ALTER EXTENSION streaming ADD TABLE streaming_internal.outbox;
DROP TABLE saved;
SQL

foreach my $plan ([ q('{0}', '{}'), qr/does not say what batch \d+ takes in/ ], [ q('{0}', '{garbage}'), qr/planned_batches" is of another stream/ ])
{
	damage("a plan of $plan->[0]", <<SQL, 'DELETE FROM streaming_internal.planned_batches', $plan->[1]);
ALTER VIEW tells SET (streaming.enabled = off);
INSERT INTO streaming_internal.planned_batches SELECT view, batch_id + 1, $plan->[0] FROM streaming_internal.progress WHERE view = 'tells'::regclass;
ALTER VIEW tells SET (streaming.enabled = on);
SQL
}

# --- values -----------------------------------------------------------------

my @regclasses = ('0', '4294967295', "'plain'::regclass", "'plain_pkey'::regclass", "'s'::regclass", "'sums'::regclass", "'pg_class'::regclass");
my @integers = (0, -1, 1, 2147483647, -2147483648);
my %values = (
	regclass => \@regclasses, oid => \@regclasses, integer => \@integers,
	bigint => [ @integers, '9223372036854775807', '-9223372036854775808' ],
	text => [ q(''), q('garbage'), q('-1'), q('4294967296'), q('99999999999999999999'), q('0:0'), q('2147483647:4294967295'),
		q('9:4294967295:1:9:3,2,1@00000000'), q(E'\n\n\n\n%s%n'), q(repeat('x', 5000)),
		# of a pushed stream's own
		q((SELECT '1:99999:1:2:1,' || substr(position, strpos(position, '@')) FROM streaming.checkpoints WHERE position ~ '@' LIMIT 1)),
		q((SELECT '18446744073709551615:4294967295:9:8:7,7,7' || substr(position, strpos(position, '@')) FROM streaming.checkpoints WHERE position ~ '@' LIMIT 1)) ],
	'text[]' => [ q('{}'), q('{NULL}'), q('{{a,b},{c,d}}'), q('{result_1,state_1_1,nosuch}'), q('[5:6]={pg_class,definition_1}') ],
	'regclass[]' => [ q('{}'), q('{NULL}'), q('{0}'), q('{4294967295,plain}'), q('{{s,sums},{pg_class,plain_pkey}}') ],
	boolean => [qw(true false)],
	'timestamp with time zone' => [ q('infinity'), q('-infinity'), q('epoch') ],
	'bigint[]' => [ q('{}'), q('{NULL,NULL}'), q('{{1,2},{3,4}}'), q('[5:6]={-9223372036854775808,9223372036854775807}'), q((SELECT array_agg(i) FROM generate_series(1, 100) i)) ],
	'double precision[]' => [ q('{}'), q('{NULL,NaN}'), q('{{1,2},{3,-Infinity}}') ],
	'double precision' => [ q('NaN'), q('-infinity') ],
	uuid => [ q('00000000-0000-0000-0000-000000000000') ],
	xid8 => [ q('0'), q('18446744073709551615') ],
	pg_lsn => [ q('0/0'), q('FFFFFFFF/FFFFFFFF') ],
	pg_snapshot => [ q('1:1:'), q('1:9223372036854775807:2,3') ],
	bytea => [ q(''), q('\xff'), q('\x40ffffffff07'), q('\x80'), q('\x8805000000ff00') ]);
push @{ $values{text} }, q('update'), q('complete'), q('memory'), q('console'), q('relation'), q('foreach'), q('foreach_batch');

$node->safe_psql('postgres', <<'SQL');
DO $$
DECLARE r record;
BEGIN
	FOR r IN SELECT conrelid::regclass AS t, conname FROM pg_constraint JOIN pg_class c ON c.oid = conrelid
		WHERE c.oid IN (SELECT objid FROM pg_depend WHERE classid = 'pg_class'::regclass AND deptype = 'e') AND contype = 'c'
	LOOP EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', r.t, r.conname); END LOOP;
	FOR r IN SELECT conrelid::regclass AS t, conname FROM pg_constraint JOIN pg_class c ON c.oid = conrelid
		WHERE c.oid IN (SELECT objid FROM pg_depend WHERE classid = 'pg_class'::regclass AND deptype = 'e') AND contype IN ('p', 'u')
	LOOP EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', r.t, r.conname); END LOOP;
	FOR r IN SELECT attrelid::regclass AS t, attname FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
		WHERE c.oid IN (SELECT objid FROM pg_depend WHERE classid = 'pg_class'::regclass AND deptype = 'e') AND relkind = 'r' AND attnum > 0 AND attnotnull
	LOOP EXECUTE format('ALTER TABLE %s ALTER %I DROP NOT NULL', r.t, r.attname); END LOOP;
END $$;
CREATE INDEX ON streaming_internal.continuous_view (view);
CREATE INDEX ON streaming.checkpoints (view, stream, partition);
CREATE INDEX ON streaming_internal.progress (view);
CREATE INDEX ON streaming.files (stream, file);
CREATE INDEX ON streaming.files (stream, path);
CREATE INDEX ON streaming_internal.push_segments (stream);
CREATE INDEX ON streaming_internal.deliveries (stream);
CREATE INDEX ON streaming_internal.outbox (stream, xid, number);
CREATE INDEX ON streaming_internal.outbox_transactions (stream, place, xid);
CREATE INDEX ON streaming_internal.planned_batches (view);
CREATE TABLE views_saved AS TABLE streaming_internal.continuous_view;
CREATE TABLE segments_saved AS TABLE streaming_internal.push_segments;
INSERT INTO streaming_internal.outbox (stream, xid, number, messages, data)
	SELECT stream, '3', 1, 1, '\x80' FROM streaming_internal.deliveries LIMIT 1;
INSERT INTO streaming_internal.outbox_transactions (stream, place, xid, home)
	SELECT stream, '0/1', '3', home FROM streaming_internal.deliveries LIMIT 1;
INSERT INTO streaming_internal.planned_batches SELECT view, batch_id + 1, '{}', '{}' FROM streaming_internal.progress;
SQL
damage('an index that is not unique', 'SELECT', 'SELECT');

# (Nothing but SQL reads these two.)
foreach my $table (grep { !/rejected_rows|missed_rows/ } sort keys %columns)
{
	foreach my $column (@{ $columns{$table} })
	{
		my ($name, $type) = @$column;
		my @chosen = grep { defined } 'NULL', (shuffle(@{ $values{$type} or die "no values of $type" }))[ 0 .. 1 ];

		foreach my $value (grep { defined } (shuffle(@chosen))[ 0 .. rounds(3) - 1 ])
		{
			# Those of a view in the first place, then of any.
			$node->safe_psql('postgres', <<SQL);
CREATE TABLE damaged AS TABLE $table;
UPDATE $table SET $name = $value WHERE ctid IN (SELECT ctid FROM $table ORDER BY random() LIMIT 2);
SQL
			my $err = poke();
			unlike($err, qr/LOST|could not open relation/, "$table.$name = $value: no session is lost") or diag($err);
			lives("$table.$name = $value");
			$node->safe_psql('postgres', <<SQL);
BEGIN;
DELETE FROM $table;
INSERT INTO $table TABLE damaged;
DROP TABLE damaged;
COMMIT;
SQL
		}
	}
}
$node->safe_psql('postgres', 'INSERT INTO streaming_internal.continuous_view TABLE views_saved');
poke();
lives('every view twice');

# Repaired, as far as values can be: what has come of them is computed anew.
$node->safe_psql('postgres', <<'SQL');
BEGIN;
DELETE FROM streaming_internal.continuous_view; INSERT INTO streaming_internal.continuous_view TABLE views_saved;
DELETE FROM streaming_internal.push_segments; INSERT INTO streaming_internal.push_segments TABLE segments_saved;
DELETE FROM streaming.checkpoints; DELETE FROM streaming_internal.progress; DELETE FROM streaming_internal.planned_batches;
DELETE FROM streaming_internal.outbox; DELETE FROM streaming_internal.outbox_transactions; DELETE FROM streaming_internal.deliveries;
COMMIT;
SQL
$node->restart;
$pid = $node->safe_psql('postgres', q(SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'));
$node->safe_psql('postgres', "SELECT streaming.reset('$_')") foreach qw(keeps sums minutes of_files writes tells);
damage('repaired', 'SELECT', 'SELECT');
$node->safe_psql('postgres', "UPDATE streaming_internal.continuous_view SET output_mode = 'nonsense' WHERE view = 'tells'::regclass");
wait_for($node, q(SELECT status, last_error FROM streaming.views WHERE view = 'tells'::regclass), qr/^failed\|.*wrong value in column "output_mode"/);
is($node->safe_psql('postgres', q(SELECT status FROM streaming.views WHERE view = 'sums'::regclass)), 'running', 'one such row stops no other view');
my ($ret, $out, $err) = $node->psql('postgres', 'DROP VIEW tells');
is("$ret $err", '0 ', 'and the view can be dropped');
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/was terminated by signal/, 'no process has crashed');

done_testing();
