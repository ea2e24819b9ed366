# An ORC file names the time zone of who wrote it, and the library opens that as a file: it
# is none but a zone, whatever the name is, and no scan is held up by it.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use POSIX ();
use PostgreSQL::Test::Utils;
use StreamingTest;
use Test::More;

plan skip_all => $ENV{STREAMING_NO_ARROW} if $ENV{STREAMING_NO_ARROW};

my $node = new_node('main');
my $dir = $node->basedir . '/orc';
my $file = slurp_file(Cwd::abs_path(dirname(__FILE__) . '/../columnar') . '/zone.orc');

# The file's name of a zone is so long.
sub put_zone
{
	my ($name, $begin, $zone) = @_;
	my $missing = 200 - length "$begin$zone";
	my $text = $file;

	$text =~ s{x{200}}{$begin . './' x ($missing / 2) . '/' x ($missing % 2) . $zone}e or die;
	put_file($dir, "$name.orc", $text);
}

mkdir $dir;
POSIX::mkfifo("$dir/pipe", 0600) or die;
append_to_file("$dir/there", 'none of your business');
my $up = '../' x 20;
put_zone('a', '', 'America/New_York');
put_zone('b', $up, "$dir/pipe");
put_zone('c', $up, "$dir/there");
put_zone('d', $up, "$dir/absent");
put_zone('e', "America/$up", "$dir/there");
put_zone('f', '', 'America/..');
put_zone('g', '', 'UTC');

$node->safe_psql('postgres', <<SQL);
CREATE SERVER d FOREIGN DATA WRAPPER directory OPTIONS (path '$dir');
CREATE FOREIGN TABLE s (id int, ts timestamp, file text OPTIONS (metadata 'path')) SERVER d OPTIONS (path '*.orc', format 'orc');
CREATE VIEW v WITH (streaming.continuous) AS SELECT * FROM s;
SQL
drain($node, 'v');
is($node->safe_psql('postgres', 'SELECT substring(file FROM $$.\.orc$$), ts FROM v ORDER BY 1'),
	"a.orc|2024-01-01 00:00:00\ng.orc|2024-01-01 00:00:00", 'files with a zone are read');
my @said = split /\n/, $node->safe_psql('postgres', 'SELECT error FROM streaming.rejected_rows');
is(scalar(@said), 5, 'the others are bad files');
is(scalar(grep { /does not exist/ } @said), 5, 'which say the same of a file that is there as of one that is not')
  or diag join "\n", @said;
same_as_batch($node, 'v', 'SELECT * FROM s');

$node->stop;
done_testing();
