SELECT * FROM customer WHERE id = 5;
SELECT c.name, o.placed FROM customer AS c JOIN orders AS o ON o.customer_id = c.id WHERE c.id = 5;
SELECT c.name, o.placed FROM customer AS c JOIN orders AS o ON o.customer_id = c.id WHERE o.customer_id IN (5, 6);
SELECT c.name, o.placed FROM customer AS c, orders AS o WHERE o.customer_id = 5 AND c.id = 5;
SELECT name, (SELECT count(*) FROM orders WHERE customer_id = 5) FROM customer WHERE id = 5;
SELECT c.name, count(o.n) FROM customer AS c LEFT JOIN orders AS o ON o.customer_id = c.id WHERE c.id = 3 GROUP BY c.name;
SELECT * FROM (SELECT * FROM orders WHERE n > 1) AS o WHERE o.customer_id = 7;
SELECT c.name, i.product, p.title FROM customer AS c JOIN item AS i ON i.customer_id = c.id JOIN product AS p ON p.code = i.product WHERE c.id = 5 AND p.code = 'p2';
SELECT n FROM orders WHERE customer_id = 3 UNION ALL SELECT n FROM item WHERE customer_id = 3;
SELECT n FROM orders WHERE customer_id = 3 UNION ALL SELECT n FROM item WHERE customer_id = 5;
-- no pruning: another collation, another affinity
SELECT * FROM product WHERE code = 'P1' COLLATE NOCASE;
SELECT * FROM customer AS c WHERE +c.id = 5;
