-- The same as tables, which the queries answer in one batch.
CREATE TABLE person (
    id bigint, name text, email_address text, credit_card text, city text, state text,
    date_time timestamp, extra text, seq bigint);

CREATE TABLE auction (
    id bigint, item_name text, description text, initial_bid bigint, reserve bigint,
    date_time timestamp, expires timestamp, seller bigint, category bigint, extra text, seq bigint);

CREATE TABLE bid (
    auction bigint, bidder bigint, price bigint, channel text, url text,
    date_time timestamp, extra text, seq bigint);
