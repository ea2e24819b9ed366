# The parts of a view or a stream are nobody's to change: neither its owner's nor a
# superuser's, by whatever road. What a worker reads is compared before it is believed.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use StreamingTest;
use Test::More;

my $node = new_node('main', 'streaming.retry_max = 200ms', 'wal_level = logical',
	'streaming.buffer_size = 1MB');

$node->safe_psql('postgres', <<'SQL');
CREATE ROLE eve LOGIN;
CREATE ROLE bob LOGIN;
CREATE SCHEMA eve AUTHORIZATION eve;
CREATE SCHEMA bob AUTHORIZATION bob;
GRANT USAGE ON SCHEMA bob TO eve;
SQL

sub as
{
	my ($role, $sql) = @_;

	return $node->psql('postgres', "SET SESSION AUTHORIZATION $role; $sql");
}

sub as_safe
{
	my ($role, $sql) = @_;

	return $node->safe_psql('postgres', "SET SESSION AUTHORIZATION $role; $sql");
}

foreach my $role (qw(bob eve))
{
	as_safe($role, <<SQL);
CREATE TYPE $role.pair AS (x int, y text);
CREATE FOREIGN TABLE $role.s (a int, b text, p $role.pair) SERVER streaming;
CREATE FUNCTION $role.f(r record) RETURNS void LANGUAGE plpgsql AS 'BEGIN END';
CREATE FUNCTION $role.twelve(int,int,int,int,int,int,int,int,int,int,int,int) RETURNS text LANGUAGE sql AS 'SELECT \$1::text';
CREATE VIEW $role.v WITH (streaming.continuous) AS SELECT a, count(*) AS n, string_agg(b, ',' ORDER BY b) AS l FROM $role.s GROUP BY a;
CREATE VIEW $role.over WITH (streaming.continuous) AS SELECT n, count(*) AS keys FROM $role.v GROUP BY n;
CREATE VIEW $role.nested WITH (streaming.continuous) AS SELECT n, count(*) AS m FROM (SELECT a, count(*) AS n FROM $role.s GROUP BY a) x GROUP BY n;
CREATE VIEW $role.told WITH (streaming.foreach = '$role.f') AS SELECT a FROM $role.s;
CREATE VIEW $role.remembered WITH (streaming.sink = 'memory') AS SELECT a, max(b) FROM $role.s GROUP BY a;
CREATE VIEW $role.pairs WITH (streaming.continuous) AS SELECT p, count(*) AS n FROM $role.s GROUP BY p;
INSERT INTO $role.s SELECT i % 5, 'b' || i, ROW(i % 2, 'y'::text)::$role.pair FROM generate_series(1, 20) i;
SQL
	drain($node, "$role.$_") foreach qw(v over nested told remembered pairs);
}

