# A role with LOGIN and a schema of its own tries to become superuser, to read
# what it may not, to deceive others and to be in their way.
#
# Code of mallory's calls spy(), which writes to the server's log who it runs as,
# and makes mallory a superuser if it can. A section walks some roads, each of
# which says its name to the spy, and then asks with ran_as_mallory(NAME...)
# whether each was walked, and by nobody but mallory. At the end of a section
# nobody_got_in() looks for what must not have happened on any road.

use strict;
use warnings;

use StreamingTest;
use Test::More;

my $node = new_node('main', 'streaming.query_workers = 1', 'streaming.retry_max = 500ms',
	q(log_line_prefix = '%b|'), 'streaming.scan_interval = 200ms', 'autovacuum_naptime = 1s',
	'min_parallel_table_scan_size = 0', 'parallel_setup_cost = 0', 'parallel_tuple_cost = 0',
	'max_parallel_workers_per_gather = 2', 'streaming.work_mem = 64');
my $dir = $node->basedir . '/landing';
mkdir $dir;
mkdir "$dir/$_" foreach qw(in out);

$node->safe_psql('postgres', <<SQL);
CREATE ROLE mallory LOGIN;
CREATE ROLE bob LOGIN;
CREATE SCHEMA mallory AUTHORIZATION mallory;
CREATE SCHEMA bob AUTHORIZATION bob;
CREATE SERVER landing FOREIGN DATA WRAPPER directory OPTIONS (path '$dir');
SQL

# --- helpers ----------------------------------------------------------------

# Runs SQL as a role, with its schema in front; returns what psql prints to
# stdout, and to stderr.
sub as
{
	my ($role, $sql) = @_;
	my ($out, $err);

	$node->psql('postgres', "SET search_path = $role, public;\n$sql",
		stdout => \$out, stderr => \$err, extra_params => [ '-U', $role ]);
	return ($out, $err);
}

# The same, which must succeed.
sub do_as
{
	my ($role, $sql) = @_;
	my ($out, $err) = as($role, $sql);

	die "$role: $err\nin: $sql" if $err =~ /ERROR/;
	return $out;
}

sub boss
{
	my ($sql) = @_;
	my ($out, $err);

	$node->psql('postgres', $sql, stdout => \$out, stderr => \$err);
	return ($out, $err);
}

