# Every function of the extension is called with whatever its arguments may be,
# by a role that may do nothing and by a superuser: the server lives.  And none of
# them tells what its caller may not know.

use strict;
use warnings;

use IPC::Run ();
use List::Util qw(shuffle);
use StreamingTest;
use Test::More;

random_seed();
my $node = new_node('main', 'streaming.retry_max = 500ms', 'streaming.connect_timeout = 500ms',
	'streaming.query_workers = 1');
my $landing = $node->basedir . '/landing';
mkdir $landing;
put_file($landing, 'secret_name.csv', "1\n");

# alice has what is secret; mallory has nothing but a schema of her own.
$node->safe_psql('postgres', <<SQL);
CREATE ROLE alice LOGIN;
CREATE ROLE mallory LOGIN;
CREATE ROLE monitor LOGIN IN ROLE pg_monitor;
CREATE SCHEMA alice AUTHORIZATION alice;
CREATE SCHEMA mallory AUTHORIZATION mallory;
GRANT USAGE ON SCHEMA alice TO mallory, monitor;
GRANT pg_read_server_files TO alice;
CREATE SERVER broker FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers 'localhost:1');
CREATE SERVER landing FOREIGN DATA WRAPPER directory OPTIONS (path '$landing');
GRANT USAGE ON FOREIGN SERVER broker, landing TO alice, mallory;

SET SESSION AUTHORIZATION alice;
SET search_path = alice;
CREATE FOREIGN TABLE topic (a int) SERVER broker OPTIONS (topic 't');
CREATE FOREIGN TABLE files (a text) SERVER landing OPTIONS (path '*.csv', format 'csv');
CREATE FOREIGN TABLE pushed (a text, at timestamptz OPTIONS (watermark '1 second')) SERVER streaming;
CREATE VIEW good WITH (streaming.continuous) AS
	SELECT date_trunc('minute', at) AS minute, count(*) FROM pushed GROUP BY 1;
CREATE VIEW of_files WITH (streaming.continuous) AS SELECT count(*) FROM files;
CREATE VIEW failing WITH (streaming.continuous) AS SELECT sum(a::int) AS n FROM pushed;
CREATE VIEW of_topic WITH (streaming.trigger = 'manual') AS SELECT count(*) FROM topic;
CREATE TABLE plain (a int PRIMARY KEY, b serial, t text);
CREATE TABLE parted (a int) PARTITION BY LIST (a);
CREATE TYPE pair AS (a int, b int);
CREATE MATERIALIZED VIEW kept AS SELECT 1 AS a;
CREATE VIEW ordinary AS SELECT * FROM plain;
INSERT INTO pushed VALUES ('s3cret', '2024-01-01');
GRANT SELECT ON failing TO mallory;
SQL
drain($node, 'alice.good');
drain($node, 'alice.of_files');
wait_for($node, q(SELECT last_error FROM streaming.views WHERE view = 'alice.failing'::regclass), qr/s3cret/)
  or die 'no view that fails';

# --- all functions, all arguments -------------------------------------------

my $version = $node->safe_psql('postgres', "SELECT current_setting('server_version_num')");
my @relations = split /\n/, $node->safe_psql('postgres', <<'SQL');
SELECT oid FROM pg_class
WHERE relnamespace IN ('alice'::regnamespace, 'streaming_internal'::regnamespace, 'streaming'::regnamespace)
   OR oid IN ('pg_class'::regclass, 'pg_class_oid_index'::regclass, (SELECT reltoastrelid FROM pg_class WHERE oid = 'pg_proc'::regclass))
ORDER BY (relnamespace = 'alice'::regnamespace) DESC, oid
SQL
my @oids = ('NULL', 0, 1, '4294967295', @relations,
	map { "'$_'::regclass" } qw(pg_foreign_server pg_foreign_table pg_user_mapping pg_attribute pg_foreign_data_wrapper));
my @intervals = map { "'$_'" } '0', '1 second', '-1 second', '1 month', '-1 month', '1000 years', '178000000 years',
  '-178000000 years', '2147483647 days', '-2147483648 days', '2562047788 hours';
