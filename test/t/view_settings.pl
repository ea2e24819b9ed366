# Settings that change a result: a view keeps those it was made with, whatever the
# server, its readers and other views have; records of a stream are read with the
# stream's.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use StreamingTest;
use Test::More;

my $node = new_node('main', 'streaming.scan_interval = 200ms', "timezone = 'America/New_York'",
	'streaming.query_workers = 1', 'streaming.retry_max = 1s');
my $dir = $node->basedir . '/landing';
mkdir $dir;

sub sql { return $node->safe_psql('postgres', join '; ', @_); }

# Every function of the query depends on a setting.
my $query = q{SELECT id, at::date AS day, date_trunc('day', at)::text AS midnight, at::text AS shown, (at - '2026-01-01 00:00+00')::text AS since,
	f::text AS float, b::text AS bytes, m::text AS money, to_char(f, 'FM9D99') AS number, to_char(at, 'TMMonth') AS month,
	to_tsvector(t)::text AS words, day::timestamptz = '2026-07-01 00:00+05:30' AS indian, (arr)::text[] AS parts,
	xmlelement(name x, b)::text AS x, ('2026-0' || id % 9 + 1 || '-11')::date::text AS text_date, ('01/0' || id % 9 + 1 || '/2026')::date - '2026-01-01'::date AS styled
	FROM s};
my $their = q{SET timezone = 'Asia/Kolkata'; SET datestyle = 'SQL, DMY'; SET intervalstyle = 'iso_8601'; SET extra_float_digits = -12;
	SET bytea_output = 'escape'; SET xmlbinary = 'hex'; SET default_text_search_config = 'pg_catalog.english'; SET array_nulls = off};
my $rows = q{INSERT INTO s SELECT i, '2026-06-30 20:00:00+00'::timestamptz + i * interval '1 hour', 1.0 / 3, '\x00ff', 12.5, 'the running cats', '2026-07-01',
	'{a,NULL}' FROM generate_series(%d, %d) i};

sql(q(CREATE FOREIGN TABLE s (id int, at timestamptz, f float8, b bytea, m money, t text, day date, arr text) SERVER streaming));
sql($their, "CREATE VIEW theirs WITH (streaming.continuous) AS $query",
	q(CREATE VIEW days WITH (streaming.continuous) AS SELECT date_trunc('day', at) AS day, count(*) AS n, max(at::text) AS last, max(f::text) AS f FROM s GROUP BY 1),
	q(CREATE VIEW over WITH (streaming.continuous) AS SELECT day::text, n FROM days));
sql("CREATE VIEW ours WITH (streaming.continuous) AS $query");
sql("CREATE VIEW said WITH (streaming.timezone = 'Asia/Kolkata', streaming.datestyle = 'SQL, DMY') AS SELECT id, at::text AS shown, at::date::text AS day FROM s");
sql(sprintf $rows, 1, 4);
drain($node, $_) foreach qw(theirs days over ours said);

sub same
{
	my ($view, $settings, $query, $said) = @_;
	my $list = q(SELECT string_agg(x::text, E'\n' ORDER BY x::text) FROM (%s) x);

	# what a batch query in that session gives, and what the view shows, as read by one and the same session
	is(sql($settings, "CREATE TEMP TABLE expected AS $query", 'RESET ALL', sprintf $list, 'SELECT * FROM expected'),
		sql(sprintf $list, "SELECT * FROM $view"), $said);
	return;
}

my $days = q(SELECT date_trunc('day', at) AS day, count(*) AS n, max(at::text) AS last, max(f::text) AS f FROM s GROUP BY 1);
my $ours = q(SET timezone = 'America/New_York'; SET datestyle = 'ISO, MDY'; SET intervalstyle = 'postgres'; SET extra_float_digits = 1; SET bytea_output = 'hex');

