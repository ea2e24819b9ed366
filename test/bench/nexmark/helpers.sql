-- What the queries need beside person, auction and bid, in the same schema.
CREATE TABLE side_input (key bigint PRIMARY KEY, value text);
INSERT INTO side_input SELECT g, g::text FROM generate_series(0, 9999) g;

CREATE FUNCTION count_char(s text, c text) RETURNS bigint LANGUAGE sql IMMUTABLE
    AS $$ SELECT (length(s) - length(replace(s, c, '')))::bigint $$;

-- Bids with the window of ten seconds that they are in
CREATE VIEW bid_t10 AS
    SELECT *, date_bin('10 s', date_time, 'epoch') AS ws, date_bin('10 s', date_time, 'epoch') + interval '10 s' AS we
    FROM bid;
