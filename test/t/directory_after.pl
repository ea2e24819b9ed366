# Option "after" of a directory: files that all views have taken are archived or deleted,
# and no others.

use strict;
use warnings;

use StreamingTest;
use Test::More;

my $node = new_node('main', 'streaming.scan_interval = 200ms');
my $dir = $node->basedir . '/landing';
mkdir $_ foreach $dir, "$dir/in", "$dir/in/eu", "$dir/in/us", "$dir/del", "$dir/other", $node->basedir . '/outside';

sub sql   { return $node->safe_psql('postgres', $_[0]) }
sub lines { return join '', map { qq({"v": "$_"}\n) } @_ }
sub names { my ($glob) = @_; return join ' ', map { substr $_, length($dir) + 1 } sort glob "$dir/$glob" }

# Names that match, once no file is on its way.
sub files_are
{
	my ($glob, $expected, $name) = @_;
	my $hidden = $glob =~ s/[*]$/.taken*/r;

	wait_until(sub { names($glob) eq $expected && names($hidden) eq '' });
	return is(names($glob) . names($hidden), $expected, $name);
}

sub error_of { my ($sql) = @_; my ($out, $err) = ('', ''); $node->psql('postgres', $sql, stdout => \$out, stderr => \$err); return $err }

sql(<<SQL);
CREATE SERVER landing FOREIGN DATA WRAPPER directory OPTIONS (path '$dir');
CREATE FOREIGN TABLE arc (v text) SERVER landing OPTIONS (path 'in/*/*.json', after 'archive', archive_path 'old/all');
CREATE FOREIGN TABLE del (v text) SERVER landing OPTIONS (path 'del/*.json', after 'delete');
CREATE VIEW a1 WITH (streaming.continuous) AS SELECT v FROM arc;
CREATE VIEW a2 WITH (streaming.trigger = 'manual') AS SELECT v FROM arc;
CREATE VIEW d1 WITH (streaming.continuous) AS SELECT v FROM del;
SQL

# The slowest view counts.
put_file("$dir/in/eu", 'a.json', lines(qw(a1 a2)));
put_file("$dir/in/us", 'a.json', lines(qw(b1)));
ok(wait_for($node, 'SELECT count(*) FROM a1', 3), 'one view has all');
put_file("$dir/in/us", 'c.json', lines(qw(c1)));
ok(wait_for($node, 'SELECT count(*) FROM a1', 4), 'and more, some looks of the worker later');
is(names('in/*/*'), 'in/eu/a.json in/us/a.json in/us/c.json', 'nothing goes before the other has it');
sql(q(ALTER VIEW a2 SET (streaming.enabled = off)));
put_file("$dir/in/us", 'd.json', lines(qw(d1)));
ok(wait_for($node, 'SELECT count(*) FROM a1', 5), 'a view that is paused');
is(names('in/*/*'), 'in/eu/a.json in/us/a.json in/us/c.json in/us/d.json', 'keeps them, too');
sql(q(ALTER VIEW a2 SET (streaming.enabled = on)));
drain($node, 'a2');
files_are('in/*/*', '', 'all have gone when it has them');
is(names('old/all/in/*/*'), 'old/all/in/eu/a.json old/all/in/us/a.json old/all/in/us/c.json old/all/in/us/d.json', 'into the archive, where they were');
is(sql('SELECT count(*) FROM a2'), 5, 'no row is lost');

# A name that is free again is that of a new file, and one that is taken in the archive is kept.
put_file("$dir/in/eu", 'a.json', lines(qw(e1)));
drain($node, $_) foreach qw(a1 a2);
files_are('in/*/*', '', 'a file of the same name');
is(names('old/all/in/eu/*'), 'old/all/in/eu/a.json old/all/in/eu/a.json.1', 'is archived beside the other');
is(sql(q(SELECT string_agg(v, ' ' ORDER BY v) FROM a1)), 'a1 a2 b1 c1 d1 e1', 'and was taken');

put_file("$dir/del", 'x.json', lines($_)) && drain($node, 'd1'), files_are('del/*', '', "deleted, round $_") foreach 1 .. 3;
is(sql('SELECT count(*) FROM d1'), 3, 'each was taken');
ok(wait_for($node, q(SELECT count(*) FROM streaming.files WHERE stream = 'del'::regclass), 1), 'the table of files does not grow');

# What is gone cannot be read again.
like(error_of(q(SELECT streaming.reset('d1'))), qr/cannot reset continuous view "d1" because 3 files of stream "del" are no longer there.*force/s, 'a reset is refused');
is(sql('SELECT count(*) FROM d1'), 3, 'and has done nothing');
sql(q(SELECT streaming.reset('d1', force => true)));
put_file("$dir/del", 'y.json', lines(qw(y)));
drain($node, 'd1');
is(sql('SELECT v FROM d1'), 'y', 'unless it is asked for');
files_are('del/*', '', 'what was taken since goes, too');
sql(q(CREATE VIEW late WITH (streaming.continuous) AS SELECT v FROM del));
put_file("$dir/del", 'z.json', lines(qw(z)));
drain($node, $_) foreach qw(d1 late);
is(sql('SELECT v FROM late'), 'z', 'a new view begins with what is there');

