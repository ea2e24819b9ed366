-- Nexmark's queries in PostgreSQL's SQL, with a heading each. Times are columns
-- of the events, also where the benchmark has the time of processing (q12), and
-- seq, the number of the event, decides between what is equal otherwise: so each
-- query has one answer.

-- q0: bids as they are
SELECT auction, bidder, price, date_time, extra FROM bid;

-- q1: prices in another currency
SELECT auction, bidder, 0.908 * price AS price, date_time, extra FROM bid;

-- q2: bids on some auctions
SELECT auction, price FROM bid WHERE mod(auction, 123) = 0;

-- q3: who sells in a category and in some states
SELECT p.name, p.city, p.state, a.id
FROM auction a JOIN person p ON a.seller = p.id
WHERE a.category = 10 AND p.state IN ('OR', 'ID', 'CA');

-- q4: average price of the auctions of a category
SELECT category, avg(final) AS avg
FROM (SELECT max(b.price) AS final, a.category
      FROM auction a JOIN bid b ON a.id = b.auction AND b.date_time BETWEEN a.date_time AND a.expires
      GROUP BY a.id, a.category) q
GROUP BY category;

-- q5: auctions with the most bids, by hopping windows
WITH w AS (
    SELECT auction, ws, count(*) AS num
    FROM bid, LATERAL generate_series(date_bin('2 s', date_time, 'epoch') - interval '8 s',
                                      date_bin('2 s', date_time, 'epoch'), interval '2 s') ws
    GROUP BY 1, 2)
SELECT auction, num, ws AS starttime
FROM (SELECT *, max(num) OVER (PARTITION BY ws) AS mx FROM w) x
WHERE num = mx;

-- q6: average price of a seller's last auctions
SELECT seller, avg(price) OVER (PARTITION BY seller ORDER BY date_time, seq
                                ROWS BETWEEN 10 PRECEDING AND CURRENT ROW) AS avg_price
FROM (SELECT DISTINCT ON (a.id) a.id, a.seller, b.price, b.date_time, b.seq
      FROM auction a JOIN bid b ON a.id = b.auction AND b.date_time BETWEEN a.date_time AND a.expires
      ORDER BY a.id, b.price DESC, b.date_time, b.seq) q;

-- q7: highest bids of a window
SELECT b.auction, b.price, b.bidder, b.date_time, b.extra
FROM bid b JOIN (SELECT max(price) AS maxprice, we FROM bid_t10 GROUP BY ws, we) m ON b.price = m.maxprice
WHERE b.date_time BETWEEN m.we - interval '10 s' AND m.we;

-- q8: new persons who sell at once
SELECT p.id, p.name, p.ws AS starttime
FROM (SELECT id, name, date_bin('10 s', date_time, 'epoch') AS ws FROM person GROUP BY 1, 2, 3) p
JOIN (SELECT seller, date_bin('10 s', date_time, 'epoch') AS ws FROM auction GROUP BY 1, 2) a
    ON p.id = a.seller AND p.ws = a.ws;

-- q9: the winning bid of each auction
SELECT *
FROM (SELECT a.*, b.auction, b.bidder, b.price, b.date_time AS bid_date_time, b.extra AS bid_extra,
             row_number() OVER (PARTITION BY a.id ORDER BY b.price DESC, b.date_time ASC, b.seq) AS rownum
      FROM auction a JOIN bid b ON a.id = b.auction AND b.date_time BETWEEN a.date_time AND a.expires) t
WHERE rownum <= 1;

-- q10: bids with the names of partitions
SELECT auction, bidder, price, date_time, extra,
       to_char(date_time, 'YYYY-MM-DD') AS dt, to_char(date_time, 'HH24:MI') AS hm
FROM bid;

-- q11: bids of a bidder's session
SELECT bidder, count(*) AS bid_count, min(date_time) AS starttime, max(date_time) + interval '10 s' AS endtime
FROM (SELECT *, sum(nw) OVER (PARTITION BY bidder ORDER BY date_time, seq) AS s
      FROM (SELECT *, (CASE WHEN date_time - lag(date_time) OVER (PARTITION BY bidder ORDER BY date_time, seq)
                                 <= interval '10 s' THEN 0 ELSE 1 END) AS nw
            FROM bid) x) y
GROUP BY bidder, s;

-- q12: bids of a bidder, by windows
SELECT bidder, count(*) AS bid_count, ws AS starttime, we AS endtime FROM bid_t10 GROUP BY bidder, ws, we;

-- q13: bids joined with a table
SELECT b.auction, b.bidder, b.price, b.date_time, s.value
FROM bid b JOIN side_input s ON mod(b.auction, 10000) = s.key;

-- q14: expressions and a function of the user's
SELECT auction, bidder, 0.908 * price AS price,
       CASE WHEN extract(hour FROM date_time) >= 8 AND extract(hour FROM date_time) <= 18 THEN 'dayTime'
            WHEN extract(hour FROM date_time) <= 6 OR extract(hour FROM date_time) >= 20 THEN 'nightTime'
            ELSE 'otherTime' END AS bidtimetype,
       date_time, extra, count_char(extra, 'c') AS c_counts
FROM bid
WHERE 0.908 * price > 1000000 AND 0.908 * price < 50000000;