sub all_same
{
	my ($when) = @_;

	drain($node, $_) foreach qw(theirs days over ours said);
	same('theirs', $their, $query, "$when: the creator's settings count");
	same('ours', $ours, $query, "$when: in another view of the same worker those of its creator");
	same('days', $their, $days, "$when: in keys and aggregates, too");
	same('over', $their, q(SELECT date_trunc('day', at)::text, count(*) FROM s GROUP BY 1), "$when: and above them");
	same('said', q(SET timezone = 'Asia/Kolkata'; SET datestyle = 'SQL, DMY'), 'SELECT id, at::text AS shown, at::date::text AS day FROM s', "$when: options count");
	return;
}

isnt(sql('SELECT shown FROM theirs WHERE id = 1'), sql('SELECT shown FROM ours WHERE id = 1'), 'the settings make a difference');
all_same('at first');

$node->append_conf('postgresql.conf', "timezone = 'Pacific/Auckland'\ndatestyle = 'German, DMY'\nintervalstyle = 'sql_standard'\nextra_float_digits = 0\nbytea_output = 'escape'");
$node->reload;
ok(wait_for($node, 'SHOW timezone', 'Pacific/Auckland'), 'the server has other settings now');
sql(sprintf $rows, 5, 8);
all_same('after a reload');
sql(q(SELECT streaming.reset('days')), q(SELECT streaming.reset('theirs')));
all_same('after a reset');
$node->restart;
sql(sprintf $rows, 9, 9);
all_same('after a restart');

# They are shown, dumped, and may be changed.
like(sql(q(SELECT settings FROM streaming.views WHERE view = 'theirs'::regclass)), qr/TimeZone=Asia\/Kolkata.*DateStyle=SQL, DMY/, 'streaming.views shows them');
like(sql(q(SELECT streaming.viewdef('said'))), qr/streaming\.timezone = 'Asia\/Kolkata', streaming\.datestyle = 'SQL, DMY'/, 'so does streaming.viewdef');
unlike(sql(q(SET timezone = 'Asia/Kolkata'; SELECT streaming.viewdef('said'))), qr/streaming\.timezone/, 'but for those that the session has');
my $definition = sql(q(SELECT streaming.viewdef('theirs')));
sql('DROP VIEW theirs', $definition, 'DROP VIEW theirs', $definition);
drain($node, 'theirs');
is(sql(q(SELECT count(*) FROM theirs)), 9, 'which makes the same view again');
same('theirs', $their, $query, 'with the same settings');

my $dump = $node->basedir . '/dump.sql';
command_ok([ 'pg_dump', '-f', $dump, '-d', $node->connstr('postgres') ], 'pg_dump');
sql('CREATE DATABASE copy');
command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-d', $node->connstr('copy'), '-f', $dump ], 'restore');
my $settings = q(SELECT view, settings FROM streaming.views ORDER BY view::text);
is($node->safe_psql('copy', $settings), sql($settings), 'a dump has the settings');
$node->safe_psql('copy', sprintf("$rows; SELECT streaming.drain('said', '60 s')", 20, 20));
like($node->safe_psql('copy', 'SELECT shown FROM said WHERE id = 20'), qr/^01\/07\/2026 21:30:00 IST$/, 'which count in the restored database');
sql('DROP DATABASE copy');

my $error;
(undef, undef, $error) = $node->psql('postgres', q(CREATE VIEW bad WITH (streaming.timezone = 'Mars/Phobos') AS SELECT id FROM s));
like($error, qr/invalid value for parameter "TimeZone": "Mars\/Phobos"/, 'a value must be valid');
foreach my $other (qw(search_path role session_authorization work_mem statement_timeout session_replication_role))
{
	(undef, undef, $error) = $node->psql('postgres', "CREATE VIEW bad WITH (streaming.$other = '1') AS SELECT id FROM s");
	like($error, qr/unrecognized option "streaming\.$other"/, "$other is no option");
}
sql(q(ALTER VIEW said SET (streaming.timezone = 'UTC')), sprintf $rows, 30, 30);
drain($node, 'said');
is(sql(q(SELECT shown FROM said WHERE id IN (1, 30) ORDER BY id)), "01/07/2026 02:30:00 IST\n02/07/2026 02:00:00 UTC", 'ALTER VIEW changes it for what comes');
sql(q(SET timezone = 'Europe/Madrid'; ALTER VIEW said RESET (streaming.timezone)));
like(sql(q(SELECT settings FROM streaming.views WHERE view = 'said'::regclass)), qr/TimeZone=Europe\/Madrid/, 'RESET takes the value of the session');

