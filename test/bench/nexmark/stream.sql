-- The union record of Nexmark as one stream, and the three views of it that
-- its queries read. Needs a server "nexmark" of the wrapper directory.
CREATE FOREIGN TABLE nexmark (
    event_type          int,
    seq                 bigint,
    person_id           bigint    OPTIONS (field 'person.id'),
    person_name         text      OPTIONS (field 'person.name'),
    person_email        text      OPTIONS (field 'person.emailAddress'),
    person_credit_card  text      OPTIONS (field 'person.creditCard'),
    person_city         text      OPTIONS (field 'person.city'),
    person_state        text      OPTIONS (field 'person.state'),
    person_date_time    timestamp OPTIONS (field 'person.dateTime'),
    person_extra        text      OPTIONS (field 'person.extra'),
    auction_id          bigint    OPTIONS (field 'auction.id'),
    auction_item_name   text      OPTIONS (field 'auction.itemName'),
    auction_description text      OPTIONS (field 'auction.description'),
    auction_initial_bid bigint    OPTIONS (field 'auction.initialBid'),
    auction_reserve     bigint    OPTIONS (field 'auction.reserve'),
    auction_date_time   timestamp OPTIONS (field 'auction.dateTime'),
    auction_expires     timestamp OPTIONS (field 'auction.expires'),
    auction_seller      bigint    OPTIONS (field 'auction.seller'),
    auction_category    bigint    OPTIONS (field 'auction.category'),
    auction_extra       text      OPTIONS (field 'auction.extra'),
    bid_auction         bigint    OPTIONS (field 'bid.auction'),
    bid_bidder          bigint    OPTIONS (field 'bid.bidder'),
    bid_price           bigint    OPTIONS (field 'bid.price'),
    bid_channel         text      OPTIONS (field 'bid.channel'),
    bid_url             text      OPTIONS (field 'bid.url'),
    bid_date_time       timestamp OPTIONS (field 'bid.dateTime'),
    bid_extra           text      OPTIONS (field 'bid.extra')
) SERVER nexmark OPTIONS (path '*.json', format 'json');

CREATE VIEW person AS
    SELECT person_id AS id, person_name AS name, person_email AS email_address, person_credit_card AS credit_card,
           person_city AS city, person_state AS state, person_date_time AS date_time, person_extra AS extra, seq
    FROM nexmark WHERE event_type = 0;

CREATE VIEW auction AS
    SELECT auction_id AS id, auction_item_name AS item_name, auction_description AS description,
           auction_initial_bid AS initial_bid, auction_reserve AS reserve, auction_date_time AS date_time,
           auction_expires AS expires, auction_seller AS seller, auction_category AS category, auction_extra AS extra, seq
    FROM nexmark WHERE event_type = 1;

CREATE VIEW bid AS
    SELECT bid_auction AS auction, bid_bidder AS bidder, bid_price AS price, bid_channel AS channel, bid_url AS url,
           bid_date_time AS date_time, bid_extra AS extra, seq
    FROM nexmark WHERE event_type = 2;
