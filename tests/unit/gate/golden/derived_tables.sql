SELECT v.name FROM (SELECT * FROM customer WHERE city = 'Rome') AS v WHERE v.id > 3;
SELECT v.city, count(*) FROM (SELECT id, upper(city) AS city FROM customer) AS v JOIN orders AS o ON o.customer_id = v.id GROUP BY v.city;
SELECT c.name, q.total FROM customer AS c LEFT JOIN (SELECT customer_id, sum(quantity) AS total FROM item GROUP BY customer_id) AS q ON q.customer_id = c.id ORDER BY c.name;
SELECT c.name, v.k FROM customer AS c JOIN (SELECT customer_id AS k, n FROM orders UNION ALL SELECT customer_id, quantity FROM item) AS v ON v.k = c.id WHERE v.n > 2;
SELECT p.title, v.quantity FROM product AS p JOIN (SELECT * FROM item WHERE price > 2) AS v ON v.product = p.code WHERE v.quantity > 1;
SELECT p.title, v.name FROM product AS p, (SELECT name FROM customer ORDER BY name LIMIT 2) AS v;
SELECT group_concat(name) FROM (SELECT name FROM customer ORDER BY name DESC);
SELECT avg(n) FROM (SELECT count(*) AS n FROM orders GROUP BY customer_id);
-- an alias goes before a column of a derived table
SELECT p.code AS x, c.city FROM product AS p, customer AS c, (SELECT 5 AS x FROM orders GROUP BY customer_id) AS q WHERE c.id = 1 ORDER BY x DESC, c.id;