push @intervals, "'infinity'", "'-infinity'" if $version >= 170000;
my @options = (q('{NULL}'), q('{}'), q('{a}'), q('{=}'), q('{a=}'), q('{a=b,NULL}'), q('{{a=b,c=d},{e=f,g=h}}'), q('[-5:-4]={path=/x,path=y}'),
	q('{path=../x}'), q('{path,format,header,topic}'), q('{path=*,format=csv,header=maybe,delimiter=xx}'),
	q('{bootstrap.servers=x,sasl.password}'), q('{bootstrap_servers=x,ssl_ca_location=/etc/passwd}'),
	q('{watermark,field,metadata}'), q('{watermark=1e30 years,metadata=path,field=x}'), q('{durable,retention}'),
	q(array_fill('path=x'::text, ARRAY[5000])), q(ARRAY[repeat('x', 100000) || '=' || repeat('y', 100000)]),
	q(ARRAY[E'\x01\x7f%s%n=%s%n']));
my %values = (
	oid => \@oids,
	regclass => \@oids,
	timestamptz => [ 'NULL', map { "'$_'" } 'epoch', 'infinity', '-infinity', '4714-11-24 00:00:00+00 BC', '294276-12-31 23:59:59.999999+00', '2024-03-31 01:30:00+00' ],
	interval => [ 'NULL', @intervals ],
	text => [ 'NULL', q(''), q('UTC'), q('Europe/Berlin'), q('Nowhere/At all'), q(E'\x01%s%n'), q(repeat('x', 100000)) ],
	'text[]' => [ 'NULL', @options ],
	integer => [ 'NULL', 0, 1, 3, -1, 2147483647, -2147483648 ],
	bigint => [ 'NULL', 0, 1, -1, '9223372036854775807' ],
	boolean => [qw(NULL true false)]);
$values{'timestamp with time zone'} = $values{timestamptz};

# name, whether it returns a set, is a trigger, and the types of its arguments
my @functions = map { [ split /\|/, $_, -1 ] } split /\n/, $node->safe_psql('postgres', <<'SQL');
SELECT p.oid::regproc, proretset, prorettype = 'trigger'::regtype,
	(SELECT string_agg(t::regtype::text, ',' ORDER BY n) FROM unnest(proargtypes) WITH ORDINALITY x(t, n))
FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid
WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
	AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'streaming')
SQL
cmp_ok(scalar @functions, '>', 25, 'there are functions');

