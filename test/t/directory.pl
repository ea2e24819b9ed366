# Files that appear in a directory: each is taken once and whole.

use strict;
use warnings;

use StreamingTest;
use Test::More;

my $node = new_node('main', 'streaming.scan_interval = 200ms');
my $dir = $node->basedir . '/landing';
mkdir $dir;
mkdir "$dir/$_" foreach qw(json csv limited);

$node->safe_psql('postgres', <<SQL);
CREATE SERVER landing FOREIGN DATA WRAPPER directory OPTIONS (path '$dir');
CREATE FOREIGN TABLE events (k text, n int, path text OPTIONS (metadata 'path'), line bigint OPTIONS (metadata 'line'))
	SERVER landing OPTIONS (path 'json/*.json*');
CREATE FOREIGN TABLE orders (id int, item text, price numeric)
	SERVER landing OPTIONS (path 'csv/*.csv', format 'csv', header 'true');
SQL

put_file("$dir/json", 'a.json', qq({"k": "a", "n": 1}\n{"k": "b", "n": 2}\n));
$node->safe_psql('postgres', <<'SQL');
CREATE VIEW per_k WITH (streaming.continuous) AS SELECT k, count(*) AS rows, sum(n) FROM events GROUP BY k;
CREATE VIEW lines WITH (streaming.continuous) AS SELECT k, n, path, line FROM events;
SQL
drain($node, 'per_k');
is($node->safe_psql('postgres', 'SELECT * FROM per_k ORDER BY k'), "a|1|1\nb|1|2", 'a file that was there before');

put_file("$dir/json", 'b.json', qq({"k": "a", "n": 10}\n\n{"k": "c", "n": 20}));
ok(wait_for($node, 'SELECT sum(rows) FROM per_k', '4'), 'a file that is renamed into place is noticed');
put_file($dir, 'zip', join '', map { qq({"k": "zip", "n": $_}\n) } 1 .. 1000);
system('gzip', '-n', "$dir/zip") == 0 or die 'gzip';
rename "$dir/zip.gz", "$dir/json/c.json.gz" or die "rename: $!";
ok(wait_for($node, q(SELECT rows, sum FROM per_k WHERE k = 'zip'), '1000|500500'), 'gzip by the name');

put_file("$dir/json", '.hidden.json', qq({"k": "hidden", "n": 1}\n));
put_file("$dir/json", '_under.json', qq({"k": "hidden", "n": 1}\n));
put_file("$dir/json", 'other.txt', qq({"k": "hidden", "n": 1}\n));
mkdir "$dir/json/sub.json";
put_file("$dir/json", 'd.json', qq({"k": "d", "n": 1}\n));
drain($node, $_) foreach qw(per_k lines);
is($node->safe_psql('postgres', q(SELECT count(*) FROM per_k WHERE k = 'hidden')), 0, 'names with . and _ and others are left alone');
is($node->safe_psql('postgres', q(SELECT k, regexp_replace(path, '.*/', ''), line FROM lines WHERE k IN ('b', 'c', 'd') ORDER BY k)),
	"b|a.json|2\nc|b.json|3\nd|d.json|1", 'path and line of a row');
same_as_batch($node, 'lines', 'SELECT k, n, path, line FROM events');
same_as_batch($node, 'per_k', 'SELECT k, count(*) AS rows, sum(n) FROM events GROUP BY k');

# A file is taken once, whatever happens to it and to us afterwards.
utime undef, undef, "$dir/json/a.json";
unlink "$dir/json/b.json";
put_file("$dir/json", 'empty.json', '');
$node->restart;
put_file("$dir/json", 'e.json', qq({"k": "e", "n": 1}\n));
ok(wait_for($node, q(SELECT rows FROM per_k WHERE k = 'e'), '1'), 'files are noticed after a restart');
drain($node, 'per_k');
is($node->safe_psql('postgres', 'SELECT sum(rows) FROM per_k'), 1006, 'and none is taken twice');

# Lines that are no records.
put_file("$dir/json", 'f.json', qq({"k": "f", "n": 1}\n{"k": "f", "n": "x"}\nnonsense\n{"k": "f", "n": 2}\n));
drain($node, 'per_k');
is($node->safe_psql('postgres', q(SELECT rows, sum FROM per_k WHERE k = 'f')), '2|3', 'bad lines are left out');
is($node->safe_psql('postgres', q(SELECT convert_from(payload, 'UTF8') FROM streaming.rejected_rows WHERE stream = 'events'::regclass ORDER BY 1)),
	qq(nonsense\n{"k": "f", "n": "x"}), 'and kept');
like($node->safe_psql('postgres', q(SELECT DISTINCT position FROM streaming.rejected_rows WHERE stream = 'events'::regclass)),
	qr/f\.json|\d/, 'with their place');

# CSV: a header, quoted line ends, COPY's options.
$node->safe_psql('postgres', <<'SQL');
CREATE VIEW order_rows WITH (streaming.continuous) AS SELECT id, item, price FROM orders;
CREATE VIEW order_sum WITH (streaming.continuous) AS SELECT count(*) AS n, sum(price) FROM orders;
SQL
put_file("$dir/csv", 'one.csv', qq(id,item,price\r\n1,plain,1.50\r\n2,"two\nlines, ""quoted""",2.25\r\n));
put_file("$dir/csv", 'two.csv', qq(id,item,price\n3,,0\n4,"",0.25\nx,bad,1\n5,too,many,fields\n6,last,1));
drain($node, $_) foreach qw(order_rows order_sum);
is($node->safe_psql('postgres', q(SELECT id, replace(item, E'\n', '\n'), item IS NULL, price FROM order_rows ORDER BY id)),
	join("\n", '1|plain|f|1.50', '2|two\nlines, "quoted"|f|2.25', '3||t|0', '4||f|0.25', '6|last|f|1'), 'CSV with a header');
is($node->safe_psql('postgres', 'SELECT * FROM order_sum'), '5|5.00', 'aggregated');
is($node->safe_psql('postgres', q(SELECT count(*) FROM streaming.rejected_rows WHERE stream = 'orders'::regclass)), 2, 'bad CSV records are kept');
same_as_batch($node, 'order_rows', 'SELECT id, item, price FROM orders');

# So many files a batch.
foreach my $f (1 .. 10)
{
	put_file("$dir/limited", "$f.json", join '', map { qq({"v": $_}\n) } 1 .. $f);
}
$node->safe_psql('postgres', <<'SQL');
CREATE FOREIGN TABLE limited (v int, path text OPTIONS (metadata 'path')) SERVER landing OPTIONS (path 'limited/*.json');
CREATE VIEW few WITH (streaming.max_files_per_trigger = 2) AS SELECT path, count(*) AS n FROM limited GROUP BY path;
SQL
drain($node, 'few');
same_as_batch($node, 'few', 'SELECT path, count(*) AS n FROM limited GROUP BY path');
is($node->safe_psql('postgres', q(SELECT sum(input_rows), max(input_rows) <= 19, count(*) >= 5 FROM streaming.batches WHERE view = 'few'::regclass AND input_rows > 0)),
	'55|t|t', 'max_files_per_trigger bounds a batch');

$node->stop;
done_testing();
