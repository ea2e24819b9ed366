
=head1 NAME

StreamingTaker - a reader that takes files away as they appear in a directory

=head1 SYNOPSIS

  my $taker = StreamingTaker->new($directory);
  ... let the server write files, kill it, start it ...
  $taker->stop;
  my @lines = $taker->lines;       # of all files, in the order of taking
  my @files = $taker->files;       # names
  is(join("\n", $taker->problems), '', 'no file was seen that was not whole');

It looks all the while, in a process of its own. A file that it sees it reads
and removes at once; names that begin with a dot are not its business. A file is
whole if it ends with an end of line and, if its name ends in .gz, if gzip says so.

=cut

package StreamingTaker;

use strict;
use warnings;

use File::Temp ();
use IO::Uncompress::Gunzip ();
use POSIX ();
use PostgreSQL::Test::Utils ();
use Time::HiRes qw(sleep);

my @running;

=head2 new(DIRECTORY)

Starts one.

=cut

sub new
{
	my ($class, $directory) = @_;
	my $self = bless { dir => File::Temp::tempdir('taker_XXXX', DIR => $ENV{STREAMING_WORK}, CLEANUP => 1) }, $class;

	my $pid = fork;
	die "fork: $!" unless defined $pid;
	if ($pid == 0)
	{
		eval { _take($self->{dir}, $directory); 1 } or _say($self->{dir}, 'problem', $@);
		# Not exit: that would tear down what belongs to the parent.
		POSIX::_exit(0);
	}
	$self->{pid} = $pid;
	push @running, $self;
	return $self;
}

sub _say
{
	my ($dir, $what, @lines) = @_;

	open my $out, '>>:raw', "$dir/$what" or die "$dir/$what: $!";
	print $out map { /\n\z/ ? $_ : "$_\n" } @lines;
	close $out or die "$dir/$what: $!";
	return;
}

sub _take
{
	my ($dir, $directory) = @_;
	my $last;

	until ($last)
	{
		$last = -e "$dir/stop";
		opendir my $handle, $directory or die "$directory: $!";
		foreach my $name (sort grep { !/^\./ } readdir $handle)
		{
			my $content = PostgreSQL::Test::Utils::slurp_file("$directory/$name");

			if ($name =~ /\.gz\z/)
			{
				my $compressed = $content;
				undef $content;
				IO::Uncompress::Gunzip::gunzip(\$compressed => \$content)
				  or _say($dir, 'problem', "$name: $IO::Uncompress::Gunzip::GunzipError");
			}
			_say($dir, 'problem', "$name does not end with an end of line") unless $content =~ /\n\z/;
			_say($dir, 'lines', $content);
			_say($dir, 'files', $name);
			unlink "$directory/$name" or die "$directory/$name: $!";
		}
		closedir $handle;
		sleep 0.001;
	}
	return;
}

sub _said
{
	my ($self, $what) = @_;

	return () unless -e "$self->{dir}/$what";
	return split /\n/, PostgreSQL::Test::Utils::slurp_file("$self->{dir}/$what");
}

=head2 stop

Returns when it has taken all that is there.

=cut

sub stop
{
	my ($self) = @_;

	_say($self->{dir}, 'stop', 'stop');
	waitpid $self->{pid}, 0;
	@running = grep { $_ != $self } @running;
	return;
}

=head2 lines, files, problems

What it has seen so far.

=cut

sub lines { return $_[0]->_said('lines') }
sub files { return $_[0]->_said('files') }
sub problems { return $_[0]->_said('problem') }

END
{
	# Take care not to change the script's exit value.
	my $status = $?;

	kill 'TERM', map { $_->{pid} } @running;
	$? = $status;
}

1;
