# The rooms of src/: an include points to its own room or to one above it in the
# list of src/README, which says why they are in that order.

use strict;
use warnings;

use Test::More;

# The few that point back all the same, and why. One that is gone, goes here, too.
my %excused = (
	'query/compile.c: sink/sink.h' =>
	  'the compiler asks the sink what it thinks of the program, of which sinks see the whole',
);

sub slurp
{
	my ($file) = @_;

	open my $in, '<', $file or die "$file: $!";
	local $/;
	return scalar <$in>;
}

# The rooms of a README in their order: "base/" or the name of a file.
sub rooms
{
	my ($readme) = @_;
	my ($list) = $readme =~ /^A tour of the files\n-+\n(.*?)^\S[^\n]*\n-+$/ms
	  or die 'src/README has no tour of the files';

	return $list =~ m{^   ([\w.]+/?) +\S}mg;
}

# What is wrong with sources, a hash of text by path below src/.
sub wrong
{
	my ($sources, $excused, @rooms) = @_;
	my %rank = map { $rooms[$_] => $_ } 0 .. $#rooms;
	my %unused = %$excused;
	my @wrong;
	# A lone file is in the room of its header, and kafka_property.c in that of kafka.h.
	my $rank_of = sub {
		my ($path) = @_;

		return $rank{ $1 } if $path =~ m{^(\w+/)};
		return $rank{ $path } if defined $rank{ $path };
		my ($stem) = $path =~ /^([^\W_]+)/;
		return $rank{ "$stem.h" };
	};

	foreach my $path (sort keys %$sources)
	{
		my ($folder) = $path =~ m{^(\w+/)};

		if (!defined $rank_of->($path))
		{
			push @wrong, "$path is in no room";
			next;
		}
		foreach my $name ($sources->{$path} =~ /^\s*#\s*include\s+"([^"]+)"/mg)
		{
			my ($header) = grep { exists $sources->{$_} } ($folder // '') . $name, $name;

			next if !defined $header || !defined $rank_of->($header);
			next if $rank_of->($header) <= $rank_of->($path);
			my $include = "$path: $header";
			push @wrong, $include if !exists $excused->{$include};
			delete $unused{$include};
		}
	}
	return @wrong, map { "$_ need not be excused" } sort keys %unused;
}

# What is refused.
my @three = rooms("A tour of the files\n---\n\n   base/  low\n          further words\n   kafka.h  middle\n"
	  . "   top/   high\n\nThe rest\n---\n   none/  no room\n");
is("@three", 'base/ kafka.h top/', 'rooms are read in their order');
my %house = (
	'base/a.h' => qq{#include "postgres.h"\n},
	'base/a.c' => qq{#include "base/a.h"\n#include "a.h"\n},
	'kafka.h' => qq{#include "base/a.h"\n},
	'kafka_property.c' => qq{#include "kafka.h"\n},
	'top/b.h' => qq{#include "kafka.h"\n#include "base/a.h"\n});
is_deeply([ wrong(\%house, {}, @three) ], [], 'includes along the order are taken');
is_deeply([ wrong({ %house, 'base/a.c' => qq{  # include "top/b.h"\n} }, {}, @three) ],
	['base/a.c: top/b.h'], 'one that points back is refused');
is_deeply([ wrong({ %house, 'kafka.c' => qq{#include "top/b.h"\n} }, {}, @three) ],
	['kafka.c: top/b.h'], 'of a file without a folder, too');
is_deeply([ wrong({ %house, 'base/a.c' => qq{#include "top/b.h"\n} },
			{ 'base/a.c: top/b.h' => 'reason' }, @three) ], [], 'unless it is excused');
is_deeply([ wrong(\%house, { 'base/a.c: top/b.h' => 'reason' }, @three) ],
	['base/a.c: top/b.h need not be excused'], 'which has to be needed');
is_deeply([ wrong({ %house, 'attic/c.c' => '' }, {}, @three) ],
	['attic/c.c is in no room'], 'a folder that is not listed is refused');

# The sources.
my %sources = map { substr($_, length 'src/') => slurp($_) } glob 'src/*.[ch] src/*/*.[ch] src/*/*.cc';
my @rooms = rooms(slurp('src/README'));
cmp_ok(scalar keys %sources, '>', 200, 'there are sources');
is_deeply([ wrong(\%sources, \%excused, @rooms) ], [], 'includes of src/ point one way');
is_deeply([ grep { !-e "src/$_" } @rooms ], [], 'all rooms are there');

# Headers of the server include each other by their folders, and would find ours.
my $include = `$ENV{PG_CONFIG} --includedir-server`;
chomp $include;
ok(-e "$include/postgres.h", 'the server has headers');
is_deeply([ grep { -e "$include/$_" } sort keys %sources ], [], 'none of ours hides one of them');

# Comments name files that are there.
my $folders = join '|', grep { s{/$}{} } map { "$_" } @rooms;
my %text = (%sources, README => slurp('src/README'));
my @gone;
foreach my $path (sort keys %text)
{
	(my $comments = $text{$path}) =~ s/^\s*#\s*include.*//mg;
	push @gone, map { "$path: $_" } grep { !-e "src/$_" }
	  $comments =~ m{(?<![\w/])((?:$folders)/\w+\.(?:cc|[ch]))\b}g;
}
is_deeply(\@gone, [], 'files that are named are there');

done_testing();