sub combinations
{
	my ($first, @rest) = @_;

	return ('') unless defined $first;
	my @tails = combinations(@rest);
	my @all;
	foreach my $value (@{ $values{$first} // ['NULL'] })
	{
		push @all, map { "$value\::$first" . ($_ eq '' ? '' : ", $_") } @tails;
	}
	return @all;
}

sub calls
{
	my ($name, $set, $trigger, $types) = @{ $_[0] };
	my @sql;

	# Two relations, or three intervals, make more than need to be tried each time.
	my @arguments = shuffle(combinations(split /,/, $types));
	splice @arguments, 400 if @arguments > 400;
	foreach my $arguments (@arguments)
	{
		my $call = "$name($arguments)";

		push @sql, "SELECT $call";
		next if $set ne 't' && rand() > 0.1;
		push @sql, "SELECT * FROM $call";
		push @sql, "SELECT $call, $call FROM generate_series(1, 2)";
		push @sql, "SELECT count(*) FROM generate_series(1, 2) LEFT JOIN LATERAL $call x ON true";
		push @sql, "SELECT 1 ORDER BY ($call) IS NULL";
		push @sql, "SELECT coalesce(($call)::text, '')";
	}
	return @sql unless $trigger eq 't';
	foreach my $when ('BEFORE INSERT', 'AFTER UPDATE OR DELETE', 'BEFORE TRUNCATE')
	{
		my $level = $when =~ /TRUNCATE/ ? 'STATEMENT' : 'ROW';

		push @sql, 'CREATE TEMP TABLE victim (a int)', 'INSERT INTO victim VALUES (1)',
		  "CREATE TRIGGER t $when ON victim FOR EACH $level EXECUTE FUNCTION $name('x')",
		  'INSERT INTO victim VALUES (2)', 'UPDATE victim SET a = 3', 'DELETE FROM victim', 'TRUNCATE victim', 'DROP TABLE victim';
	}
	return @sql;
}

# A crash would start it anew.
my $checkpointer = $node->safe_psql('postgres', q(SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'));

foreach my $role ('mallory', 'alice', $node->safe_psql('postgres', 'SELECT current_user'))
{
	my $internal = 0;
	my $count = 0;
	my $alive = 1;

	foreach my $function (@functions)
	{
		my @sql = calls($function);
		my ($out, $err);

		# Nothing is to stay: some of the calls reset a view, or wait for one.
		$node->psql('postgres',
			join('', "SET statement_timeout = '2s'; SET client_min_messages = error;\n",
				map({ "BEGIN; $_; ROLLBACK;\n" } @sql), "\\echo THE END\n"),
			stdout => \$out, stderr => \$err, on_error_stop => 0,
			extra_params => [ '-U', $role, '-v', 'VERBOSITY=verbose' ]);
		$count += @sql;
		if ($out !~ /^THE END$/m)
		{
			$alive = 0;
			diag("$role has lost the server in $function->[0]: " . substr($err, -500));
			wait_for($node, 'SELECT 1', 1);
		}
		while ($err =~ /^.*ERROR:\s+XX000.*$/mg)
		{
			diag("$function->[0]: $&") if $internal++ < 5;
		}
	}
	ok($alive, "$count calls by $role, none of which has ended the server");
	is($internal, 0, 'nor is an internal error');
}
is($node->safe_psql('postgres', q(SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer')), $checkpointer,
	'the server has not been started anew');
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/was terminated by signal/, 'no process has crashed');

# --- who sees what ----------------------------------------------------------

sub as
{
	my ($role, $sql) = @_;
	my ($out, $err);

	$node->psql('postgres', $sql, stdout => \$out, stderr => \$err, extra_params => [ '-U', $role ]);
	return "$out$err";
}

foreach my $sql (
	q(SELECT last_error FROM streaming_internal.view_status('alice.failing'::regclass, true)),
	q(SELECT last_error FROM streaming.views WHERE view = 'alice.failing'::regclass))
{
	is(as('mallory', $sql), '', "others do not see why a view fails: $sql");
	like(as($_, $sql), qr/s3cret/, "$_ does") foreach 'alice', 'monitor';
}
is(as('mallory', q(SELECT status IN ('retrying', 'failed') FROM streaming.views WHERE view = 'alice.failing'::regclass)), 't', 'but that it does');
wait_for($node, q(SELECT last_error FROM streaming.stat_streams WHERE stream = 'alice.topic'::regclass LIMIT 1), qr/./)
  if $node->safe_psql('postgres', q(ALTER VIEW alice.of_topic SET (streaming.trigger = 'asap'); SELECT 1));
foreach my $sql (
	q(SELECT last_error FROM streaming_internal.stream_partitions('alice.topic'::regclass)),
	q(SELECT last_error FROM streaming.stat_streams WHERE stream = 'alice.topic'::regclass))
{
	is(as('mallory', $sql), '', "nor what trouble a stream is in: $sql");
	like(as($_, $sql), qr/./, "$_ does") foreach 'alice', 'monitor';
}

$node->safe_psql('postgres', 'CREATE TABLE mallory.d (a int)');
is(as('mallory', <<'SQL'), '', 'a view over one that fails');
SET search_path = mallory;
CREATE VIEW over WITH (streaming.continuous) AS SELECT n, count(*) FROM alice.failing GROUP BY n;
SQL
my $drained = as('mallory', "SELECT streaming.drain('mallory.over', '60 s')");
like($drained, qr/continuous view "failing" has failed/, 'drain tells its owner that');
unlike($drained, qr/s3cret/, 'and not why');
like(as('alice', "SELECT streaming.drain('alice.failing', '60 s')"), qr/s3cret/, 'while the owner of that is told');

is(as('mallory', 'SELECT path FROM streaming.files'), '', 'names of files are not for all');
like(as('alice', 'SELECT path FROM streaming.files'), qr/secret_name/, 'but for the owner of the stream');
is(as('mallory', q(SELECT event_time FROM streaming.checkpoints WHERE view <> 'alice.failing'::regclass)), '',
	'nor are positions of a view, which have event times');
isnt(as($_, q(SELECT event_time FROM streaming.checkpoints WHERE view = 'alice.good'::regclass)), '', "$_ sees them")
  foreach 'alice', 'monitor';
is(as('mallory', q(SELECT watermark FROM streaming_internal.progress WHERE view = 'alice.good'::regclass)), '', 'nor the table of totals');
like(as('mallory', q(SELECT streaming.watermark('alice.good'))), qr/permission denied/, 'nor a watermark');
is(as('mallory', q(SELECT watermark FROM streaming.stat_views WHERE view = 'alice.good'::regclass)), '', 'by no road');
like(as($_, q(SELECT watermark FROM streaming.stat_views WHERE view = 'alice.good'::regclass)), qr/^20/, "$_ sees it")
  foreach 'alice', 'monitor';
like(as('mallory', q(SELECT streaming_internal.check_dump('alice.failing'::regclass, 'alice.pushed'::regclass))), qr/permission denied/,
	'rows of a stream are not counted for who may not read it');
like(as('alice', q(SELECT streaming_internal.check_dump('alice.failing'::regclass, 'alice.pushed'::regclass))), qr/has not taken 1 row/,
	'but for its owner');

# --- who wakes the workers --------------------------------------------------

is(as('mallory', 'CREATE TRIGGER wake AFTER INSERT ON mallory.d EXECUTE FUNCTION streaming_internal.notify_workers()') =~ /permission denied|must be owner/,
	1, 'no trigger of users wakes the workers');
$node->safe_psql('postgres', 'CREATE TRIGGER wake AFTER INSERT ON mallory.d EXECUTE FUNCTION streaming_internal.notify_workers()');
like(as($node->safe_psql('postgres', 'SELECT current_user'), 'INSERT INTO mallory.d VALUES (1)'),
	qr/trigger of streaming_internal.continuous_view only/, 'not even where a superuser has made one');

# --- names are not enough ---------------------------------------------------

$node->safe_psql('postgres', 'CREATE DATABASE other OWNER mallory');
my ($out, $err);
$node->psql('other', <<'SQL', stderr => \$err, extra_params => [ '-U', 'mallory' ], on_error_stop => 1);
CREATE SCHEMA streaming;
CREATE SCHEMA streaming_internal;
CREATE TABLE streaming_internal.continuous_view (view int8 PRIMARY KEY, id int8, definition int8, result int8,
	sink_kind int8, sink int8, output_mode int8, trigger int8, start int8, max_rows_per_trigger int8,
	max_files_per_trigger int8, enabled int8, generation int8, home int8, relations int8);
CREATE FUNCTION streaming.session(timestamptz, interval) RETURNS tstzrange LANGUAGE sql AS 'SELECT NULL::tstzrange';
CREATE VIEW v AS SELECT 1 AS a;
CREATE VIEW streaming_internal.result_1 AS SELECT 1 AS a;
INSERT INTO streaming_internal.continuous_view
	SELECT oid, 1, oid, oid, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7 FROM pg_class WHERE relname IN ('v', 'result_1');
CREATE MATERIALIZED VIEW streaming_internal.restored AS SELECT true AS complete;
SQL
is($err, '', 'in a database without the extension anybody may make schemas and tables of its names');
$node->psql('other', <<'SQL', stderr => \$err, on_error_stop => 1);
CREATE OR REPLACE VIEW v AS SELECT 1 AS a, 2 AS b;
ALTER VIEW v SET (security_barrier = on);
ALTER VIEW v RENAME TO w;
ALTER VIEW w OWNER TO alice;
REASSIGN OWNED BY alice TO mallory;
REFRESH MATERIALIZED VIEW streaming_internal.restored;
CREATE INDEX ON streaming_internal.restored (complete);
ALTER VIEW streaming_internal.result_1 RENAME TO result_2;
DROP VIEW w, streaming_internal.result_2;
SQL
is($err, '', 'which are ordinary ones');
$node->psql('other', 'CREATE VIEW v WITH (streaming.continuous) AS SELECT 1', stderr => \$err);
like($err, qr/extension streaming is not installed/, 'and are not the extension');
$node->psql('other', 'CREATE EXTENSION streaming', stderr => \$err);
like($err, qr/already exists/, 'nor become it');
$node->safe_psql('other', <<'SQL');
DROP SCHEMA streaming, streaming_internal CASCADE;
BEGIN;
CREATE EXTENSION streaming;
CREATE FOREIGN TABLE s (a int) SERVER streaming;
CREATE VIEW v WITH (streaming.continuous) AS SELECT count(*) FROM s;
ROLLBACK;
CREATE VIEW v AS SELECT 1 AS a;
CREATE EXTENSION streaming;
CREATE FOREIGN TABLE s (a int) SERVER streaming;
CREATE VIEW w WITH (streaming.continuous) AS SELECT count(*) FROM s;
INSERT INTO s VALUES (1);
SQL
is($node->safe_psql('other', "DO 'BEGIN PERFORM streaming.drain(''w''); END'; SELECT * FROM w"), 1, 'the extension itself is found at once');
$node->safe_psql('other', 'BEGIN; DROP EXTENSION streaming CASCADE; CREATE VIEW x AS SELECT 1; DROP VIEW x; ROLLBACK');
is($node->safe_psql('other', "INSERT INTO s VALUES (2); DO 'BEGIN PERFORM streaming.drain(''w''); END'; SELECT * FROM w"), 2, 'also after a drop that was undone');
$node->safe_psql('other', 'DROP EXTENSION streaming CASCADE; DROP VIEW v');
$node->safe_psql('postgres', 'DROP DATABASE other');

# --- views that are dropped while they are shown ----------------------------

$node->safe_psql('postgres', 'CREATE FOREIGN TABLE s (k int) SERVER streaming; CREATE FUNCTION taken(bigint) RETURNS void LANGUAGE sql AS $$SELECT$$; CREATE TYPE n AS (n bigint); CREATE FUNCTION each(n) RETURNS void LANGUAGE sql AS $$SELECT$$');
$node->append_conf('postgresql.conf', 'log_min_messages = error');
$node->reload;
my $changing = IPC::Run::start(
	[ 'psql', '-XAtq', '-d', $node->connstr('postgres') ], '<',
	\(join('', map { "CREATE VIEW comes_$_ WITH (streaming.continuous) AS SELECT k, count(*) FROM s GROUP BY k;\n"
			. "CREATE VIEW goes_$_ WITH (streaming.foreach = 'each') AS SELECT count(*) AS n FROM s;\n"
			. "DROP VIEW comes_$_;\nDROP VIEW goes_$_;\n" } 1 .. 60) . "\\echo DONE\n"),
	'>', \my $done, '2>', \my $changes);
my $errors = '';
my $looks = 0;
while ($done !~ /DONE/ && $changing->pumpable)
{
	foreach my $shown (qw(status views stat_views stat_operators stat_streams stat_sinks batches checkpoints))
	{
		$node->psql('postgres', "SELECT count(v::text) FROM streaming.$shown v;" x 5, stderr => \$err);
		$errors .= $err;
		$looks++;
	}
	$changing->pump_nb;
}
$changing->finish;
is($changes, '', 'views come and go');
is($errors, '', "and are looked at meanwhile, $looks times");

done_testing();
