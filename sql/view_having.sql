-- HAVING in both directions: groups enter the result and leave it.
CREATE FOREIGN TABLE payments (account int, amount int) SERVER streaming;

CREATE VIEW overdrawn WITH (streaming.trigger = 'manual') AS
    SELECT account, sum(amount) AS balance FROM payments GROUP BY account
    HAVING sum(amount) < 0;
CREATE VIEW overdrawn_count WITH (streaming.trigger = 'manual') AS
    SELECT count(*) AS n, sum(balance) AS total FROM overdrawn;

INSERT INTO payments VALUES (1, 100), (2, -50), (3, -1);
SELECT streaming.drain('overdrawn');
SELECT * FROM overdrawn ORDER BY account;
SELECT streaming.drain('overdrawn_count') IS NOT NULL;
TABLE overdrawn_count;

-- 1 enters, 2 leaves, 3 changes
INSERT INTO payments VALUES (1, -150), (2, 60), (3, -1);
SELECT streaming.drain('overdrawn');
SELECT * FROM overdrawn ORDER BY account;
SELECT streaming.drain('overdrawn_count') IS NOT NULL;
TABLE overdrawn_count;

-- all leave
INSERT INTO payments VALUES (1, 1000), (3, 1000);
SELECT streaming.drain('overdrawn');
SELECT * FROM overdrawn ORDER BY account;
SELECT streaming.drain('overdrawn_count') IS NOT NULL;
TABLE overdrawn_count;

DROP FOREIGN TABLE payments CASCADE;