-- q15: bids, bidders and auctions of a day, by price
SELECT to_char(date_time, 'YYYY-MM-DD') AS "day",
       count(*) AS total_bids,
       count(*) FILTER (WHERE price < 10000) AS rank1_bids,
       count(*) FILTER (WHERE price >= 10000 AND price < 1000000) AS rank2_bids,
       count(*) FILTER (WHERE price >= 1000000) AS rank3_bids,
       count(DISTINCT bidder) AS total_bidders,
       count(DISTINCT bidder) FILTER (WHERE price < 10000) AS rank1_bidders,
       count(DISTINCT bidder) FILTER (WHERE price >= 10000 AND price < 1000000) AS rank2_bidders,
       count(DISTINCT bidder) FILTER (WHERE price >= 1000000) AS rank3_bidders,
       count(DISTINCT auction) AS total_auctions,
       count(DISTINCT auction) FILTER (WHERE price < 10000) AS rank1_auctions,
       count(DISTINCT auction) FILTER (WHERE price >= 10000 AND price < 1000000) AS rank2_auctions,
       count(DISTINCT auction) FILTER (WHERE price >= 1000000) AS rank3_auctions
FROM bid GROUP BY 1;

-- q16: the same of a channel
SELECT channel, to_char(date_time, 'YYYY-MM-DD') AS "day", max(to_char(date_time, 'HH24:MI')) AS "minute",
       count(*) AS total_bids,
       count(*) FILTER (WHERE price < 10000) AS rank1_bids,
       count(*) FILTER (WHERE price >= 10000 AND price < 1000000) AS rank2_bids,
       count(*) FILTER (WHERE price >= 1000000) AS rank3_bids,
       count(DISTINCT bidder) AS total_bidders,
       count(DISTINCT bidder) FILTER (WHERE price < 10000) AS rank1_bidders,
       count(DISTINCT bidder) FILTER (WHERE price >= 10000 AND price < 1000000) AS rank2_bidders,
       count(DISTINCT bidder) FILTER (WHERE price >= 1000000) AS rank3_bidders,
       count(DISTINCT auction) AS total_auctions,
       count(DISTINCT auction) FILTER (WHERE price < 10000) AS rank1_auctions,
       count(DISTINCT auction) FILTER (WHERE price >= 10000 AND price < 1000000) AS rank2_auctions,
       count(DISTINCT auction) FILTER (WHERE price >= 1000000) AS rank3_auctions
FROM bid GROUP BY 1, 2;

-- q17: bids of an auction and a day
SELECT auction, to_char(date_time, 'YYYY-MM-DD') AS "day",
       count(*) AS total_bids,
       count(*) FILTER (WHERE price < 10000) AS rank1_bids,
       count(*) FILTER (WHERE price >= 10000 AND price < 1000000) AS rank2_bids,
       count(*) FILTER (WHERE price >= 1000000) AS rank3_bids,
       min(price) AS min_price, max(price) AS max_price, avg(price) AS avg_price, sum(price) AS sum_price
FROM bid GROUP BY 1, 2;

-- q18: the last bid of a bidder on an auction
SELECT auction, bidder, price, channel, url, date_time, extra
FROM (SELECT *, row_number() OVER (PARTITION BY bidder, auction ORDER BY date_time DESC, seq DESC) AS r FROM bid) x
WHERE r <= 1;

-- q19: the ten highest bids on an auction
SELECT *
FROM (SELECT *, row_number() OVER (PARTITION BY auction ORDER BY price DESC, seq) AS rank_number FROM bid) x
WHERE rank_number <= 10;

-- q20: bids with the auctions of a category
SELECT auction, bidder, price, channel, url, b.date_time AS bid_date_time, b.extra AS bid_extra,
       item_name, description, initial_bid, reserve, a.date_time AS auction_date_time, expires, seller, category,
       a.extra AS auction_extra
FROM bid b JOIN auction a ON b.auction = a.id
WHERE a.category = 10;

-- q21: ids of channels, by regular expression
SELECT auction, bidder, price, channel,
       CASE lower(channel) WHEN 'apple' THEN '0' WHEN 'google' THEN '1' WHEN 'facebook' THEN '2' WHEN 'baidu' THEN '3'
            ELSE (regexp_match(url, '(&|^)channel_id=([^&]*)'))[2] END AS channel_id
FROM bid
WHERE (regexp_match(url, '(&|^)channel_id=([^&]*)'))[2] IS NOT NULL
   OR lower(channel) IN ('apple', 'google', 'facebook', 'baidu');

-- q22: directories of a URL
SELECT auction, bidder, price, channel,
       split_part(url, '/', 4) AS dir1, split_part(url, '/', 5) AS dir2, split_part(url, '/', 6) AS dir3
FROM bid;

-- q23: bids of those who also sell, with all that is known of them
SELECT b.bidder, b.price, b.channel, b.url, b.extra AS bid_extra,
       p.id AS person_id, p.name, p.email_address, p.credit_card, p.city, p.state, p.extra AS person_extra,
       a.item_name, a.description, a.initial_bid, a.reserve, a.date_time AS auction_date_time, a.expires, a.seller,
       a.category, a.extra AS auction_extra
FROM bid b JOIN person p ON p.id = b.bidder JOIN auction a ON a.seller = b.bidder;
