# A restored view that somebody has locked keeps the others waiting in no way, and
# begins to run by itself when it is free.

use strict;
use warnings;

use StreamingTest;
use Test::More;

my $node = new_node('main');

$node->safe_psql('postgres', <<'SQL');
CREATE FOREIGN TABLE s (v int) SERVER streaming;
CREATE VIEW locked WITH (streaming.continuous) AS SELECT count(*) FROM s;
CREATE VIEW part_locked WITH (streaming.continuous) AS SELECT sum(v) FROM s;
INSERT INTO s VALUES (1);
SQL
drain($node, $_) foreach qw(locked part_locked);

# As pg_restore leaves a row: of another database than this one.
my $session = $node->background_psql('postgres');
my $part = $node->safe_psql('postgres', q(SELECT 'streaming_internal.result_' || id FROM streaming_internal.continuous_view WHERE view = 'part_locked'::regclass));
$session->query_safe("BEGIN; LOCK TABLE locked IN ACCESS EXCLUSIVE MODE; LOCK TABLE $part IN ACCESS EXCLUSIVE MODE;");
$node->safe_psql('postgres', q(UPDATE streaming_internal.continuous_view SET home = 'elsewhere'));
$node->safe_psql('postgres', 'CREATE VIEW other WITH (streaming.continuous) AS SELECT count(*) AS n FROM s');
ok(wait_for($node, 'SELECT n FROM other', '1'), 'another view begins');
$node->safe_psql('postgres', 'INSERT INTO s VALUES (2)');
ok(wait_for($node, 'SELECT n FROM other', '2'), 'and goes on');
is($node->safe_psql('postgres', q(SELECT count(*) FROM streaming_internal.continuous_view WHERE view = 'locked'::regclass AND home = 'elsewhere')), '1', 'the one that is locked is not restored yet');
$session->query_safe('ROLLBACK;');
$session->quit;
drain($node, $_) foreach qw(locked part_locked);
is($node->safe_psql('postgres', 'SELECT * FROM locked, part_locked'), '2|3', 'it begins when it is free');

done_testing();