# Whether SQL of the role is refused with an error that matches.
sub refused
{
	my ($role, $sql, $pattern, $test_name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	my ($out, $err) = as($role, $sql);
	return like($err, $pattern, $test_name);
}

# What the spy has seen: of each name, strings "backend type: user, session user".
sub seen
{
	my %seen;
	my $log = PostgreSQL::Test::Utils::slurp_file($node->logfile);

	while ($log =~ /^([^|\n]*)\|LOG:  spy (\S+) runs as (\S+), session of (\S+), superuser (\S+)$/mg)
	{
		$seen{$2}{"$1: $3, $4, $5"} = 1;
	}
	return \%seen;
}

# Each of the roads was walked, and by mallory: by all its names in a worker, by
# the current user where somebody else's command did it.
sub ran_as_mallory
{
	my (@names) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	foreach my $name (@names)
	{
		ok(wait_until(sub { seen()->{$name} }), "$name: the code has run") or next;
		my @bad = grep { !/^(?:streaming|parallel) .*: mallory, mallory, off$|^client backend: mallory, \S+, \S+$|^autovacuum worker: mallory, / }
		  sort keys %{ seen()->{$name} };
		is("@bad", '', "$name: as mallory");
	}
	return;
}

sub nobody_got_in
{
	my ($section) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	is($node->safe_psql('postgres', q(SELECT rolsuper FROM pg_roles WHERE rolname = 'mallory')), 'f',
		"$section: mallory is no superuser");
	is($node->safe_psql('postgres', 'SELECT count(*) FROM spoils'), 0, "$section: nothing is taken");
	$node->safe_psql('postgres', 'ALTER ROLE mallory NOSUPERUSER; TRUNCATE spoils');
	return;
}

sub status_of
{
	my ($view) = @_;
	return "SELECT status, last_error FROM streaming.views WHERE view = '$view'::regclass";
}

$node->safe_psql('postgres', <<'SQL');
-- what only a superuser can write to
CREATE TABLE spoils (place text, by_user text);
SQL
do_as('mallory', <<'SQL');
CREATE FUNCTION seize(place text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	RAISE LOG 'spy % runs as %, session of %, superuser %', place, current_user, session_user, current_setting('is_superuser');
	BEGIN
		EXECUTE 'ALTER ROLE mallory SUPERUSER';
	EXCEPTION WHEN OTHERS THEN NULL;
	END;
	BEGIN
		INSERT INTO public.spoils VALUES (place, current_user);
	EXCEPTION WHEN OTHERS THEN NULL;
	END;
	BEGIN
		EXECUTE 'SET SESSION AUTHORIZATION postgres';
		INSERT INTO public.spoils VALUES (place, 'session of ' || current_user);
	EXCEPTION WHEN OTHERS THEN NULL;
	END;
END
$$;
-- immutable, so that the planner calls it
CREATE FUNCTION spy(place text) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
	PERFORM mallory.seize(place);
	RETURN 0;
END
$$;
SQL

# --- a view's query ----------------------------------------------------------

do_as('mallory', <<'SQL');
CREATE FOREIGN TABLE s (k int, at timestamptz OPTIONS (watermark '0')) SERVER streaming;
CREATE FUNCTION combine(bigint, bigint) RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS
	$$ BEGIN PERFORM mallory.spy('aggregate'); RETURN $1 + $2; END $$;
CREATE FUNCTION trans(bigint, int) RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS
	$$ BEGIN PERFORM mallory.spy('aggregate'); RETURN $1 + 1; END $$;
CREATE FUNCTION final(bigint) RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS
	$$ BEGIN PERFORM mallory.spy('final'); RETURN $1; END $$;
CREATE AGGREGATE tally(int) (sfunc = trans, stype = bigint, initcond = '0', combinefunc = combine, finalfunc = final);
CREATE FUNCTION same(int, text) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS
	$$ BEGIN PERFORM mallory.spy('operator'); RETURN $1 = $2::int; END $$;
CREATE OPERATOR === (function = same, leftarg = int, rightarg = text);
CREATE VIEW output WITH (streaming.continuous) AS SELECT k, count(*) + mallory.spy('output') AS n FROM s GROUP BY k;
CREATE VIEW "having" WITH (streaming.continuous) AS SELECT k, count(*) AS n FROM s GROUP BY k HAVING count(*) > mallory.spy('having');
CREATE VIEW width WITH (streaming.continuous) AS
	SELECT streaming.tumble(at, make_interval(secs => 10 + mallory.spy('width'))) AS w, count(*) AS n FROM s GROUP BY 1;
CREATE VIEW bin WITH (streaming.continuous) AS
	SELECT date_bin(make_interval(secs => 10 + mallory.spy('bin')), at, '2000-01-01') AS w, count(*) AS n FROM s GROUP BY 1;
CREATE VIEW filter WITH (streaming.continuous) AS SELECT k FROM s WHERE mallory.spy('filter') = 0;
CREATE VIEW recompute WITH (streaming.continuous) AS SELECT count(DISTINCT at) + mallory.spy('recompute') AS n FROM s;
CREATE VIEW aggregate WITH (streaming.continuous) AS SELECT k, tally(k) AS n FROM s GROUP BY k;
CREATE VIEW operator WITH (streaming.continuous) AS SELECT k, count(*) AS n, bool_or(k === '1') AS one, count(*)::int === '1' AS o FROM s GROUP BY k;
CREATE VIEW above WITH (streaming.continuous) AS SELECT n, count(*) + mallory.spy('above') AS m FROM output GROUP BY n;
INSERT INTO s SELECT i % 3, timestamptz '2030-01-01 00:00' + i * interval '1 s' FROM generate_series(1, 100) i;
SQL
drain($node, "mallory.$_") foreach qw(output having width bin filter recompute aggregate operator above);
# opened anew, with another batch to combine with
do_as('mallory', "INSERT INTO s SELECT i % 3, timestamptz '2030-01-01 00:02' + i * interval '1 s' FROM generate_series(1, 100) i");
drain($node, "mallory.$_") foreach qw(output having width bin filter recompute aggregate operator above);
ran_as_mallory(qw(output having width bin filter recompute aggregate final operator above));
is($node->safe_psql('postgres', 'SELECT sum(n) FROM mallory.output'), 200, 'and the views do what they say');
refused('mallory', "CREATE VIEW gap WITH (streaming.continuous) AS SELECT streaming.session(at, make_interval(secs => 10 + mallory.spy('gap'))) AS w, count(*) AS n FROM s GROUP BY 1",
	qr/a session window whose gap is not a constant/, 'what must be a constant calls no function of users');
nobody_got_in("a view's query");

# Bulk is read by parallel workers.
do_as('mallory', <<'SQL');
CREATE FUNCTION report(place text, v int) RETURNS int LANGUAGE plpgsql PARALLEL SAFE AS $$
BEGIN
	RAISE LOG 'spy % runs as %, session of %, superuser %', place, current_user, session_user, current_setting('is_superuser');
	RETURN v;
END
$$;
CREATE FOREIGN TABLE bulk (k int) SERVER streaming;
CREATE VIEW parallel WITH (streaming.trigger = 'manual') AS
	SELECT k % 10 AS k, count(*) AS n, min(CASE WHEN k % 1000 = 0 THEN mallory.report('parallel', k) END) AS least FROM bulk GROUP BY 1;
INSERT INTO bulk SELECT generate_series(1, 100000);
SQL
drain($node, 'mallory.parallel');
ran_as_mallory('parallel');
ok(seen()->{parallel}{'parallel worker: mallory, mallory, off'}, 'parallel workers take part');

# --- other people's commands ---------------------------------------------------

do_as('mallory', <<'SQL');
CREATE TABLE windows (w tstzrange PRIMARY KEY, n bigint);
CREATE TABLE target (k int PRIMARY KEY, n bigint);
CREATE FUNCTION on_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM mallory.seize('trigger');
	SET search_path = mallory;
	SET application_name = 'mallory was here';
	RETURN NULL;
END
$$;
CREATE TRIGGER t BEFORE DELETE ON target FOR EACH STATEMENT EXECUTE FUNCTION on_delete();
CREATE VIEW kept WITH (streaming.sink = 'target') AS SELECT k, count(*) AS n FROM s GROUP BY k;
CREATE VIEW sunk WITH (streaming.sink = 'windows', streaming.output_mode = 'update') AS
	SELECT streaming.tumble(at, make_interval(secs => 10 + mallory.spy('sunk'))) AS w, count(*) AS n FROM s GROUP BY 1;
SQL
drain($node, "mallory.$_") foreach qw(kept sunk);
like((boss("SELECT streaming.explain('mallory.width')"))[0], qr/Stage 1/, 'explain by a superuser');
like((boss("SELECT streaming.explain('mallory.sunk')"))[0], qr/Stage 1/, 'explain by a superuser of a view with a sink');
$node->safe_psql('postgres', "ALTER FOREIGN TABLE mallory.s ADD COLUMN more int");
# rows that a stream holds are checked when it is altered
do_as('mallory', <<'SQL');
CREATE DOMAIN guarded AS int CHECK (VALUE > mallory.spy('rows_domain'));
CREATE FOREIGN TABLE holds (k guarded, CONSTRAINT c CHECK (k > mallory.spy('rows_constraint'))) SERVER streaming;
CREATE VIEW of_holds WITH (streaming.trigger = 'manual') AS SELECT k FROM holds;
INSERT INTO holds VALUES (1);
SQL
$node->safe_psql('postgres', 'ALTER FOREIGN TABLE mallory.holds ADD COLUMN more int');
ran_as_mallory(qw(rows_domain rows_constraint));
ok(seen()->{$_}{'client backend: mallory, postgres, on'} || seen()->{$_}{'client backend: mallory, postgres, off'},
	"$_: has run in the superuser's session, too") foreach qw(rows_domain rows_constraint);
$node->safe_psql('postgres', "ALTER FOREIGN TABLE mallory.s ALTER COLUMN at OPTIONS (SET watermark '1 s')");
$node->safe_psql('postgres', "SELECT streaming.reset('mallory.$_')") foreach qw(width output sunk);
is($node->safe_psql('postgres', "SELECT streaming.reset('mallory.kept'); SHOW application_name; SHOW search_path"),
	"\nattacker.pl\n\"\$user\", public", 'settings that a trigger leaves in a reset go');
drain($node, "mallory.$_") foreach qw(width output sunk kept);
ran_as_mallory(qw(width output sunk trigger));
foreach my $name (qw(width output sunk))
{
	is(join(' ', grep { /^client/ } keys %{ seen()->{$name} }), '', "$name: runs in workers only");
}
nobody_got_in("other people's commands");

# --- types ---------------------------------------------------------------------

$node->safe_psql('postgres', <<'SQL');
GRANT USAGE ON FOREIGN SERVER landing TO mallory;
GRANT pg_read_server_files, pg_write_server_files TO mallory;
SQL
do_as('mallory', <<'SQL');
CREATE DOMAIN checked AS int CHECK (mallory.spy('check') = 0 AND VALUE IS DISTINCT FROM mallory.spy('check') - 1);
CREATE DOMAIN named AS text CHECK (VALUE IS NULL OR mallory.spy('check_' || VALUE) = 0);
CREATE FOREIGN TABLE files (k int, d checked, e named) SERVER landing OPTIONS (path 'in/*.json');
CREATE VIEW of_files WITH (streaming.continuous) AS SELECT k, count(d) AS n, count(e) AS e FROM files GROUP BY k;
SQL
put_file("$dir/in", 'a.json', qq({"k": 1, "d": 1, "e": "ingest"}\n{"k": 1}\n));
drain($node, 'mallory.of_files');
put_file("$dir/in", 'b.json', qq({"k": 1, "d": 1, "e": "follow"}\n{"k": 1}\n));
drain($node, 'mallory.of_files');
is($node->safe_psql('postgres', 'SELECT count(*) FROM mallory.files'), 4, 'a superuser reads the stream');
# one that is far behind reads the source itself
$node->restart;
put_file("$dir/in", 'c.json', qq({"k": 1, "d": 1, "e": "follow"}\n));
drain($node, 'mallory.of_files');
do_as('mallory', 'CREATE VIEW later WITH (streaming.continuous) AS SELECT k, d, e FROM files');
drain($node, 'mallory.later');
ok(seen()->{check_ingest}{"streaming $_: mallory, mallory, off"}, "domains are checked by a $_ worker") foreach qw(ingest query);
ran_as_mallory(qw(check check_ingest check_follow));

do_as('mallory', <<'SQL');
CREATE TYPE mood AS ENUM ('0', '1', '2');
CREATE FUNCTION to_json(mood) RETURNS json LANGUAGE plpgsql AS $$ BEGIN PERFORM mallory.seize('cast'); RETURN '"m"'; END $$;
CREATE CAST (mood AS json) WITH FUNCTION to_json(mood);
CREATE FOREIGN TABLE delivered (k int, m mood, ms mood[]) SERVER landing OPTIONS (path 'out/*.json');
CREATE VIEW deliver WITH (streaming.sink = 'delivered') AS SELECT k, k::text::mood AS m, ARRAY[k::text::mood] AS ms FROM s;
SQL
drain($node, 'mallory.deliver');
ran_as_mallory('cast');

# Beside parallel workers a bad record is not rolled back, so what fails there must
# be of types that run nobody's code: an error leaves a SECURITY DEFINER function
# without going back to who called it.
$node->safe_psql('postgres', <<'SQL');
CREATE FUNCTION public.checked_by_boss(i int) RETURNS boolean SECURITY DEFINER LANGUAGE plpgsql AS
	$$ BEGIN IF i < 0 THEN RAISE EXCEPTION 'below 0' USING ERRCODE = 'data_exception'; END IF; RETURN true; END $$;
SQL
put_file("$dir/in", 'ranges.ndjson', join('', map { qq|{"r": "[$_,100)", "rs": ["[$_,100)"], "m": "{[$_,100)}", "k": "$_"}\n| } (7, -1, 8, 9)));
do_as('mallory', <<'SQL');
CREATE FUNCTION tell(int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'runs as %', current_user; RETURN true; END $$;
CREATE DOMAIN judged AS int CHECK (public.checked_by_boss(VALUE) AND mallory.tell(VALUE));
CREATE TYPE judged_range AS RANGE (subtype = judged, multirange_type_name = judged_ranges);
CREATE FOREIGN TABLE of_judged (k int, r judged_range, rs judged_range[], m judged_ranges) SERVER landing OPTIONS (path 'in/*.ndjson');
CREATE TABLE many AS SELECT generate_series(1, 10000) AS i;
SQL
my $parallel = 'SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;';
like(do_as('mallory', "$parallel EXPLAIN SELECT k, (SELECT count(*) FROM many) FROM of_judged"), qr/Gather/, 'a stream beside parallel workers');
foreach my $column (qw(r rs m))
{
	do_as('mallory', "ALTER FOREIGN TABLE of_judged " . join(', ', map { "ALTER $_ OPTIONS (ADD field '" . ($_ eq $column ? $_ : 'none') . "')" } qw(r rs m)));
	my ($out, $err) = as('mallory', "$parallel SELECT $column, (SELECT count(*) FROM many) FROM of_judged");
	like($err, qr/ERROR:  below 0/, "$column: code of users that fails beside parallel workers fails the query");
	like($err, qr/runs as mallory/, "$column: and has run");
	unlike($err, qr/runs as (?!mallory)/, "$column: as nobody but mallory");
	do_as('mallory', "ALTER FOREIGN TABLE of_judged " . join(', ', map { "ALTER $_ OPTIONS (DROP field)" } qw(r rs m)));
}
do_as('mallory', 'CREATE FOREIGN TABLE of_ranges_read (k int, r int4range) SERVER landing OPTIONS (path \'in/*.ndjson\')');
is(do_as('mallory', "$parallel SELECT sum(k), (SELECT count(*) FROM many) FROM of_ranges_read"), '23|10000', 'other types are read there');

# ANALYZE of tables that are not mallory's
do_as('mallory', <<'SQL');
CREATE FUNCTION difference(int, int) RETURNS float8 IMMUTABLE LANGUAGE plpgsql AS
	$$ BEGIN PERFORM mallory.spy('difference'); RETURN $1 - $2; END $$;
CREATE TYPE span AS RANGE (subtype = int, subtype_diff = difference);
CREATE DOMAIN spans AS span;
CREATE FOREIGN TABLE ranges (r span, d spans, m span_multirange) SERVER streaming;
CREATE VIEW of_ranges WITH (streaming.continuous) AS SELECT r, d, m FROM ranges;
CREATE VIEW by_range WITH (streaming.continuous) AS SELECT r, count(*) AS n, max(upper(m)) AS m, count(DISTINCT d) AS ds FROM ranges GROUP BY r;
CREATE VIEW waits WITH (streaming.trigger = 'manual') AS SELECT r, d, m FROM ranges;
INSERT INTO ranges SELECT r, r, span_multirange(r) FROM (SELECT span(i, i + 5) AS r FROM generate_series(1, 500) i) x;
ALTER FOREIGN TABLE ranges ADD COLUMN more span;
INSERT INTO ranges SELECT r, r, span_multirange(r), r FROM (SELECT span(i, i + 5) AS r FROM generate_series(1, 500) i) x;
CREATE TABLE mine AS SELECT r FROM ranges;
SQL
drain($node, "mallory.$_") foreach qw(of_ranges by_range);
$node->safe_psql('postgres', 'ANALYZE');
ran_as_mallory('difference');

# A number that is taken for a text is a pointer to wherever mallory likes.  A
# column changes with the type of a table that the stream inherits from ...
do_as('mallory', <<'SQL');
CREATE TYPE shape AS (n bigint, t text);
CREATE TABLE shaped OF shape;
CREATE FOREIGN TABLE inherits () INHERITS (shaped) SERVER streaming;
INSERT INTO inherits VALUES (305419896, 'x');
SQL
refused('mallory', 'ALTER TYPE shape ALTER ATTRIBUTE n TYPE text CASCADE',
	qr/ERROR:  cannot change the type of column "n" of stream mallory.inherits while it holds rows/,
	'rows of a stream keep their type below ALTER TYPE ... CASCADE');
do_as('mallory', 'ALTER TYPE shape ADD ATTRIBUTE more int CASCADE');
is(do_as('mallory', 'SELECT * FROM inherits'), '305419896|x|', 'other changes reach its tables');

# ... and that of a stream that has got another one's name while the command waited.
do_as('mallory', <<'SQL');
CREATE FOREIGN TABLE decoy (n bigint) SERVER streaming;
CREATE FOREIGN TABLE pointers (n bigint) SERVER streaming;
INSERT INTO pointers VALUES (305419896);
SQL
my $renames = $node->background_psql('postgres');
my $alters = $node->background_psql('postgres');
$_->query_safe('SET SESSION AUTHORIZATION mallory; SET search_path = mallory') foreach ($renames, $alters);
$renames->query_safe('BEGIN; ALTER FOREIGN TABLE decoy RENAME TO away; ALTER FOREIGN TABLE pointers RENAME TO decoy');
$alters->query_until(qr/altering/, "\\echo altering\nALTER FOREIGN TABLE decoy ALTER COLUMN n TYPE text;\n");
$node->poll_query_until('postgres',
	q(SELECT count(*) > 0 FROM pg_locks WHERE NOT granted AND relation = 'mallory.decoy'::regclass))
	or die 'nobody waits for the decoy';
$renames->query_safe('COMMIT');
$renames->quit;
$alters->quit;
is($node->safe_psql('postgres', q(SELECT atttypid::regtype FROM pg_attribute WHERE attrelid = 'mallory.decoy'::regclass AND attname = 'n')),
	'text', 'a stream has other columns than its rows');
refused('mallory', 'SELECT n FROM decoy', qr/ERROR:  table "push_\d+_\d+_\d" holds rows with other columns than the stream has/,
	'and they are not read');
nobody_got_in('types');

# --- functions beside aggregates -----------------------------------------------

do_as('bob', <<'SQL');
GRANT USAGE ON SCHEMA bob TO mallory;
CREATE FUNCTION plus(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN $1 + 1; END';
CREATE FUNCTION less(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN $1 - 1; END';
CREATE FUNCTION trans(bigint, int) RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN $1 + 1; END';
CREATE FUNCTION combine(bigint, bigint) RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN $1 + $2; END';
CREATE FUNCTION final(bigint) RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN $1; END';
CREATE AGGREGATE tally(int) (sfunc = trans, stype = bigint, initcond = '0', combinefunc = combine, finalfunc = final);
CREATE OPERATOR ~~> (function = less, rightarg = int);
CREATE TABLE joined (k int PRIMARY KEY, name text);
INSERT INTO joined VALUES (1, 'one');
GRANT SELECT ON joined TO mallory;
CREATE FOREIGN TABLE s (k int) SERVER streaming;
GRANT SELECT, INSERT ON s TO mallory;
CREATE VIEW v WITH (streaming.continuous) AS SELECT k, count(*) AS n FROM s GROUP BY k;
GRANT SELECT ON v TO mallory;
SQL
do_as('mallory', <<'SQL');
CREATE VIEW f_output WITH (streaming.continuous) AS SELECT k, bob.plus(count(*)::int) AS n FROM bob.s GROUP BY k;
CREATE VIEW f_operator WITH (streaming.continuous) AS SELECT k, OPERATOR(bob.~~>) count(*)::int AS n FROM bob.s GROUP BY k;
CREATE VIEW f_filter WITH (streaming.continuous) AS SELECT k FROM bob.s WHERE bob.plus(k) > 0;
CREATE VIEW f_aggregate WITH (streaming.continuous) AS SELECT k, bob.tally(k) AS n FROM bob.s GROUP BY k;
CREATE VIEW f_table WITH (streaming.continuous) AS SELECT k, name FROM bob.s LEFT JOIN bob.joined USING (k);
CREATE VIEW f_stream WITH (streaming.continuous) AS SELECT k, count(*) AS n FROM bob.s GROUP BY k;
CREATE VIEW f_view WITH (streaming.continuous) AS SELECT n, count(*) AS m FROM bob.v GROUP BY n;
SQL
foreach (
	[ 'f_output', 'EXECUTE ON FUNCTION bob.plus(int)', 'PUBLIC' ],
	[ 'f_operator', 'EXECUTE ON FUNCTION bob.less(int)', 'PUBLIC' ],
	[ 'f_filter', 'EXECUTE ON FUNCTION bob.plus(int)', 'PUBLIC' ],
	[ 'f_aggregate', 'EXECUTE ON FUNCTION bob.tally(int)', 'PUBLIC' ],
	[ 'f_aggregate', 'EXECUTE ON FUNCTION bob.combine(bigint, bigint)', 'PUBLIC, bob' ],
	[ 'f_aggregate', 'EXECUTE ON FUNCTION bob.final(bigint)', 'PUBLIC, bob' ],
	[ 'f_table', 'SELECT ON bob.joined', 'mallory' ],
	[ 'f_stream', 'SELECT ON bob.s', 'mallory' ],
	[ 'f_view', 'SELECT ON bob.v', 'mallory' ])
{
	my ($view, $right, $from) = @$_;

	drain($node, "mallory.$view");
	do_as('bob', "REVOKE $right FROM $from; INSERT INTO s VALUES (1)");
	ok(wait_for($node, status_of("mallory.$view"), qr/^retrying\|permission denied for/), "$view needs $right");
	do_as('bob', "GRANT $right TO $from");
	ok(wait_for($node, status_of("mallory.$view"), 'running|'), "$view goes on when it has it again");
}
# a right that comes from a membership
$node->safe_psql('postgres', 'CREATE ROLE friends; GRANT friends TO mallory; REVOKE EXECUTE ON FUNCTION bob.plus(int) FROM PUBLIC; GRANT EXECUTE ON FUNCTION bob.plus(int) TO friends');
do_as('bob', 'INSERT INTO s VALUES (1)');
drain($node, 'mallory.f_output');
$node->safe_psql('postgres', 'REVOKE friends FROM mallory');
do_as('bob', 'INSERT INTO s VALUES (1)');
ok(wait_for($node, status_of("mallory.f_output"), qr/^retrying\|permission denied for function plus/), 'a membership that ends');
do_as('mallory', "DROP VIEW $_") foreach qw(f_output f_operator f_filter f_aggregate f_table f_stream f_view);

# --- what a batch leaves in its process ------------------------------------------

do_as('mallory', <<'SQL');
CREATE FUNCTION leave(r record) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_advisory_lock(42);
	PERFORM set_config('mallory.was', 'here', false);
	SET search_path = mallory, pg_catalog;
	PERFORM setseed(0.5);
END
$$;
CREATE FUNCTION leave_it(r record) RETURNS void LANGUAGE plpgsql AS
	'BEGIN EXECUTE (SELECT statement FROM mallory.to_leave); END';
CREATE TABLE to_leave (statement text);
CREATE FUNCTION fill(batch regclass, batch_id bigint) RETURNS void LANGUAGE plpgsql AS 'BEGIN END';
CREATE VIEW leaver WITH (streaming.foreach = 'leave') AS SELECT k FROM s;
CREATE VIEW filler WITH (streaming.foreach_batch = 'fill') AS SELECT k FROM s;
SQL
do_as('bob', <<'SQL');
CREATE TABLE found (what text, value text);
CREATE SEQUENCE calls;
CREATE FUNCTION find(r record) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO bob.found VALUES ('setting', current_setting('mallory.was', true)),
		('search_path', current_setting('search_path')), ('user', current_user), ('session', session_user),
		('random', random()), ('locks', (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()));
END
$$;
CREATE VIEW finder WITH (streaming.foreach = 'find', streaming.trigger = 'manual') AS SELECT k FROM s;
INSERT INTO s VALUES (7);
SQL
drain($node, "mallory.$_") foreach qw(leaver filler);
do_as('bob', "SELECT streaming.drain('finder')");
my $random = $node->safe_psql('postgres', 'SELECT setseed(0.5); SELECT random()');
is(do_as('bob', "SELECT string_agg(what || '=' || coalesce(value, ''), ' ' ORDER BY what) FROM (SELECT DISTINCT what, value FROM found WHERE what <> 'random') x"),
	'locks=0 search_path=pg_catalog, pg_temp session=bob setting= user=bob',
	'locks and settings of a view are gone when the next runs');
is(do_as('bob', "SELECT count(*) FROM found WHERE what = 'random' AND value = '" . ($random =~ s/.*\n//sr) . "'"), 0,
	'its seed of random numbers, too');
SKIP:
{
	skip('dblink is not installed', 2)
	  unless $node->safe_psql('postgres', q(SELECT count(*) FROM pg_available_extensions WHERE name = 'dblink'));
	my $place = sprintf "host=%s port=%s dbname=postgres user=mallory", $node->host, $node->port;

	$node->safe_psql('postgres', <<SQL);
CREATE EXTENSION dblink SCHEMA public;
GRANT EXECUTE ON FUNCTION public.dblink_connect_u(text), public.dblink_connect_u(text, text) TO mallory;
SQL
	do_as('mallory', <<SQL);
CREATE TABLE connected (names text);
CREATE FUNCTION connects(r record) RETURNS void LANGUAGE plpgsql AS \$\$
BEGIN
	IF public.dblink_get_connections() IS NULL THEN
		PERFORM public.dblink_connect_u('left', '$place'), public.dblink_connect_u('$place');
	END IF;
	INSERT INTO mallory.connected VALUES (array_to_string(public.dblink_get_connections(), ','));
END
\$\$;
CREATE VIEW connecting WITH (streaming.foreach = 'connects') AS SELECT count(*) FROM s;
SQL
	do_as('bob', <<'SQL');
CREATE TABLE looked (names text, unnamed text);
CREATE FUNCTION looks(r record) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO bob.looked VALUES (array_to_string(public.dblink_get_connections(), ','), '');
	UPDATE bob.looked SET unnamed = (SELECT u FROM public.dblink('SELECT current_user::text') t(u text));
EXCEPTION WHEN connection_does_not_exist OR sqlclient_unable_to_establish_sqlconnection THEN
	INSERT INTO bob.looked VALUES (array_to_string(public.dblink_get_connections(), ','), 'none');
END
$$;
CREATE VIEW looking WITH (streaming.foreach = 'looks', streaming.trigger = 'manual') AS SELECT count(*) FROM s;
SQL
	drain($node, 'mallory.connecting');
	is(do_as('mallory', 'SELECT DISTINCT names FROM connected'), 'left', 'a view has connections');
	do_as('bob', "SELECT streaming.drain('looking')");
	is(do_as('bob', q(SELECT DISTINCT coalesce(names, 'none') || ' ' || unnamed FROM looked)), 'none none', 'which are closed when that of another role runs');
	do_as('mallory', 'DROP VIEW connecting');
	do_as('bob', 'DROP VIEW looking');
}
# (The process has a temporary schema, for streaming.foreach_batch.)
foreach my $statement ('CREATE DOMAIN pg_temp.trap AS int',
	'CREATE OR REPLACE FUNCTION pg_temp.trap() RETURNS int LANGUAGE sql RETURN 1',
	'CREATE TEMPORARY TABLE trap ()', 'PREPARE trap AS SELECT 1', 'LISTEN trap',
	'DECLARE trap CURSOR WITH HOLD FOR SELECT 1', 'SET ROLE postgres', 'SET SESSION AUTHORIZATION DEFAULT')
{
	do_as('mallory', <<SQL);
DELETE FROM to_leave;
INSERT INTO to_leave VALUES ('$statement');
CREATE VIEW trapper WITH (streaming.foreach = 'leave_it') AS SELECT count(*) FROM s;	-- called once a batch
SQL
	ok(wait_for($node, status_of('mallory.trapper'), qr/^retrying\|cannot .* within (security-restricted operation|security-definer function)/),
		"refused in a batch: $statement");
	do_as('mallory', 'DROP VIEW trapper');
}
do_as('mallory', "DROP VIEW $_") foreach qw(leaver filler);
nobody_got_in('what a batch leaves');

# --- locks ------------------------------------------------------------------------

do_as('bob', <<'SQL');
GRANT USAGE ON SCHEMA bob TO mallory;
REVOKE ALL ON v FROM mallory;
CREATE TABLE secret (k int, n bigint);
SQL
my $holder = $node->background_psql('postgres');
$holder->query_safe('BEGIN; LOCK TABLE bob.secret IN SHARE UPDATE EXCLUSIVE MODE');
# which takes the lock that a batch takes
$holder->query_safe(q(COMMENT ON VIEW bob.v IS 'held'));
my $waits = "SET lock_timeout = '500 ms';";
refused('mallory', "$waits CREATE VIEW x WITH (streaming.sink = 'bob.secret') AS SELECT k, count(*) AS n FROM s GROUP BY k",
	qr/ERROR:  permission denied for table secret/, 'a sink is not locked by who may not write to it');
refused('mallory', "$waits CREATE VIEW x WITH (streaming.continuous) AS SELECT k, n FROM bob.v",
	qr/ERROR:  permission denied for view v/, 'nor a view by who may not read it');
refused('mallory', "$waits SELECT streaming.reset('bob.v')", qr/ERROR:  must be owner of view v/,
	'nor reset by who does not own it');
refused('mallory', "$waits SELECT streaming.drain('bob.v')", qr/ERROR:  permission denied for view v/,
	'nor waited for by who may not read it');
refused('mallory', "$waits ALTER VIEW bob.v SET (streaming.enabled = off)", qr/ERROR:  must be owner of view v/,
	'nor paused by who does not own it');
refused('mallory', "$waits SELECT streaming.reset('pg_catalog.pg_class')", qr/ERROR:  "pg_class" is not a continuous view/,
	'what is no view is not locked either');
$holder->quit;
# Who may lock a table of the extension in a mode that writers wait for stops them all.
is((as('mallory', <<'SQL'))[1], '', 'no table of the extension is locked by who may only read it');
DO $$
DECLARE t regclass;
BEGIN
	FOR t IN SELECT oid FROM pg_class WHERE relkind IN ('r', 'v', 'p')
		AND relnamespace IN ('streaming'::regnamespace, 'streaming_internal'::regnamespace)
	LOOP
		BEGIN
			EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE NOWAIT', t);
			RAISE NOTICE '% is locked', t;
		EXCEPTION WHEN insufficient_privilege THEN NULL;
		END;
	END LOOP;
END
$$;
SQL
nobody_got_in('locks');

# --- who may wait, and who is waited for -----------------------------------------------

do_as('bob', <<'SQL');
GRANT SELECT ON v TO mallory;
CREATE VIEW by_hand WITH (streaming.trigger = 'manual') AS SELECT k, count(*) AS n FROM s GROUP BY k;
GRANT SELECT ON by_hand TO mallory;
INSERT INTO s VALUES (1);
SQL
like((as('mallory', "SELECT streaming.drain('bob.v', '1 min')"))[0], qr/^\d+$/, 'who may read a view may wait for it');
refused('mallory', "SELECT streaming.drain('bob.by_hand', '1 min')", qr/must be owner of view "by_hand"/,
	'but not say when one runs that is run by hand');
refused('mallory', "SELECT streaming.reset('bob.v')", qr/must be owner/, 'nor reset it');

# A view over another's view is not in the way of its reset.
do_as('mallory', <<'SQL');
CREATE TABLE grabbed (n bigint PRIMARY KEY, m bigint);
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM mallory.seize('refuse'); RAISE EXCEPTION 'I do not let go'; END $$;
CREATE TRIGGER t BEFORE DELETE ON grabbed FOR EACH STATEMENT EXECUTE FUNCTION refuse();
CREATE VIEW over WITH (streaming.sink = 'grabbed', streaming.output_mode = 'update') AS SELECT n, count(*) AS m FROM bob.v GROUP BY n;
SQL
drain($node, 'mallory.over');
my $rows = do_as('bob', 'SELECT sum(n) FROM v');
my ($out, $err) = as('bob', "SELECT streaming.reset('v', force => true)");
unlike($err, qr/ERROR/, 'the owner resets a view that another role reads');
ok(wait_for($node, q(SELECT last_error FROM streaming.views WHERE view = 'mallory.over'::regclass), qr/I do not let go/),
	'the other view begins again by itself, with its own troubles');
do_as('mallory', 'DROP TRIGGER t ON grabbed');
ran_as_mallory('refuse');
is(join(' ', grep { /client backend/ } keys %{ seen()->{refuse} }), '', 'triggers of others do not run in the command');
drain($node, 'mallory.over');
is(do_as('mallory', 'SELECT * FROM grabbed ORDER BY n'), do_as('mallory', 'SELECT n, count(*) FROM bob.v GROUP BY n ORDER BY n'), 'the view over it is right again');
do_as('mallory', 'DROP VIEW over');

# Nor is one in the way of changes of the stream that do not concern it.
do_as('bob', <<'SQL');
CREATE FOREIGN TABLE timed (k int, at timestamptz OPTIONS (watermark '0')) SERVER streaming;
GRANT SELECT ON timed TO mallory;
SQL
do_as('mallory', <<'SQL');
CREATE TABLE mood_now (bad boolean);
CREATE FUNCTION moody() RETURNS int IMMUTABLE LANGUAGE plpgsql AS
	$$ BEGIN IF EXISTS (SELECT FROM mallory.mood_now) THEN RAISE EXCEPTION 'not today'; END IF; RETURN 0; END $$;
CREATE VIEW of_timed WITH (streaming.continuous) AS
	SELECT streaming.tumble(at, make_interval(secs => 10 + mallory.moody())) AS w, count(*) AS n FROM bob.timed GROUP BY 1;
INSERT INTO mood_now VALUES (true);
SQL
do_as('bob', 'ALTER FOREIGN TABLE timed ADD COLUMN more int; ALTER FOREIGN TABLE timed RENAME COLUMN k TO l');
pass('a view that cannot be compiled does not keep its stream from being altered');
nobody_got_in('who may wait');

# --- a superuser becomes the owner -------------------------------------------------------

do_as('mallory', 'CREATE VIEW gift WITH (streaming.continuous) AS SELECT k, count(*) + mallory.spy(\'gift\') AS n FROM s GROUP BY k');
drain($node, 'mallory.gift');
do_as('mallory', <<'SQL');
CREATE TABLE gifts (n bigint PRIMARY KEY, m bigint);
CREATE FUNCTION on_gift() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM mallory.seize('gift'); RETURN NULL; END $$;
CREATE TRIGGER t AFTER DELETE ON gifts FOR EACH STATEMENT EXECUTE FUNCTION on_gift();
CREATE VIEW with_sink WITH (streaming.sink = 'gifts') AS SELECT n, count(*) AS m FROM output GROUP BY n;
SQL
drain($node, 'mallory.with_sink');
like((boss('ALTER VIEW mallory.gift OWNER TO postgres; ALTER VIEW mallory.with_sink OWNER TO postgres'))[1],
	qr/WARNING:  continuous view "gift" is paused/, 'a view that becomes a superuser\'s is paused');
# what mallory, and its new owner, may still do
do_as('mallory', <<'SQL');
SELECT streaming.explain('gift');
SELECT streaming.reset('output');
ALTER FOREIGN TABLE s ALTER COLUMN at OPTIONS (SET watermark '2 s');
SQL
boss("SELECT streaming.explain('mallory.gift'); SELECT streaming.reset('mallory.output')");
$node->restart;
do_as('mallory', "INSERT INTO s VALUES (1, '2031-01-01')");
drain($node, 'mallory.output');
is($node->safe_psql('postgres', q(SELECT status FROM streaming.views WHERE view = 'mallory.gift'::regclass)), 'paused', 'and does not run');
$node->safe_psql('postgres', 'ALTER VIEW mallory.with_sink OWNER TO mallory; ALTER VIEW mallory.gift OWNER TO mallory; ALTER VIEW mallory.gift SET (streaming.enabled = on)');
drain($node, 'mallory.gift');
ran_as_mallory('gift');
nobody_got_in('a gift');
like((boss('REASSIGN OWNED BY mallory TO bob'))[1], qr/^(?!.*is paused)/s, 'one that becomes another role\'s runs on');
like((boss('REASSIGN OWNED BY bob TO postgres'))[1], qr/WARNING:  continuous view "gift" is paused/, 'REASSIGN OWNED to a superuser pauses');

$node->stop;
done_testing();
