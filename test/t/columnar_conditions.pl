
# Conditions by which row groups of Parquet files are passed over: what is left is always
# what the condition leaves of all rows.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use StreamingTest;
use Test::More;

plan skip_all => $ENV{STREAMING_NO_ARROW} if $ENV{STREAMING_NO_ARROW};

my $files = Cwd::abs_path(dirname(__FILE__) . '/../columnar');
my $node = new_node('main', 'timezone = UTC');

sub sql { return $node->safe_psql('postgres', $_[0]) }
sub error_of { my (undef, undef, $stderr) = $node->psql('postgres', $_[0]); return $stderr }

random_seed();
my %types = (id => 'bigint', tiny => 'int2', u32 => 'bigint', real => 'float4', d => 'float8', big => 'numeric', small => 'numeric', dt => 'date', ts => 'timestamp', ns => 'timestamp',
	tz => 'timestamptz', t => 'time', flag => 'bool', s => 'text COLLATE "C"', word => 'varchar', mixed => 'bigint', nothing => 'int');
my $columns = join ', ', (map { "$_ $types{$_}" } sort keys %types), q(age int8 OPTIONS (field 'who.age')), q(called text OPTIONS (field 'who.name') COLLATE "C"), q(any_text text OPTIONS (field 's')),
  q(checked int2 OPTIONS (field 'mixed')), q(narrow numeric(10,1) OPTIONS (field 'big')), q(path text OPTIONS (metadata 'path')), q(line bigint OPTIONS (metadata 'line'));
sql(<<SQL);
CREATE SERVER f FOREIGN DATA WRAPPER directory OPTIONS (path '$files');
CREATE FOREIGN TABLE rows ($columns) SERVER f OPTIONS (path 'statistics*.parquet', format 'parquet', on_error 'stop');
CREATE TABLE kept AS TABLE rows;
CREATE FUNCTION groups(query text, OUT read int, OUT skipped int) LANGUAGE plpgsql AS \$\$
DECLARE plan text;
BEGIN
	EXECUTE 'EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off, FORMAT json) ' || query INTO plan;
	read := substring(plan FROM '"Row Groups Read": (\\d+)');
	skipped := substring(plan FROM '"Row Groups Skipped": (\\d+)');