# A file that was changed after it had been taken stays, and is told.
sql(q(ALTER VIEW late SET (streaming.enabled = off)));
put_file("$dir/del", 'w.json', lines(qw(w)));
drain($node, 'd1');
put_file("$dir/del", 'w.json', lines(qw(other rows)));
ok(wait_for($node, q(SELECT count(*) FROM streaming.files WHERE stream = 'del'::regclass AND changed IS NOT NULL), 1), 'a file is replaced before it goes');
put_file("$dir/del", 'v.json', lines(qw(v)));
sql(q(ALTER VIEW late SET (streaming.enabled = on)));
drain($node, $_) foreach qw(d1 late);
files_are('del/*', 'del/w.json', 'it stays, and nothing else');
unlink "$dir/del/w.json";

# What cannot go keeps nobody waiting, and is said.
SKIP:
{
	skip 'the superuser of the system may do anything', 4 if $> == 0;
	chmod 0555, "$dir/del";
	$node->stop;
	chmod 0755, "$dir/del";
	put_file("$dir/del", 'u.json', lines(qw(u)));
	chmod 0555, "$dir/del";
	$node->start;
	drain($node, $_) foreach qw(d1 late);
	ok(wait_for($node, q(SELECT last_error FROM streaming.stat_streams WHERE stream = 'del'::regclass), qr{could not rename file ".*u\.json" of stream public\.del.*Permission denied}), 'a directory that cannot be written');
	is(names('del/*'), 'del/u.json', 'the file stays');
	is(sql(q(SELECT count(*) FROM d1 WHERE v = 'u')), 1, 'and is taken once');
	chmod 0755, "$dir/del";
	files_are('del/*', '', 'and goes when it can');
}

# Kept after all.
sql(q(ALTER FOREIGN TABLE del OPTIONS (SET after 'keep')));
put_file("$dir/del", 't.json', lines(qw(t)));
drain($node, $_) foreach qw(d1 late);
put_file("$dir/del", 's.json', lines(qw(s)));
drain($node, $_) foreach qw(d1 late);
is(names('del/*'), 'del/s.json del/t.json', 'option "keep"');

# An attacker with rights of the operating system's in the landing directory.
symlink $node->basedir . '/outside', "$dir/link";
sql(q(ALTER FOREIGN TABLE arc OPTIONS (SET archive_path 'link')));
put_file("$dir/in/eu", 'l.json', lines(qw(l)));
drain($node, $_) foreach qw(a1 a2);
ok(wait_for($node, q(SELECT last_error FROM streaming.stat_streams WHERE stream = 'arc'::regclass), qr/symbolic links are not followed/), 'an archive that is a link');
is(join(' ', glob $node->basedir . '/outside/*'), '', 'nothing goes there');
unlink "$dir/link";
mkdir "$dir/link";
symlink $node->basedir . '/outside', "$dir/link/in";
sleep 1;
is(join(' ', glob $node->basedir . '/outside/*'), '', 'nor through a link below it');
unlink "$dir/link/in";
ok(wait_until(sub { -f "$dir/link/in/eu/l.json" }), 'without it the file goes into the archive');

# The directory of the file itself is made a link while the file is wanted.
sql(q(ALTER VIEW a2 SET (streaming.enabled = off)));
put_file("$dir/in/eu", 'm.json', lines(qw(m)));
drain($node, 'a1');
rename "$dir/in/eu", "$dir/moved";
PostgreSQL::Test::Utils::append_to_file($node->basedir . '/outside/m.json', 'precious');
symlink $node->basedir . '/outside', "$dir/in/eu";
sql(q(ALTER VIEW a2 SET (streaming.enabled = on)));
sleep 1;
is(join(' ', glob $node->basedir . '/outside/*'), $node->basedir . '/outside/m.json', 'a directory that became a link');
unlink "$dir/in/eu";
rename "$dir/moved", "$dir/in/eu";
drain($node, 'a2');
files_are('in/eu/*', '', 'back again, the file goes');
is(sql('SELECT count(*) FROM a1'), sql('SELECT count(*) FROM a2'), 'both views have the same');

# Rights that are lost.
sql(<<SQL);
CREATE ROLE keeper;
GRANT pg_read_server_files, pg_write_server_files TO keeper;
GRANT USAGE ON FOREIGN SERVER landing TO keeper;
GRANT CREATE ON SCHEMA public TO keeper;
SET ROLE keeper;
CREATE FOREIGN TABLE own (v text) SERVER landing OPTIONS (path 'other/*.json', after 'delete');
CREATE VIEW o1 WITH (streaming.continuous) AS SELECT v FROM own;
RESET ROLE;
REVOKE pg_write_server_files FROM keeper;
SQL
put_file("$dir/other", 'a.json', lines(qw(a)));
drain($node, 'o1');
ok(wait_for($node, q(SELECT last_error FROM streaming.stat_streams WHERE stream = 'own'::regclass), qr/"keeper", has no privileges of the role "pg_write_server_files"/), 'an owner without rights');
is(names('other/*'), 'other/a.json', 'files stay');
like(error_of('SET ROLE keeper; ALTER FOREIGN TABLE own OPTIONS (ADD start \'latest\')'), qr/permission denied to set option "after"/, 'who may not write may not set it');
sql('GRANT pg_write_server_files TO keeper');
files_are('other/*', '', 'until the rights are back');

$node->stop;
done_testing();
