-- equal sharding columns: the join goes down whole
SELECT c.name, o.placed FROM customer AS c JOIN orders AS o ON o.customer_id = c.id;
SELECT c.name, i.product FROM customer AS c, orders AS o, item AS i WHERE o.customer_id = c.id AND i.customer_id = o.customer_id AND i.n = o.n AND c.city = 'rome';
SELECT * FROM orders NATURAL JOIN item;
SELECT o.placed, i.product FROM orders AS o JOIN item AS i USING (customer_id, n) ORDER BY 1, 2 LIMIT 3;
-- outer joins
SELECT c.name, o.n FROM customer AS c LEFT JOIN orders AS o ON o.customer_id = c.id;
SELECT c.name, o.n FROM customer AS c LEFT JOIN orders AS o ON o.customer_id = c.id WHERE o.n IS NULL ORDER BY c.name LIMIT 2;
SELECT c.name, o.n FROM orders AS o RIGHT JOIN customer AS c ON o.customer_id = c.id;
SELECT count(*) FROM orders AS o FULL JOIN customer AS c ON o.customer_id = c.id AND o.n = 1;
-- the key of one table against another column: not on one shard
SELECT c.name, o.n FROM customer AS c LEFT JOIN orders AS o ON o.n = c.id;
-- a join that shards make, within one that they do not
SELECT c.name, p.title, i.quantity FROM customer AS c JOIN item AS i ON i.customer_id = c.id JOIN product AS p ON p.code = i.product WHERE c.city = 'Oslo' AND p.weight IS NOT NULL;
SELECT c.name, p.title FROM product AS p, customer AS c LEFT JOIN item AS i ON i.customer_id = c.id AND i.n = 2 WHERE p.code = i.product OR i.n IS NULL;
SELECT p.title, count(*), sum(i.quantity) FROM orders AS o JOIN item AS i ON i.customer_id = o.customer_id AND i.n = o.n JOIN product AS p ON p.code = i.product WHERE o.placed > '2024-03' GROUP BY p.code, p.title ORDER BY 1;
-- with a table that is not sharded
SELECT c.name FROM customer AS c JOIN setting AS s ON s.value = c.city;
SELECT a.name, b.name FROM customer AS a JOIN customer AS b ON a.city = b.city AND a.id < b.id;