END \$\$;
-- What is wrong with the answer, if anything; and how many row groups were passed over.
CREATE FUNCTION answer(condition text, OUT wrong bigint, OUT skipped int) LANGUAGE plpgsql AS \$\$
BEGIN
	EXECUTE format('WITH a AS MATERIALIZED (SELECT path, line, id FROM rows WHERE %1\$s), b AS MATERIALIZED (SELECT path, line, id FROM kept WHERE %1\$s)
		SELECT count(*) FROM ((TABLE a EXCEPT ALL TABLE b) UNION ALL (TABLE b EXCEPT ALL TABLE a)) r', condition) INTO wrong;
	skipped := (groups('SELECT FROM rows WHERE ' || condition)).skipped;
END \$\$;
SQL
is(sql('SELECT count(*), count(DISTINCT path) FROM kept'), '3000|3', 'three files');

sub is_skipped
{
	my ($condition, $skipped, $name) = @_;
	is(sql("SELECT wrong, skipped FROM answer(\$c\$$condition\$c\$)"), "0|$skipped", $name // $condition);
}

# Of 20 groups of 50 rows, in the file that pyarrow has written and in that of polars;
# the third has no statistics, so of its 20 none is passed over.
is(sql('SELECT * FROM groups(\'SELECT FROM rows\')'), '60|0', 'without a condition');
is_skipped('id < 50', 39);
is_skipped('49 >= id', 39, 'the other way round');
is_skipped('id = 1234', 39);
is_skipped('id BETWEEN 1100 AND 1149', 39);
is_skipped('id = 5000', 40, 'whole files');
is_skipped('id > 999 AND (mixed < 5 AND id <= 1049)', 39, 'in parentheses');
is_skipped('tiny = -10::int8', 38, 'of another type');
is_skipped('u32 > 4294967240', 36, 'without a sign');
is_skipped('big < -3999.5', 38, 'decimals');
is_skipped('small >= 49.9', 38, 'small ones');
is_skipped(q(dt = '2026-01-02'), 38, 'a date');
is_skipped(q(ts < '2026-01-01 00:01'), 38, 'a time');
is_skipped(q(tz = timestamptz '2026-01-01 05:00+05'), 38, 'a moment');
is_skipped(q(t > '16:39:30'), 40, 'a time of day');
is_skipped('flag', 26);
is_skipped('NOT flag', 14);
is_skipped('flag IS TRUE', 26);
is_skipped(q(s < 'a'), 32, 'text by its bytes');
is_skipped(q(any_text = 'a0001x'), 38, 'or equal');
is_skipped(q(any_text < 'B'), 0, 'not in an order of its own');
is_skipped(q(word = 'w3'), 36, 'varchar, in a dictionary');
is_skipped('age = 7', 38, 'in a struct');
is_skipped(q(called = 'n03'), 38);
is_skipped('nothing IS NOT NULL', 40, 'nothing but NULL');
is_skipped('nothing = 1', 40);
is_skipped('id IS NULL', 40, 'no NULL');
is_skipped('mixed IS NULL AND id < 100', 40);
is_skipped('tiny IS NOT NULL', 2);

# What is not concluded.
is_skipped('id = 5 OR mixed = 7', 0, 'OR');
is_skipped('id + 0 = 5', 0, 'an expression');
is_skipped('id <> 5', 0);
is_skipped('checked = 30', 0, 'values that are refused');
is_skipped('narrow < -3999.5', 2, 'or rounded, but for NULL');
is_skipped('id = random()::int * 0 + 5', 0, 'volatile');
is_skipped('id = mixed', 0, 'two columns');
is_skipped(q(ts < timestamptz '2026-01-01 00:01+00'), 0, 'what depends on the time zone');
is_skipped(q(real = 'NaN'), 2, 'NaN');
is(sql(q(SELECT count(*) > 0 FROM rows WHERE real > 100)), 't', 'which is greater than all');
is_skipped('real > 100', 2, 'it is in no statistics');

# Once evaluated.
is(sql(q(SET plan_cache_mode = force_generic_plan; PREPARE q(bigint) AS SELECT count(*) FROM rows WHERE id = $1; EXECUTE q(7); EXECUTE q(1007); EXECUTE q(NULL))), "2\n1\n0", 'parameters');
is(sql(q(SET plan_cache_mode = force_generic_plan; PREPARE q(bigint) AS SELECT FROM rows WHERE id = $1; SELECT * FROM groups('EXECUTE q(7)'))), '21|39', 'which count');
is(sql('SELECT * FROM groups(\'SELECT FROM rows WHERE id = (SELECT min(id) FROM kept)\')'), '21|39', 'of a subquery');
is(sql(q(SELECT * FROM groups($$SELECT FROM rows WHERE tz < timestamptz '2026-01-02 00:00+00' + make_interval(hours => 1)$$))), '22|38', 'stable functions');
is(sql('SELECT x, (SELECT count(*) FROM rows WHERE id = x) FROM generate_series(10, 2010, 500) x ORDER BY x'), "10|2\n510|2\n1010|1\n1510|1\n2010|0", 'again and again');

# Functions of a user are not called for it.
sql(<<'SQL');
CREATE FUNCTION mine(int8, int8) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RETURN $1 = $2; END $$;
CREATE OPERATOR === (leftarg = int8, rightarg = int8, function = mine, commutator = ===);
CREATE FUNCTION mine_cmp(int8, int8) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE 'called'; END $$;
CREATE OPERATOR FAMILY fam USING btree;
CREATE OPERATOR CLASS cls FOR TYPE int8 USING btree FAMILY fam AS OPERATOR 3 ===, FUNCTION 1 mine_cmp(int8, int8);
SQL
is_skipped('id === 5', 0, 'an operator of a user');

# on_error: what a file does not say is NULL may be; rows that are refused go unnoticed in groups that are skipped.
sql("CREATE FOREIGN TABLE nulled (checked int2 OPTIONS (field 'u32'), id bigint) SERVER f OPTIONS (path 'statistics.parquet', format 'parquet', on_error 'null')");
is(sql('SELECT count(*) FROM nulled WHERE checked IS NULL AND id < 60'), 60, 'NULL by on_error');
sql("CREATE FOREIGN TABLE stopped (checked int2 OPTIONS (field 'mixed'), id bigint, small int2 OPTIONS (field 'u32')) SERVER f OPTIONS (path 'statistics.parquet', format 'parquet', on_error 'stop')");
like(error_of('SELECT count(*) FROM stopped WHERE id < 60'), qr/out of range/, 'a record that is none stops a query');
is(sql('SELECT count(*) FROM stopped WHERE id < 0'), 0, 'but not where it is skipped');
sql("CREATE FOREIGN TABLE arrow (id int) SERVER f OPTIONS (path 'polars.arrow', format 'arrow')");
is(sql(q(SELECT id FROM arrow WHERE id = 2)), 2, 'other formats');
is(sql(q(SELECT read IS NULL FROM groups('SELECT FROM arrow WHERE id = 2'))), 't', 'have no row groups');

# A view's condition has all rows checked, damaged ones, too; its positions are those of all.
sql(q(CREATE VIEW v WITH (streaming.continuous) AS SELECT path, line, id FROM rows WHERE id < 50));
drain($node, 'v');
same_as_batch($node, 'v', 'SELECT path, line, id FROM kept WHERE id < 50');
is(sql(q(SELECT sum(records) FROM streaming.files WHERE stream = 'rows'::regclass)), 3000, 'of all files');

# By chance.
my @conditions;
my @names = grep { $_ ne 'nothing' } sort keys %types;
foreach (1 .. rounds(150))
{
	my @parts;

	foreach (0 .. rand 2)
	{
		my $name = ($names[ rand @names ], 'age', 'called', 'any_text', 'narrow')[ rand() < 0.85 ? 0 : 1 + int rand 4 ];
		my $operator = ('<', '<=', '=', '>=', '>', '<>')[ rand 6 ];
		my $type = $types{$name} // '';
		my $what = rand;

		push @parts, $what < 0.1 ? "$name IS NULL" : $what < 0.2 ? "$name IS NOT NULL" :
		  $what < 0.3 && $type =~ /float/ ? "$name $operator '" . (qw(NaN Infinity -Infinity 0 -0))[ rand 5 ] . "'" :
		  "$name $operator (SELECT $name FROM kept WHERE $name IS NOT NULL ORDER BY md5(line::text || '" . rand() . "') LIMIT 1)";
	}
	push @conditions, join ' AND ', @parts;
}
my @answers = split /\n/, sql(join "\n", map { "SELECT wrong, coalesce(skipped, 0), \$c\$$_\$c\$ FROM answer(\$c\$$_\$c\$);" } @conditions);
is(@answers, @conditions, 'all are answered');
is(join("\n", grep { !/^0\|/ } @answers), '', 'as they are without statistics');
cmp_ok(scalar(grep { /^\d+\|[1-9]/ } @answers), '>', @conditions / 4, 'and many pass over row groups');

$node->stop;
done_testing();
