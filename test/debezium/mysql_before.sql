CREATE TABLE orders (id int PRIMARY KEY, customer varchar(40), amount decimal(10,2), big text, at timestamp(6) NULL, seen datetime, day date, ok tinyint(1), tags json) CHARACTER SET utf8mb4;
INSERT INTO orders VALUES (1, 'Ann', 12.50, NULL, '2026-01-01 12:00:00', '1969-12-31 23:59:58', '2026-01-01', true, '{"a": [1, "x"]}'), (2, 'Bob "the" builder', 99.00, NULL, NULL, NULL, NULL, false, NULL);
