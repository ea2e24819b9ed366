
# Files in columnar formats: every way to write the same rows, what is read of them, where
# a view goes on in them, and files that are none.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use File::Copy qw(copy);
use StreamingTest;
use Test::More;

my $files = Cwd::abs_path(dirname(__FILE__) . '/../columnar');
my $node = new_node('main', 'streaming.arrow_memory = 32MB', 'streaming.retry_max = 1s', 'timezone = UTC');
my $dir = $node->basedir . '/landing';

sub sql { return $node->safe_psql('postgres', $_[0]) }
sub slurp { return PostgreSQL::Test::Utils::slurp_file("$files/$_[0]") }
sub error_of { my (undef, undef, $stderr) = $node->psql('postgres', $_[0]); return $stderr }
sub rejects { return sql("SELECT count(*), min(error), min(sqlstate) FROM streaming.rejected_rows WHERE stream = '$_[0]'::regclass") }

# Processes of this server that read ORC.
sub readers { return scalar grep { (readlink("/proc/$_/exe") // '') =~ /streaming_orc$/ && (readlink("/proc/$_/cwd") // '') eq $node->data_dir } map { m{(\d+)} } glob '/proc/[0-9]*' }

SKIP:
{
	last SKIP if !$ENV{STREAMING_NO_ARROW};
	sql("CREATE SERVER d FOREIGN DATA WRAPPER directory OPTIONS (path '/tmp')");
	like(error_of(q(CREATE FOREIGN TABLE refused (id int) SERVER d OPTIONS (path 'x', format 'parquet'))),
		qr/formats "parquet", "arrow" and "orc" are not installed.*HINT:  Build streaming where Apache Arrow's C\+\+ library is/s, 'without Arrow');
	$node->stop;
	skip $ENV{STREAMING_NO_ARROW}, 1;
}
if ($ENV{STREAMING_NO_ARROW})
{
	done_testing();
	exit;
}

mkdir $_ foreach $dir, map { "$dir/$_" } qw(types part damaged stop grown);
my $columns = q(id bigint, small int2, u32 bigint, f real, d float8, s text, raw bytea, flag bool, dt date, t time, ts_s timestamp, ts_ms timestamp, ts_us timestamp,
	ts_ns timestamp, tz timestamptz, dec numeric, big numeric, dict text, uid uuid, person jsonb, tags text[], nums int[], m jsonb, deep jsonb);
sql("CREATE TABLE expected ($columns)");
sql("COPY expected FROM '$files/rows'");
is(sql('SELECT count(*) FROM expected'), 7, 'rows are expected');
sql(<<SQL);
CREATE SERVER d FOREIGN DATA WRAPPER directory OPTIONS (path '$dir');
CREATE SERVER f FOREIGN DATA WRAPPER directory OPTIONS (path '$files');
SQL

# Each way to write them.
foreach my $format (qw(parquet arrow))
{
	foreach my $path (glob "$files/types_*.$format")
	{
		my ($name) = $path =~ m{([^/]+)$};

		sql("CREATE FOREIGN TABLE one ($columns, name text OPTIONS (field 'person.name'), city text OPTIONS (field 'person.address.city'), path text OPTIONS (metadata 'path'), line bigint OPTIONS (metadata 'line')) SERVER f OPTIONS (path '$name', format '$format', on_error 'stop')");
		is(sql('(TABLE expected EXCEPT ALL SELECT ' . join(', ', map { (split ' ')[0] } split /,\s*/, $columns) . ' FROM one) UNION ALL (SELECT ' . join(', ', map { (split ' ')[0] } split /,\s*/, $columns) . ' FROM one EXCEPT ALL TABLE expected)'), '', $name);
		is(sql(q(SELECT count(*), count(*) FILTER (WHERE name IS DISTINCT FROM person->>'name' OR city IS DISTINCT FROM person->'address'->>'city'), string_agg(line::text, ',' ORDER BY line), bool_and(path LIKE '%/types_%') FROM one)), '7|0|1,2,3,4,5,6,7|t', "$name: paths and lines");
		sql('DROP FOREIGN TABLE one');
	}
}

# All of them as one stream, in a view.
copy($_, "$dir/types") or die foreach glob "$files/types_*.parquet";
sql("CREATE FOREIGN TABLE types ($columns) SERVER d OPTIONS (path 'types/*.parquet', format 'parquet')");
sql('CREATE VIEW types_v WITH (streaming.continuous) AS SELECT dict, count(*) AS n, sum(dec) AS dec, min(ts_ns) AS ts, max(s) AS s FROM types GROUP BY dict');
drain($node, 'types_v');
same_as_batch($node, 'types_v', 'SELECT dict, count(*), sum(dec), min(ts_ns), max(s) FROM types GROUP BY dict');
is(sql('SELECT sum(n) FROM types_v'), 7 * (() = glob "$files/types_*.parquet"), 'a view of many files');
my ($ingest) = worker_pids($node, 'streaming ingest');
is(() = (glob "/proc/$ingest/task/*"), 1, 'Arrow has made no thread');

# Others that write.
sql(q(CREATE FOREIGN TABLE polars (id int, s text, tags text[], at timestamp, who jsonb) SERVER f OPTIONS (path 'polars.parquet', format 'parquet')));
sql(q(CREATE FOREIGN TABLE polars_arrow (id int, s text, tags text[], at timestamp, who jsonb) SERVER f OPTIONS (path 'polars.arrow', format 'arrow')));
my $polars = qq(1|a|{x}|2026-01-31 12:34:56|{"age": 5, "name": "n"}\n2||{}|1969-12-31 23:59:59|{"age": 6, "name": null}\n3|a longer string than a view holds|||);
is(sql("SELECT * FROM $_ ORDER BY id"), $polars, $_) foreach qw(polars polars_arrow);

# Types that only Arrow has, and one that is not read.
sql(q(CREATE FOREIGN TABLE rare (id int, half float8, u64 numeric, duration interval, months interval, day date, second time, fixed int[], wide numeric, nothing text, keys jsonb,
	seconds timestamptz OPTIONS (time_format 'epoch_s'), moment timestamptz, u_absent text OPTIONS (field 'v')) SERVER f OPTIONS (path 'rare.arrow', format 'arrow')));
is(sql('SELECT * FROM rare ORDER BY id'), "1|0.5|18446744073709551615|23:59:59.999999|1 year 2 mons 3 days 00:00:01|1969-12-31|01:02:03|{1,2}|1" . '0' x 60 . q(.00||{"1": "a"}|1969-12-31 23:59:59+00|1969-12-31 23:59:59.999998+00|)
	  . "\n2|-65504|0|||2000-01-01|||-1.50|||2023-11-14 22:13:20+00||", 'types that are rare');
sql(q(CREATE FOREIGN TABLE united (u text) SERVER f OPTIONS (path 'rare.arrow', format 'arrow', on_error 'stop')));
like(error_of('SELECT * FROM united'), qr/values of Arrow type "\+us:0,1" are not supported/, 'a union is not read');

# ORC, in whose files some types are not, and which is read by a process of its own.
my $orc = $columns =~ s/\b(?:u32|t|ts_s|ts_ms|ts_ns|dict|uid) [a-z0-9]+,\s*//gr;
my $orc_names = join ', ', map { (split ' ')[0] } split /,\s*/, $orc;
my $orc_expected = 'SELECT ' . ($orc_names =~ s/\b(ts_us|tz)\b/CASE WHEN extract(year FROM $1) BETWEEN 1700 AND 2200 THEN $1 END AS $1/gr) . ' FROM expected';
my @orc_files = glob "$files/types_*.orc";
is(@orc_files, 5, 'ways to write ORC');
foreach my $path (@orc_files)
{
	my ($name) = $path =~ m{([^/]+)$};

	sql("CREATE FOREIGN TABLE one ($orc, city text OPTIONS (field 'person.address.city'), line bigint OPTIONS (metadata 'line')) SERVER f OPTIONS (path '$name', format 'orc', on_error 'stop')");
	is(sql("($orc_expected EXCEPT ALL SELECT $orc_names FROM one) UNION ALL (SELECT $orc_names FROM one EXCEPT ALL $orc_expected)"), '', $name);
	is(sql(q(SELECT count(*), count(*) FILTER (WHERE city IS DISTINCT FROM person->'address'->>'city'), string_agg(line::text, ',' ORDER BY line) FROM one)), '7|0|1,2,3,4,5,6,7', "$name: paths and lines");
	is(sql('SELECT count(*) FROM one'), 7, "$name: no column at all");
	sql('DROP FOREIGN TABLE one');
}
is(readers(), 0, 'no reader is left');

# Values that are none of the column's; a field that nobody reads but whose values may be.
sql(q(CREATE FOREIGN TABLE strict_types (id int2, s text, n int OPTIONS (field 's')) SERVER f OPTIONS (path 'polars.parquet', format 'parquet')));
sql('CREATE VIEW strict_v WITH (streaming.trigger = \'manual\') AS SELECT id FROM strict_types');
drain($node, 'strict_v');
is(sql('SELECT * FROM strict_v'), 2, 'a record is a row whoever reads which columns');
is(sql(q(SELECT convert_from(payload, 'UTF8'), column_name, sqlstate FROM streaming.rejected_rows WHERE stream = 'strict_types'::regclass ORDER BY position LIMIT 1)), '{"id":1,"s":"a"}|n|22P02', 'what is rejected is shown as JSON');
sql(q(ALTER FOREIGN TABLE strict_types OPTIONS (ADD on_error 'null')));
is(sql('SELECT string_agg(id || coalesce(n::text, \'-\'), \' \' ORDER BY id) FROM strict_types'), '1- 2- 3-', 'or NULL');

# Only what is read: what is damaged otherwise does not matter.
my $plain = slurp('types_plain.parquet');
my $wanted = $plain;
my $at = index $plain, 'x' x 300;
substr($wanted, $at - 40, 40) = "\xff" x 40;
put_file("$dir/part", 'a.parquet', $wanted);
sql("CREATE FOREIGN TABLE part ($columns) SERVER d OPTIONS (path 'part/*.parquet', format 'parquet')");
is(sql('SELECT sum(small), count(*) FROM part'), '1900|7', 'damage in a column that nobody reads');
isnt(sql('SELECT count(s) FROM part'), 6, 'and in one that is read');
is(sql('SELECT count(*) FROM part'), 7, 'no column at all');

# Files that are none.
sql("CREATE FOREIGN TABLE damaged ($columns) SERVER d OPTIONS (path 'damaged/*', format 'parquet')");
sql('CREATE VIEW damaged_v WITH (streaming.continuous) AS SELECT id, s, person FROM damaged');
my $whole = slurp('types_zstd.parquet');
put_file("$dir/damaged", 'a_empty', '');
put_file("$dir/damaged", 'b_short', 'PAR1');
put_file("$dir/damaged", 'c_none', "{}\n" x 100);
put_file("$dir/damaged", 'd_cut', substr $whole, 0, -100);
put_file("$dir/damaged", 'e_no_rows', slurp('empty.parquet'));
put_file("$dir/damaged", 'f_head_only', "PAR1" . "\xff" x 100 . "\xff\xff\xff\x7fPAR1");
put_file("$dir/damaged", 'g_arrow', slurp('types_lz4.arrow'));
put_file("$dir/damaged", 'h_good', $whole);
ok(wait_for($node, 'SELECT count(*) FROM damaged_v', 7), 'files that are damaged stop nobody');
is((split /\|/, rejects('damaged'))[0], 6, 'each is rejected as a whole');
like(rejects('damaged'), qr/\|Parquet file is damaged: .*\|22000$/, 'with what Arrow says');
same_as_batch($node, 'damaged_v', 'SELECT id, s, person FROM damaged');
sql(q(CREATE FOREIGN TABLE stop (id bigint) SERVER d OPTIONS (path 'stop/*', format 'parquet', on_error 'stop')));
sql('CREATE VIEW stop_v WITH (streaming.continuous) AS SELECT id FROM stop');
put_file("$dir/stop", 'a', $whole);
put_file("$dir/stop", 'b', substr $whole, 100);
ok(wait_for($node, q(SELECT last_error FROM streaming.views WHERE view = 'stop_v'::regclass), qr/Parquet file is damaged/), 'on_error stop');
ok(wait_for($node, 'SELECT count(*) FROM stop_v', 7), 'with what is before it');

# Bounds.
sql(q(CREATE FOREIGN TABLE bomb (id int, s text) SERVER f OPTIONS (path 'bomb.parquet', format 'parquet', on_error 'stop')));
like(error_of('SELECT sum(length(s)) FROM bomb'), qr/Parquet file is damaged: it needs more memory than streaming\.arrow_memory/, 'a value that is too long');
is(sql('SELECT count(*), sum(id) FROM bomb'), '2|3', 'only where it is read');
is(sql('SET streaming.arrow_memory = \'400MB\'; SELECT sum(length(s)) FROM bomb'), 40_000_001, 'with more memory it is none');
sql(q(CREATE FOREIGN TABLE long (id int, s text) SERVER f OPTIONS (path 'long.parquet', format 'parquet')));
is(sql('SELECT sum(length(s)), sum(id) FROM long'), '30000000|4498500', 'many long ones are read a few at a time');
sql(q(CREATE FOREIGN TABLE deep (id jsonb) SERVER f OPTIONS (path 'deep.parquet', format 'parquet', on_error 'stop')));
like(error_of('SELECT * FROM deep'), qr/Parquet file is damaged: .*(depth|large)/i, 'a schema that is too deep');
system("gzip -dc '$files/columns.parquet.gz' > '$dir/columns.parquet'") == 0 or die;
sql(q(CREATE FOREIGN TABLE wide (c1 int) SERVER d OPTIONS (path 'columns.parquet', format 'parquet', on_error 'stop')));
like(error_of('SELECT * FROM wide'), qr/Parquet file is damaged: schema is too large/, 'or too wide');

sql(q(CREATE FOREIGN TABLE bomb_orc (id bigint, s bytea) SERVER f OPTIONS (path 'bomb.orc', format 'orc', on_error 'stop')));
like(error_of('SELECT sum(length(s)) FROM bomb_orc'), qr/ORC file is damaged: it needs more memory than streaming\.arrow_memory/, 'a value of ORC that is too long');
is(sql('SELECT count(*), sum(id) FROM bomb_orc'), '2|3', 'only where it is read');
is(sql('SET streaming.arrow_memory = \'1GB\'; SELECT sum(length(s)) FROM bomb_orc'), 60_000_001, 'with more memory it is none');

# Of ORC, too, files that are none.
mkdir "$dir/orc";
my $whole_orc = slurp('many.orc');
put_file("$dir/orc", 'a_empty', '');
put_file("$dir/orc", 'b_none', "{}\n" x 100);
put_file("$dir/orc", 'c_cut', substr $whole_orc, 0, -100);
put_file("$dir/orc", 'd_parquet', $whole);
put_file("$dir/orc", 'e_no_rows', slurp('empty.orc'));
put_file("$dir/orc", 'f_damaged', do { my $text = $whole_orc; substr($text, 60_000, 2_000) = "\xff" x 2_000; $text });
put_file("$dir/orc", 'g_good', $whole_orc);
sql("CREATE FOREIGN TABLE orcs (id bigint, k int, path text OPTIONS (metadata 'path')) SERVER d OPTIONS (path 'orc/*', format 'orc')");
sql('CREATE VIEW orcs_v WITH (streaming.continuous) AS SELECT path, k, count(*), sum(id) FROM orcs GROUP BY path, k');
drain($node, 'orcs_v');
same_as_batch($node, 'orcs_v', 'SELECT path, k, count(*), sum(id) FROM orcs GROUP BY path, k');
is(sql(q(SELECT count(*) FROM orcs WHERE path LIKE '%good')), 30_000, 'what is behind files that are damaged');
my $before_damage = sql(q(SELECT count(id + k) FROM orcs WHERE path LIKE '%f_damaged'));
ok($before_damage > 0 && $before_damage < 30_000, "and rows before the damage ($before_damage)");
is((split /\|/, rejects('orcs'))[0], 5, 'each is rejected once');
like(rejects('orcs'), qr/\|ORC file is damaged: .*\|22000$/, 'with what its reader says');

sql(q(CREATE FOREIGN TABLE far (id bigint, ts timestamp) SERVER f OPTIONS (path 'far.orc', format 'orc')));
is(sql('SELECT count(*), count(ts) FROM far'), '2048|2048', 'a time that its reader does not have');
is(sql('SELECT count(*), sum(id) FROM far'), '3000|4498500', 'where nobody reads it');

# The reader ends with the query that waits for it.
sql(q(CREATE FOREIGN TABLE slow (id bigint, k int, unread text) SERVER f OPTIONS (path 'many.orc', format 'orc')));
my $reading = $node->background_psql('postgres', on_error_stop => 0);
$reading->query_until(qr/begun/, "\\echo begun\nSELECT pg_sleep(600), * FROM slow;\n");
ok(wait_until(sub { readers() == 1 }), 'a process reads ORC');
is(sql(q(SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%')), 't', 'the query is cancelled');
ok(wait_until(sub { readers() == 0 }), 'and the process ends');
$reading->quit;

# A query may have any number of scans, but no such number of processes.
sub scans { return 'SELECT ' . join ' + ', ('(SELECT id FROM slow LIMIT 1)') x $_[0]; }
is(sql(scans(16)), 0, 'some files of ORC at the same time');
like(error_of(scans(17)), qr/cannot read more than 16 ORC files at the same time/, 'but not many');
is(sql(scans(16)), 0, 'whose processes are counted');
ok(wait_until(sub { readers() == 0 }), 'and end');

# In the middle of a file, however its reader ends.
foreach my $format (qw(parquet orc))
{
	my $many = $format eq 'orc' ? 30_000 : 200_000;
	my $step = $format eq 'orc' ? 1_300 : 9_000;
	my $sum = $many * ($many - 1) / 2;

	mkdir "$dir/many_$format";
	copy("$files/many.$format", "$dir/many_$format") or die;
	sql("CREATE FOREIGN TABLE many_$format (id bigint, k int, unread text) SERVER d OPTIONS (path 'many_$format/*', format '$format')");
	sql("CREATE VIEW many_${format}_v WITH (streaming.continuous, streaming.max_rows_per_trigger = @{[int($step * 0.77) + 1]}) AS SELECT k, count(*) AS n, sum(id) AS ids FROM many_$format GROUP BY k");
	foreach my $round (1 .. rounds(4))
	{
		wait_until(sub { sql("SELECT coalesce(sum(n), 0) FROM many_${format}_v") > $round * $step });
		kill9($node, $round % 2 ? 'streaming ingest' : 'streaming query');
	}
	drain($node, "many_${format}_v");
	is(sql("SELECT sum(n), sum(ids) FROM many_${format}_v"), "$many|$sum", "$format: each row once");
	same_as_batch($node, "many_${format}_v", "SELECT k, count(*), sum(id) FROM many_$format GROUP BY k");
	is(sql("SELECT records FROM streaming.files WHERE stream = 'many_$format'::regclass"), $many, 'and they are counted');
}
ok(wait_until(sub { readers() == 0 }), 'readers end with those that have been killed');

# Foreign tables by what files say.
mkdir "$dir/lake";
mkdir "$dir/lake/$_" foreach 'types', 'types/dt=2026-11-30', 'polars', 'rare', 'broken', 'orcs';
copy("$files/types_zstd.orc", "$dir/lake/orcs") or die;
copy("$files/types_v2.parquet", "$dir/lake/types/dt=2026-11-30/a.parquet") or die;
copy("$files/polars.parquet", "$dir/lake/polars") or die;
copy("$files/rare.arrow", "$dir/lake/rare") or die;
put_file("$dir/lake/broken", 'a.parquet', 'PAR1');
sql('CREATE SCHEMA lake');
my (undef, undef, $warning) = $node->psql('postgres', 'IMPORT FOREIGN SCHEMA "lake" FROM SERVER d INTO lake');
like($warning, qr{WARNING:  file ".*/broken/a\.parquet" is damaged}, 'a file that is none is told');
is(sql(q(SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'lake.types'::regclass AND attnum > 0)),
	'id bigint, small smallint, u32 bigint, f real, d double precision, s text, raw bytea, flag boolean, dt date, t time without time zone, ts_s timestamp without time zone, '
	  . 'ts_ms timestamp without time zone, ts_us timestamp without time zone, ts_ns timestamp without time zone, tz timestamp with time zone, dec numeric, big numeric, dict text, '
	  . 'uid bytea, person jsonb, tags text[], nums integer[], m jsonb, deep jsonb, dt_2 date', 'columns are those of the schema');
is(sql('(SELECT id, dec, person, m FROM expected EXCEPT ALL SELECT id, dec, person, m FROM lake.types) UNION ALL (SELECT id, dec, person, m FROM lake.types EXCEPT ALL SELECT id, dec, person, m FROM expected)'), '', 'and are read');
is(sql('SELECT count(*) FROM lake.types WHERE dt_2 = \'2026-11-30\''), 7, 'beside those of the path');
is(sql('SELECT id, at, who FROM lake.polars ORDER BY id LIMIT 1'), '1|2026-01-31 12:34:56|{"age": 5, "name": "n"}', 'of polars');
is(sql('SELECT fixed, duration, u64 FROM lake.rare ORDER BY id LIMIT 1'), '{1,2}|23:59:59.999999|18446744073709551615', 'of Arrow');

is(sql(q(SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'lake.orcs'::regclass AND attnum > 0)),
	'id bigint, small smallint, f real, d double precision, s text, raw bytea, flag boolean, dt date, ts_us timestamp without time zone, tz timestamp with time zone, '
	  . 'dec numeric, big numeric, person jsonb, tags text[], nums integer[], m jsonb, deep jsonb', 'columns of ORC');
is(sql("($orc_expected EXCEPT ALL SELECT $orc_names FROM lake.orcs) UNION ALL (SELECT $orc_names FROM lake.orcs EXCEPT ALL $orc_expected)"), '', 'which are read');

# Refused.
like(error_of(q(CREATE FOREIGN TABLE refused (id int) SERVER d OPTIONS (path 'x', format 'parquet', compression 'gzip'))), qr/option "compression" is not valid for format "parquet"/, 'compression is inside');
like(error_of(q(CREATE FOREIGN TABLE refused (id int) SERVER d OPTIONS (path 'x', format 'orc', compression 'zstd'))), qr/option "compression" is not valid for format "orc"/, 'of ORC, too');
sql(q(CREATE FOREIGN TABLE only_read (id int) SERVER d OPTIONS (path 'rows/*.orc', format 'orc')));
like(error_of(q(INSERT INTO only_read VALUES (1))), qr/cannot write files of format "orc"/, 'ORC is not written');
like(error_of(q(SELECT streaming.retry_rejected('orcs'))), qr/rejected records of stream public\.orcs cannot be retried/, 'nor retried');

# Written, and read again.
mkdir "$dir/$_" foreach qw(out rows all groups);
my $written = q(id bigint, small int2, n int, f real, d float8, s text, raw bytea, flag bool, dt date, t time, ts timestamp, tz timestamptz, dec numeric(38,10), dec0 numeric(5), any_dec numeric, uid uuid,
	doc jsonb, tags text[], span interval, v varchar(5), "odd ""name" int OPTIONS (field 'other'));
sql("CREATE FOREIGN TABLE out ($written) SERVER d OPTIONS (path 'out/x-*.parquet', format 'parquet', file_interval '0')");
sql("CREATE FOREIGN TABLE out_arrow ($written) SERVER d OPTIONS (path 'out/x-*.arrow', format 'arrow', file_interval '0')");
sql("CREATE TABLE written (" . ($written =~ s/ OPTIONS \(.*?'\)//r) . ')');
sql(<<'SQL');
INSERT INTO written VALUES (1, 2, 3, 0.25, 1e300, E'a\\tünï\\n"', '\x00ff', true, '2026-01-31', '23:59:59.999999', '0001-01-01', '2026-01-31 12:34:56.789012+00', 1234567890123456789012345678.0123456789, -99999, 1e100,
	'00112233-4455-6677-8899-aabbccddeeff', '{"a": [1, null]}', '{a,NULL,"b c"}', '1 mon 2 days', 'x', 7),
	(-9223372036854775808, NULL, NULL, 'NaN', '-Infinity', '', '', false, '4713-01-01 BC', '00:00', '1969-12-31 23:59:59.999999', '294246-12-31', -0.0000000001, 0, 'NaN', NULL, 'null', '{}', NULL, '', -1);
INSERT INTO written (id) VALUES (3);
INSERT INTO out SELECT * FROM written;
INSERT INTO out_arrow SELECT * FROM written;
SQL
foreach my $out (qw(out out_arrow))
{
	ok(wait_for($node, "SELECT count(*) FROM $out", 3), "$out: rows are written");
	is(sql("(TABLE written EXCEPT ALL TABLE $out) UNION ALL (TABLE $out EXCEPT ALL TABLE written)"), '', 'and come back as they were');
}
is(substr(PostgreSQL::Test::Utils::slurp_file((glob "$dir/out/x-*.arrow")[0]), 0, 6), 'ARROW1', 'as a file, not a stream');
like(error_of("INSERT INTO out (ts) VALUES ('infinity')"), qr/value of column "ts" cannot be written to a Parquet or Arrow file/, 'infinite times do not');
like(error_of("INSERT INTO out (dec) VALUES ('NaN')"), qr/value of column "dec" cannot be written to a Parquet or Arrow file/, 'nor NaN as a decimal');
like(error_of("INSERT INTO out (t) VALUES ('24:00')"), qr/value of column "t" cannot be written to a Parquet or Arrow file/, 'nor the end of a day');

# Rows that change: one takes the place of that with its key, and none is a tombstone.
sql(<<'SQL');
CREATE FOREIGN TABLE changing (id int, v int) SERVER d OPTIONS (path 'changing-*.parquet', format 'parquet', file_interval '0');
INSERT INTO changing SELECT g % 10, g FROM generate_series(1, 25) g;
CREATE FOREIGN TABLE changed (id int, v int) SERVER d OPTIONS (path 'changing-*.parquet', format 'parquet', changes 'upsert', key 'id');
SQL
ok(wait_for($node, 'SELECT count(*) FROM changing', 25), 'changes are written');
is(sql('SELECT count(*), sum(v) FROM (SELECT * FROM changed) c'), '10|205', 'a row for each key');
is(sql('SELECT * FROM changed WHERE id = 3'), '3|23', 'the last one');
sql('CREATE VIEW changed_v WITH (streaming.continuous) AS SELECT id, v FROM changed');
drain($node, 'changed_v');
same_as_batch($node, 'changed_v', 'SELECT id, v FROM changed');

# Rows that were encoded before the columns were altered are written as they were.
sql(q(CREATE FOREIGN TABLE altered (a int, b text) SERVER d OPTIONS (path 'rows/*.parquet', format 'parquet', file_interval '1h', file_max_rows '4')));
sql(q(INSERT INTO altered VALUES (1, 'one'), (2, 'two')));
sql('ALTER FOREIGN TABLE altered ALTER a TYPE numeric(10,2), ADD c date');
sql(q(INSERT INTO altered VALUES (3.5, 'three', '2026-01-01'), (4, 'four', NULL)));
ok(wait_for($node, q(SELECT string_agg(concat_ws(' ', a, b, c), ', ' ORDER BY a) FROM altered), '1.00 one, 2.00 two, 3.50 three 2026-01-01, 4.00 four'), 'columns are altered in between');
my @parts = glob "$dir/rows/*.parquet";
is(@parts, 2, 'in a file of their own');

# A whole result, also an empty one; and several row groups.
sql(q(CREATE FOREIGN TABLE result (k int, n bigint) SERVER d OPTIONS (path 'all/result.parquet', format 'parquet')));
sql(q(CREATE VIEW result_v WITH (streaming.sink = 'result', streaming.output_mode = 'complete', streaming.trigger = 'manual') AS SELECT k, count(*) AS n FROM many_parquet GROUP BY k HAVING count(*) > 0));
drain($node, 'result_v');
ok(wait_for($node, 'SELECT count(*), sum(n) FROM result', '10|200000'), 'a whole result');
sql(q(CREATE FOREIGN TABLE groups (id bigint, s text) SERVER d OPTIONS (path 'groups/*.parquet', format 'parquet', file_interval '0')));
sql(q(INSERT INTO groups SELECT g, repeat('x', g % 10) FROM generate_series(1, 150000) g));
ok(wait_for($node, 'SELECT count(*), sum(id), sum(length(s)), count(DISTINCT path) FROM (SELECT * FROM groups) g, (SELECT 1 AS path) p', '150000|11250075000|675000|1'), 'several row groups');
sql(q(CREATE FOREIGN TABLE batches (id bigint, s text) SERVER d OPTIONS (path 'groups/*.arrow', format 'arrow', file_interval '0')));
sql(q(INSERT INTO batches SELECT g, repeat('x', g % 10) FROM generate_series(1, 150000) g));
ok(wait_for($node, 'SELECT count(*), sum(id), sum(length(s)) FROM batches', '150000|11250075000|675000'), 'several batches of an Arrow file');

$node->stop;
done_testing();