# A value that was valid once.
sql(q(UPDATE streaming_internal.continuous_view SET settings = array_replace(settings, 'TimeZone=Europe/Madrid', 'TimeZone=Mars/Phobos'), generation = generation + 1
	WHERE view = 'said'::regclass), sprintf $rows, 31, 31);
ok(wait_for($node, q(SELECT last_error FROM streaming.views WHERE view = 'said'::regclass), qr/invalid value for parameter "TimeZone": "Mars\/Phobos"/), 'is an error of the view');
(undef, undef, $error) = $node->psql('postgres', q(SELECT streaming.drain('said', '20 s')));
like($error, qr/Mars.*HINT/s, 'that drain tells');
drain($node, 'ours');
sql(q(ALTER VIEW said SET (streaming.timezone = 'UTC')));
drain($node, 'said');
is(sql(q(SELECT count(*) FROM said WHERE id = 31)), 1, 'and that ALTER VIEW mends');

# What is no setting that is kept is not set, whoever has written it there.
sql(q(UPDATE streaming_internal.continuous_view SET settings = settings || ARRAY['session_replication_role=replica'] WHERE view = 'said'::regclass));
(undef, undef, $error) = $node->psql('postgres', q(SELECT streaming.drain('said', '5 s')));
like($error, qr/wrong value in column "settings"/, 'another setting is damage');
sql(q(UPDATE streaming_internal.continuous_view SET settings = array_remove(settings, 'session_replication_role=replica'), generation = generation + 1));

# --- streams ----------------------------------------------------------------

sql("CREATE SERVER landing FOREIGN DATA WRAPPER directory OPTIONS (path '$dir')",
	q(CREATE FOREIGN TABLE plain (at timestamptz, day date, gap interval, cost money) SERVER landing OPTIONS (path '*.json')),
	q(CREATE FOREIGN TABLE there (at timestamptz, day date) SERVER landing OPTIONS (path '*.csv', format 'csv', timezone 'Europe/Berlin', datestyle 'DMY')));
put_file($dir, 'a.json', qq({"at": "2026-07-01 12:00:00", "day": "03/04/2026", "gap": "-1 2:00", "cost": "1234.50"}\n));
put_file($dir, 'a.csv', "01.07.2026 12:00,03/04/2026\n");
sql($their, q(CREATE VIEW from_plain WITH (streaming.continuous) AS SELECT at, day, gap, cost FROM plain),
	q(CREATE VIEW from_there WITH (streaming.continuous) AS SELECT at, day FROM there));
sub as_utc
{
	my ($set, $relation) = @_;

	return sql($set, q(CREATE TEMP TABLE r AS SELECT * FROM ) . $relation, 'SET timezone = UTC; SET datestyle = ISO; SET intervalstyle = postgres; SET lc_monetary = "C"',
		'SELECT * FROM r');
}
drain($node, $_) foreach qw(from_plain from_there);
my $plain = '2026-07-01 12:00:00+00|2026-03-04|-1 days +02:00:00|$1,234.50';
my $there = '2026-07-01 10:00:00+00|2026-04-03';
is(as_utc('', 'from_plain'), $plain, 'records are read with fixed settings');
is(as_utc('', 'from_there'), $there, 'or those of the stream');
is(as_utc($their, 'plain'), $plain, 'by a SELECT, too');
is(as_utc($their, 'there'), $there, 'of either');
sql(q(CREATE VIEW again WITH (streaming.continuous) AS SELECT at, day, gap, cost FROM plain));
drain($node, 'again');
is(as_utc('', 'again'), $plain, 'and by a batch that reads the source itself');
(undef, undef, $error) = $node->psql('postgres', q(ALTER FOREIGN TABLE there OPTIONS (SET timezone 'Mars/Phobos')));
like($error, qr/invalid value for parameter "TimeZone": "Mars\/Phobos"/, 'the option must be valid');

$node->stop;
done_testing();
