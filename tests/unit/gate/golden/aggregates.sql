SELECT count(*), sum(i.quantity), avg(i.price) FROM orders AS o JOIN item AS i ON i.customer_id = o.customer_id AND i.n = o.n;
SELECT o.placed, sum(i.quantity) AS q FROM orders AS o JOIN item AS i ON i.customer_id = o.customer_id AND i.n = o.n GROUP BY o.placed HAVING q > 2 ORDER BY q DESC, 1;
-- groups that lie on one shard each
SELECT c.id, c.name, count(*), group_concat(o.n) FROM customer AS c JOIN orders AS o ON o.customer_id = c.id GROUP BY c.id;
SELECT customer_id, count(DISTINCT product) AS d FROM item GROUP BY customer_id HAVING count(*) > 1 ORDER BY d DESC, customer_id LIMIT 2;
SELECT DISTINCT customer_id, product FROM item;
SELECT DISTINCT i.product FROM item AS i JOIN orders AS o ON o.customer_id = i.customer_id;
-- what needs the single rows
SELECT count(DISTINCT product) FROM item;
SELECT city, count(*) FROM customer GROUP BY city;