# Of both roles, all there is in the schema, with the columns of each.
my %parts;
foreach (split /\n/, $node->safe_psql('postgres', q{
	SELECT relname, relkind, (SELECT string_agg(quote_ident(attname), ',' ORDER BY attnum) FROM pg_attribute
		WHERE attrelid = c.oid AND attnum > 0)
	FROM pg_class c WHERE relnamespace = 'streaming_internal'::regnamespace AND relkind IN ('r', 'v', 'f') AND relname ~ '_\d' ORDER BY 1}))
{
	my ($name, $kind, $columns) = split /\|/;
	$parts{"streaming_internal.$name"} = [ $kind, split /,/, $columns ];
}
my @kinds = map { my $kind = $_; grep { /\.${kind}_/ } sort keys %parts } qw(result state bag memory definition sink options changes push);
is(scalar(keys %parts), scalar @kinds, 'all kinds of parts are tried');
is($node->safe_psql('postgres', q{SELECT string_agg(DISTINCT relowner::regrole::text, ',') FROM pg_class
	WHERE relnamespace = 'streaming_internal'::regnamespace}),
	$node->safe_psql('postgres', 'SELECT extowner::regrole FROM pg_extension WHERE extname = $$streaming$$'),
	q(all belong to the extension's owner));

# What one may try with a part; %s is the part, %c its first column.
my @roads = (
	'CREATE OR REPLACE RULE "_RETURN" AS ON SELECT TO %s DO INSTEAD SELECT 1 AS %c',
	'CREATE RULE r AS ON INSERT TO %s DO INSTEAD SELECT eve.twelve(1,2,3,4,5,6,7,8,9,10,11,12)',
	'CREATE RULE r AS ON UPDATE TO %s DO ALSO NOTHING',
	'DROP TRIGGER read_only ON %s',
	'CREATE TRIGGER t BEFORE INSERT ON %s FOR EACH STATEMENT EXECUTE FUNCTION suppress_redundant_updates_trigger()',
	'ALTER TABLE %s DISABLE TRIGGER ALL',
	'ALTER TABLE %s ADD COLUMN x int',
	'ALTER TABLE %s DROP COLUMN %c',
	'ALTER TABLE %s ALTER COLUMN %c TYPE text',
	'ALTER TABLE %s ALTER COLUMN %c SET NOT NULL',
	'ALTER TABLE %s ALTER COLUMN %c SET DEFAULT NULL',
	'ALTER TABLE %s ADD CHECK (false)',
	'ALTER TABLE %s RENAME COLUMN %c TO x',
	'ALTER TABLE %s RENAME TO x',
	'ALTER TABLE %s SET SCHEMA eve',
	'ALTER TABLE %s OWNER TO eve',
	'ALTER TABLE %s ENABLE ROW LEVEL SECURITY',
	'ALTER TABLE %s SET UNLOGGED',
	'ALTER TABLE %s INHERIT eve.parent',
	'ALTER TABLE %s CLUSTER ON nothing',
	'ALTER TYPE %s ADD ATTRIBUTE x int',
	'MERGE INTO %s USING (VALUES (1)) v ON false WHEN NOT MATCHED THEN INSERT DEFAULT VALUES',
	'ALTER TABLE %s DEPENDS ON EXTENSION plpgsql',
	'ALTER EXTENSION plpgsql ADD TABLE %s',
	'CREATE TABLE eve.child () INHERITS (%s)',
	'ALTER TABLE eve.parent ATTACH PARTITION %s FOR VALUES IN (1)',
	'ALTER TABLE eve.plain INHERIT %s',
	'CREATE TABLE eve.ref (a int REFERENCES %s)',
	'CREATE TABLE eve.ref (a int, FOREIGN KEY (a) REFERENCES %s (%c))',
	'ALTER TABLE eve.plain ADD FOREIGN KEY (a) REFERENCES %s',
	'CREATE POLICY p ON %s',
	'CREATE STATISTICS eve.st (dependencies) ON %c, "$hash" FROM %s',
	'CREATE UNIQUE INDEX ON %s (%c)',
	q(COMMENT ON COLUMN %s.%c IS 'mine'),
	q(SECURITY LABEL ON TABLE %s IS 'mine'),
	'TRUNCATE %s',
	'INSERT INTO %s DEFAULT VALUES',
	'UPDATE %s SET %c = NULL',
	'DELETE FROM %s',
	'COPY %s FROM PROGRAM $$true$$',
	'DROP TABLE %s',
	'DROP TABLE %s CASCADE',
);
# what only a superuser may do
my @tuning = (
	'CREATE INDEX ON %s (%c)', 'ALTER TABLE %s SET (fillfactor = 10)', 'ALTER TABLE %s REPLICA IDENTITY FULL',
	'CREATE PUBLICATION mine FOR TABLE %s', 'LOCK TABLE %s IN EXCLUSIVE MODE', 'ALTER TABLE %s ALTER COLUMN %c SET STATISTICS 1');

as_safe('eve', 'CREATE TABLE eve.plain (a int); CREATE TABLE eve.parent (a int) PARTITION BY LIST (a)');
$node->safe_psql('postgres', <<'SQL');
CREATE FUNCTION public.attempt(sql text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE sql;
	RAISE EXCEPTION USING ERRCODE = 'XX999';
EXCEPTION WHEN SQLSTATE 'XX999' THEN
	RETURN 'it was done';
WHEN OTHERS THEN
	RETURN CASE WHEN sqlstate = 'XX000' THEN sqlerrm END;
END $$;
SQL
foreach my $role (qw(eve postgres))
{
	my @attempts;

	foreach my $part (@kinds)
	{
		my ($kind, $column) = @{ $parts{$part} };

		foreach my $road (@roads, $role eq 'eve' ? @tuning : ())
		{
			my $sql = $road =~ s/%s/$part/gr =~ s/%c/$column/gr;

			# a superuser's INSERT into the stream
			next if $kind eq 'v' && $sql =~ /^INSERT/ && $role eq 'postgres';
			$sql =~ s/TABLE(?= streaming_internal)/VIEW/ if $kind eq 'v' && $sql =~ /^(DROP|COMMENT|SECURITY|ALTER TABLE \S+ (RENAME|SET SCHEMA|OWNER|SET|ALTER))/;
			$sql =~ s/TABLE(?= streaming_internal)/FOREIGN TABLE/ if $kind eq 'f' && $sql =~ /^DROP/;
			push @attempts, $sql;
		}
	}
	my $script = join "\n", 'SET client_min_messages = error;',
		map { "SELECT \$road\$$_: \$road\$ || done FROM public.attempt(\$road\$$_\$road\$) done WHERE done IS NOT NULL;" } @attempts;
	is(as_safe($role, $script), '', "$role can change no part");
}

# A superuser is told whose part it is, and what to do.
my ($result) = grep { $parts{$_}[0] eq 'r' } @kinds;
my ($state) = grep { /\.state_/ } @kinds;
like((as('postgres', "ALTER TABLE $result ADD CHECK (false)"))[2],
	qr/cannot alter "result_\d+", which belongs to "\w+".*HINT:  Batches check no constraints.*streaming\.sink/s, 'the hint of a constraint');
like((as('postgres', "CREATE TABLE eve.ref (a int REFERENCES $result)"))[2], qr/HINT:  Refer to a table of yours/, 'of a foreign key');
like((as('postgres', "ALTER TABLE $result RENAME TO x"))[2], qr/HINT:  Alter "\w+" instead/, 'of anything else');
like((as('postgres', 'TRUNCATE ' . (grep { /\.push_/ } @kinds)[0]))[2], qr/cannot change rows of stream|cannot change continuous view/, 'rows that wait are safe');
$node->safe_psql('postgres', "ALTER TABLE $result SET (fillfactor = 90); ALTER TABLE $state SET (autovacuum_enabled = off);
	CREATE INDEX by_hand ON $result ($parts{$result}[1]); DROP INDEX streaming_internal.by_hand;
	ALTER TABLE $result SET TABLESPACE pg_default");
pass('tuning is allowed');

# On the views, what would never act is refused with what would.
foreach my $road ('CREATE TRIGGER t INSTEAD OF INSERT ON bob.v FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()',
	'CREATE RULE r AS ON INSERT TO bob.v DO INSTEAD NOTHING', 'ALTER VIEW bob.v ALTER COLUMN n SET DEFAULT 1',
	'CREATE OR REPLACE RULE "_RETURN" AS ON SELECT TO bob.v DO INSTEAD SELECT 1 AS a, 2::bigint AS n, NULL::text AS l')
{
	like((as('bob', $road))[2], qr/continuous views do not support.*HINT:.*streaming\.sink/s, $road);
}

# Reading: the definition of a view, the changes of one, and what belongs to others.
foreach my $sql ((map { "SELECT * FROM $_" } grep { /\.(definition|sink|changes)_/ } @kinds))
{
	like((as('eve', $sql))[2], qr/permission denied|cannot read/, $sql);
}
my ($bobs) = grep { /\.result_/ } @kinds;
like((as('eve', "TABLE $bobs"))[2], qr/permission denied/, q(a result is its owner's));
is((as('bob', "TABLE $bobs"))[2], '', 'who may read it, for pg_dump');

# The row type of a part in a table of somebody else's keeps nobody from going on.
as_safe('eve', "CREATE TABLE eve.typed (r $bobs); CREATE TABLE eve.pushed (r " . (grep { /\.push_/ } @kinds)[0] . ")");
drain($node, "bob.$_") foreach qw(v over nested told remembered pairs);
as_safe('bob', q(SELECT streaming.reset('bob.v', force => true)));
as_safe('bob', 'ALTER FOREIGN TABLE bob.s ADD COLUMN extra int');
as_safe('bob', q(INSERT INTO bob.s VALUES (1, 'x', (1, 'y'), 7)));
drain($node, "bob.v");
like((as('bob', 'DROP VIEW bob.v CASCADE'))[2], qr/drop cascades to/, 'DROP ... CASCADE goes through');
as_safe('bob', q(CREATE VIEW bob.v WITH (streaming.continuous) AS SELECT a, count(*) AS n FROM bob.s GROUP BY a));
drain($node, 'bob.v');

# Who reads a view of another's: only while the right is there.
as_safe('eve', 'DROP VIEW eve.v CASCADE');
like((as('eve', 'CREATE VIEW eve.above WITH (streaming.continuous) AS SELECT n, count(*) AS keys FROM bob.v GROUP BY n'))[2],
	qr/permission denied for view v/, 'SELECT is needed');
as_safe('bob', 'GRANT SELECT ON bob.v TO eve');
as_safe('eve', 'CREATE VIEW eve.above WITH (streaming.continuous) AS SELECT n, count(*) AS keys FROM bob.v GROUP BY n');
my $batch = 'SELECT n, count(*) AS keys FROM bob.v GROUP BY n';
drain($node, 'eve.above');
same_as_batch($node, 'eve.above', $batch, 'a view of another role over mine');
as_safe('bob', q(REVOKE SELECT ON bob.v FROM eve; INSERT INTO bob.s VALUES (77)));
ok(wait_for($node, q(SELECT status || ' ' || last_error FROM streaming.views WHERE view = 'eve.above'::regclass), 'retrying permission denied for view v'),
	'REVOKE stops it');
is($node->safe_psql('postgres', q(SELECT sum(keys) FROM eve.above)), 5, 'and it shows nothing new');
as_safe('bob', q(GRANT SELECT ON bob.v TO eve));
drain($node, 'eve.above');
same_as_batch($node, 'eve.above', $batch, 'GRANT lets it go on');

# A new owner does not get by it what he may not read.
$node->safe_psql('postgres', 'CREATE ROLE carol; GRANT USAGE ON SCHEMA bob, eve TO carol; ALTER VIEW eve.above OWNER TO carol; INSERT INTO bob.s VALUES (78)');
ok(wait_for($node, q(SELECT status || ' ' || last_error FROM streaming.views WHERE view = 'eve.above'::regclass), 'retrying permission denied for view v'),
	'an owner who may not read the view below');
my $readers = q{SELECT string_agg(DISTINCT a.grantee::regrole::text, ',') FROM streaming_internal.continuous_view v
	JOIN pg_depend d ON d.refobjid = v.view AND d.deptype = 'i' AND d.classid = 'pg_class'::regclass
	JOIN pg_class c ON c.oid = d.objid AND relkind IN ('r', 'v'), aclexplode(relacl) a WHERE a.grantee <> relowner AND v.view = '%s'::regclass};
is($node->safe_psql('postgres', sprintf($readers, 'eve.above')), 'carol', 'parts are read by the new owner alone');
is((as('carol', 'TABLE eve.above'))[2], '', 'who reads the view');
$node->safe_psql('postgres', 'GRANT carol TO eve; REASSIGN OWNED BY carol TO eve');
is($node->safe_psql('postgres', sprintf($readers, 'eve.above')), 'eve', 'REASSIGN OWNED moves rights, too');
$node->safe_psql('postgres', 'DROP OWNED BY carol; DROP ROLE carol');
drain($node, 'eve.above');
same_as_batch($node, 'eve.above', $batch, 'and the view goes on');
$node->safe_psql('postgres', 'ALTER FOREIGN TABLE bob.s OWNER TO eve; ALTER FOREIGN TABLE bob.s OWNER TO bob');

# Rights that are given by default are not given on parts.
$node->safe_psql('postgres', 'ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO eve');
as_safe('bob', 'CREATE VIEW bob.later WITH (streaming.continuous) AS SELECT a, count(*) FROM bob.s GROUP BY a');
is($node->safe_psql('postgres', sprintf($readers, 'bob.later')), 'bob', 'nor by default privileges');
$node->safe_psql('postgres', 'ALTER DEFAULT PRIVILEGES REVOKE ALL ON TABLES FROM eve');

# My reset does not wait for the views of others, and they begin again.
as_safe('eve', <<'SQL');
CREATE TABLE eve.sink (n bigint PRIMARY KEY, keys bigint);
CREATE FUNCTION eve.no() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION $$no$$; END';
CREATE VIEW eve.sunk WITH (streaming.sink = 'eve.sink') AS SELECT n, count(*) AS keys FROM bob.v GROUP BY n;
SQL
drain($node, 'eve.sunk');
as_safe('eve', 'CREATE TRIGGER no BEFORE DELETE ON eve.sink FOR EACH ROW EXECUTE FUNCTION eve.no()');
is((as('bob', q(SELECT streaming.reset('bob.v', force => true))))[2], '', 'reset of a view that others read');
drain($node, 'bob.v');
drain($node, 'eve.above');
same_as_batch($node, 'eve.above', $batch, 'which begin again');
ok(wait_for($node, q(SELECT last_error FROM streaming.views WHERE view = 'eve.sunk'::regclass), qr/no/), 'whose errors are theirs');
as_safe('eve', 'DROP TRIGGER no ON eve.sink');
drain($node, 'eve.sunk');
same_as_batch($node, 'eve.sunk', $batch, 'until they are mended');

# A view of another role's that is paused does not keep my changes for ever.
my ($id) = $node->safe_psql('postgres', q(SELECT id FROM streaming_internal.continuous_view WHERE view = 'bob.v'::regclass));
my $size = qq(SELECT coalesce(sum(pg_relation_size(c.oid)), 0) FROM pg_class c WHERE relname ~ ('^push_[0-9]+_' || 'streaming_internal.changes_$id'::regclass::oid || '_'));
as_safe('eve', 'ALTER VIEW eve.above SET (streaming.enabled = off)');
as_safe('eve', 'DROP VIEW eve.sunk');
foreach my $round (1 .. 12)
{
	as_safe('bob', "INSERT INTO bob.s (a) SELECT i % 5000 FROM generate_series(1, 5000) i");
	drain($node, 'bob.v');
}
ok(wait_for($node, "SELECT ($size) < 2 * 1024 * 1024"), 'a paused view of another role holds a limited number of changes');
as_safe('eve', 'ALTER VIEW eve.above SET (streaming.enabled = on)');
drain($node, 'eve.above');
same_as_batch($node, 'eve.above', $batch, 'and loads the view anew when it is resumed');
as_safe('bob', q(INSERT INTO bob.s (a) VALUES (1), (90000)));
drain($node, 'bob.v');
drain($node, 'eve.above');
same_as_batch($node, 'eve.above', $batch, 'and goes on');

# Types below the keys.
like((as('bob', 'ALTER TYPE bob.pair ADD ATTRIBUTE z int'))[2], qr/cannot change the columns of "pair"/,
	'a composite type of a key gets no attributes');
as_safe('bob', q(INSERT INTO bob.s (p) VALUES ((1, 'new')), (NULL)));
drain($node, 'bob.pairs');
is($node->safe_psql('postgres', q(SELECT n FROM bob.pairs WHERE (p).y = 'new')), 1, 'and goes on');
like((as('bob', 'ALTER TYPE bob.pair ALTER ATTRIBUTE x TYPE text'))[2], qr/cannot alter type "pair"/, 'and change none');
like((as('bob', 'DROP TYPE bob.pair'))[2], qr/other objects depend on it/, 'nor go');

# The owner of a database dumps all of it; a copy has the same rights, whatever is granted by default there.
$node->safe_psql('postgres', 'CREATE DATABASE own OWNER bob');
$node->safe_psql('own', 'CREATE EXTENSION streaming; GRANT CREATE ON SCHEMA public TO bob');
$node->safe_psql('own', <<'SQL');
SET SESSION AUTHORIZATION bob;
CREATE FOREIGN TABLE s (a int, b text) SERVER streaming;
CREATE VIEW v WITH (streaming.continuous) AS SELECT a, count(*) AS n, string_agg(b, ',' ORDER BY b) AS l FROM s GROUP BY a;
CREATE VIEW over WITH (streaming.continuous) AS SELECT n, count(*) AS keys FROM v GROUP BY n;
INSERT INTO s VALUES (1, 'x'), (1, 'y'), (2, 'z');
SQL
$node->safe_psql('own', "SELECT streaming.drain('$_', '$deadline s')") foreach qw(v over);
my $dump = $node->basedir . '/own.sql';
command_ok([ 'pg_dump', '--enable-row-security', '-U', 'bob', '-f', $dump, '-d', $node->connstr('own') ], 'pg_dump by the owner');
$node->safe_psql('postgres', 'CREATE DATABASE copy; CREATE DATABASE clone TEMPLATE own');
$node->safe_psql('copy', 'ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO eve');
command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-d', $node->connstr('copy'), '-f', $dump ], 'restore');
foreach my $database (qw(copy clone))
{
	$node->safe_psql($database, "INSERT INTO s VALUES (2, 'a')");
	$node->safe_psql($database, "SELECT streaming.drain('$_', '$deadline s')") foreach qw(v over);
	is($node->safe_psql($database, 'SET SESSION AUTHORIZATION bob; SELECT * FROM v ORDER BY a'), "1|2|x,y\n2|2|a,z", "views go on, in a $database");
	is($node->safe_psql($database, 'SET SESSION AUTHORIZATION bob; SELECT * FROM over'), '2|2', 'also those over them');
	is($node->safe_psql($database, q{SELECT string_agg(DISTINCT relowner::regrole || ' ' || coalesce(grantee::regrole::text, '') || ' ' || relkind::text, ', ')
		FROM pg_class LEFT JOIN LATERAL aclexplode(relacl) a ON grantee <> relowner
		WHERE relnamespace = 'streaming_internal'::regnamespace AND relkind IN ('r', 'v', 'f') AND relname ~ '_\d'}),
		$node->safe_psql('own', q{SELECT string_agg(e.extowner::regrole || x, ', ') FROM pg_extension e, unnest(ARRAY['  v', ' - f', ' bob r']) x WHERE extname = 'streaming'}),
		'and with the same rights');
	$node->safe_psql('postgres', "DROP DATABASE $database");
}

# What is published.
$node->safe_psql('postgres', q(CREATE PUBLICATION everything FOR ALL TABLES; SELECT pg_create_logical_replication_slot('slot', 'pgoutput')));
as_safe('bob', q(INSERT INTO bob.s (a) VALUES (1), (2)));
drain($node, $_) foreach qw(bob.v eve.above bob.remembered bob.pairs);
same_as_batch($node, 'bob.v', 'SELECT a, n FROM bob.v', 'views run on with a publication of all tables');
cmp_ok($node->safe_psql('postgres', q(SELECT count(*) FROM pg_logical_slot_get_binary_changes('slot', NULL, NULL, 'proto_version', '1', 'publication_names', 'everything'))),
	'>', 0, 'which has the changes');
as_safe('bob', q(SELECT streaming.reset('bob.v', force => true)));
drain($node, 'bob.v');
$node->safe_psql('postgres', q(INSERT INTO streaming.rejected_rows (stream, partition, position, error) VALUES ('bob.s', '0', '0', 'x'); DELETE FROM streaming.rejected_rows));
my $published = $node->safe_psql('postgres', q(SELECT result FROM streaming_internal.continuous_view WHERE view = 'bob.v'::regclass));
like(($node->psql('postgres', "CREATE PUBLICATION one FOR TABLE $published"))[2],
	qr/WARNING:  .*subscribers cannot apply updates and deletes of "result_\d+".*HINT:  Run ALTER TABLE $published REPLICA IDENTITY FULL/s,
	'publishing a result says what it needs');
is(($node->psql('postgres', "ALTER TABLE $published REPLICA IDENTITY FULL; ALTER PUBLICATION one SET TABLE $published"))[2], '', 'which can be done');
$node->safe_psql('postgres', q(SELECT pg_drop_replication_slot('slot')));

# Should it be done all the same, as by a superuser's function with the rights of its
# owner, or while the library was not loaded: an error, and no crash.
$node->safe_psql('postgres', <<'SQL');
CREATE FUNCTION public.damage(sql text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
	EXECUTE sql;
END $$;
CREATE TABLE public.parent (a int, n bigint, m numeric, "$s2" bytea, "$hash" bigint) PARTITION BY LIST (a);
CREATE TABLE public.ancestor (a int);
SQL
my $started = $node->safe_psql('postgres', 'SELECT pg_postmaster_start_time()');
my %made = (
	agg => "WITH (streaming.continuous) AS SELECT a, count(*) AS n, avg(a) AS m FROM bob.s WHERE b = 'z' GROUP BY a",
	empty => "WITH (streaming.continuous) AS SELECT a, count(*) AS n, avg(a) AS m FROM bob.s WHERE b = 'never' GROUP BY a",
	tells => "WITH (streaming.foreach = 'bob.f', streaming.foreach_open = 'bob.open') AS SELECT a FROM bob.s",
	closed => "WITH (streaming.sink = 'memory') AS SELECT a, count(*) AS n FROM bob.s GROUP BY a");
as_safe('bob', q(CREATE FUNCTION bob.open(bigint, bigint) RETURNS boolean LANGUAGE sql AS 'SELECT true'));
foreach my $case (
	[ 'agg', 'ALTER TABLE %r ALTER COLUMN "$s2" TYPE int8 USING 1', 'does not fit|do(es)? not exist' ],
	[ 'agg', 'ALTER TABLE %r RENAME COLUMN n TO other', 'does not fit' ],
	[ 'agg', 'ALTER TABLE %r DROP COLUMN "$hash", ADD COLUMN "$hash" int8', 'do not fit' ],
	[ 'empty', q(DROP TRIGGER read_only ON %r; UPDATE pg_class SET relhastriggers = false WHERE oid = '%r'::regclass; CREATE RULE "_RETURN" AS ON SELECT TO %r DO INSTEAD SELECT 1 AS a, 2::bigint AS n, 3::numeric AS m, '{1,1}'::bigint[] AS "$s2", 4::bigint AS "$hash"), 'does not fit' ],
	[ 'agg', 'CREATE RULE r AS ON INSERT TO %r DO INSTEAD NOTHING', 'has been altered' ],
	[ 'agg', 'DROP TRIGGER read_only ON %r', 'has been altered' ],
	[ 'agg', 'ALTER TABLE %r DISABLE TRIGGER read_only', 'has been altered' ],
	[ 'agg', 'CREATE TRIGGER t AFTER INSERT ON %r FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()', 'has been altered' ],
	[ 'agg', 'ALTER TABLE %r OWNER TO bob', 'has been altered' ],
	[ 'agg', 'ALTER TABLE %r ENABLE ROW LEVEL SECURITY', 'has been altered' ],
	[ 'agg', 'ALTER TABLE %r ADD CHECK (n > 0)', 'has been altered' ],
	[ 'agg', 'ALTER TABLE %r ALTER COLUMN n SET DEFAULT 1', 'has been altered' ],
	[ 'agg', 'ALTER TABLE %r INHERIT public.ancestor', 'has been altered' ],
	[ 'agg', 'CREATE TABLE public.heir () INHERITS (%r)', 'has been altered' ],
	[ 'agg', 'ALTER TABLE %r SET UNLOGGED', 'has been altered' ],
	[ 'closed', 'ALTER TABLE %r SET LOGGED', 'has been altered' ],
	[ 'agg', 'CREATE OR REPLACE RULE "_RETURN" AS ON SELECT TO %d DO INSTEAD SELECT a % 1000 AS a, bit_or(a)::bigint + 0 AS n, max(a) + 0.0 AS m FROM bob.s GROUP BY a % 1000', 'not fit' ],
	[ 'tells', 'CREATE OR REPLACE RULE "_RETURN" AS ON SELECT TO %f DO INSTEAD SELECT eve.twelve(1,2,3,4,5,6,7,8,9,10,11,12) IS NULL AS "foreach", bob.open(0, 0) IS NULL AS open', 'names a function that does not take' ],
	[ 'tells', q(CREATE OR REPLACE RULE "_RETURN" AS ON SELECT TO %f DO INSTEAD SELECT bob.f(NULL::record) IS NULL AS "foreach", length('x') IS NULL AS open), 'names a function that does not take' ],
	[ 'tells', q(CREATE OR REPLACE RULE "_RETURN" AS ON SELECT TO %f DO INSTEAD SELECT generate_series(1, 2) IS NULL AS "foreach", false AS open), 'names a function that does not take|names no function' ])
{
	my ($view, $damage, $error) = @$case;

	as_safe('bob', "CREATE VIEW bob.$view $made{$view}");
	drain($node, "bob.$view");
	my ($id, $result) = split /\|/, $node->safe_psql('postgres', "SELECT id, result FROM streaming_internal.continuous_view WHERE view = 'bob.$view'::regclass");
	$damage =~ s/%r/$result/g;
	$damage =~ s/%([df])/'streaming_internal.' . ($1 eq 'd' ? 'definition' : 'sink') . "_$id"/ge;
	as_safe('bob', "ALTER VIEW bob.$view SET (streaming.enabled = off)");
	my ($ret, undef, $err) = as('postgres', "SELECT public.damage(\$damage\$$damage\$damage\$)");
	is($err =~ /cannot have ON SELECT rules/ ? '' : $err, '', "done: $damage");
	# refused where the row of the view cannot be right any more
	my $resumed = (as('bob', "ALTER VIEW bob.$view SET (streaming.enabled = on)"))[2];
	as_safe('bob', q(INSERT INTO bob.s (a, b) VALUES (1, 'z')));
	ok($err || $resumed =~ /has a wrong value in column "result"/ || wait_for($node, "SELECT last_error FROM streaming.views WHERE view = 'bob.$view'::regclass", qr/$error/), 'is seen');
	as_safe('bob', "DROP VIEW bob.$view CASCADE");
}
is($node->safe_psql('postgres', 'SELECT pg_postmaster_start_time()'), $started, 'the server has not crashed');
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/terminated by signal|crash of another/, 'nor has a process of it');

$node->stop;
done_testing();
