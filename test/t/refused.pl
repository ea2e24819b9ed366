# What README.md says cannot be kept is what is refused: each row of its table is
# a part of sql/view_refused.sql and of what that prints, and each refusal of the
# compiler is printed by some test.

use strict;
use warnings;

use PostgreSQL::Test::Utils ();
use Test::More;

sub slurp { return PostgreSQL::Test::Utils::slurp_file($_[0]) }

# --- the table and the test ---------------------------------------------------

my ($table) = slurp('README.md') =~ /^\| cannot be kept \|.*\n\| --- .*\n((?:\|.*\n)+)/m;
my @rows = map { s/`//gr } ($table // '') =~ /^\| (.+?) \| .+ \|$/mg;

# What follows each comment, up to the next. A comment that is a row of the table
# ends without a full stop.
my (%statements, @sections);
foreach my $part (split /^(?=-- )/m, slurp('expected/view_refused.out'))
{
	my ($comment, $body) = $part =~ /\A-- ([^\n]*)\n(.*)\z/s or next;

	next if $comment =~ /\.$/;
	push @sections, $comment;
	$statements{$comment} = $body;
}
cmp_ok(scalar @rows, '>', 5, 'README.md has the table of what cannot be kept');
is(join("\n", @sections), join("\n", @rows),
	'sql/view_refused.sql has a part for each row of the table, and no other');

foreach my $section (@sections)
{
	my @queries = split /^(?=CREATE VIEW v )/m, $statements{$section};

	shift @queries unless $queries[0] =~ /^CREATE VIEW v /;
	ok(@queries > 0, "$section: there is a query");
	foreach my $query (@queries)
	{
		my ($statement) = $query =~ /\A(.*?);/;

		like($query, qr/^ERROR:  .*^HINT:  .*^0A000$/ms, "refused, with a hint: $statement");
	}
}

# --- the compiler and the tests ------------------------------------------------

# What no CREATE VIEW brings about: PostgreSQL or another check comes first.
my %unreachable = map { $_ => 1 } (
	'data-modifying statements', 'TABLESAMPLE of a stream',
	'a stream inside the ordinary view "%s"',
	'columns that depend on the grouping columns only by a primary key',
	'session windows over a continuous view whose rows can disappear');

my $printed = join '', map { slurp($_) } glob 'expected/*.out';
my $messages = 0;
foreach my $file (glob 'src/query/*.c')
{
	my $source = slurp($file);
	my @refused = map { "continuous views do not support $_" } grep { !$unreachable{ s/\\"/"/gr } }
		$source =~ /(?:errmsg\("continuous views do not support |refuse\((?:psprintf\()?")((?:[^"\\]|\\.)+)"/g;
	my @append = $source =~ /errmsg\("(output mode (?:[^"\\]|\\.)+)"/g;

	next if $file =~ /mutable/;    # says where, too
	foreach my $message (map { s/\\"/"/gr } grep { !/support %s/ } @refused, @append)
	{
		my $pattern = join '.+', map { quotemeta } split /%[sd]/, $message, -1;

		$messages++;
		like($printed, qr/^ERROR:  $pattern/m, "$file: tested: $message");
	}
}
cmp_ok($messages, '>', 10, 'the messages of the compiler are found');

done_testing();
