
=head1 NAME

StreamingNexmark - the SQL of Nexmark, for its benchmark and its test

=head1 SYNOPSIS

  use StreamingNexmark;

  nexmark_sql('stream');      # test/bench/nexmark/stream.sql
  nexmark_queries();          # ([ q0 => 'SELECT ...' ], [ q1 => ...) of queries.sql

=cut

package StreamingNexmark;

use strict;
use warnings;

use Cwd qw(abs_path);
use Exporter 'import';
use File::Basename qw(dirname);

our @EXPORT = qw(nexmark_sql nexmark_queries);

my $directory = dirname(abs_path(__FILE__)) . '/../bench/nexmark';

sub nexmark_sql
{
	my ($name) = @_;

	open my $file, '<', "$directory/$name.sql" or die "$directory/$name.sql: $!\n";
	local $/;
	return scalar <$file>;
}

sub nexmark_queries
{
	my (undef, @parts) = split /^-- (q\d+):.*\n/m, nexmark_sql('queries');
	my @queries;

	while (my ($name, $query) = splice @parts, 0, 2)
	{
		push @queries, [ $name => $query =~ s/;\s*\z//r ];
	}
	return @queries;
}

1;
