SELECT customer_id, n, row_number() OVER (PARTITION BY customer_id ORDER BY n DESC) FROM orders;
SELECT c.name, o.n, sum(o.n) OVER w FROM customer AS c JOIN orders AS o ON o.customer_id = c.id WINDOW w AS (PARTITION BY c.id ORDER BY o.n);
SELECT customer_id, n, rank() OVER (PARTITION BY customer_id ORDER BY placed) AS r FROM orders ORDER BY r, customer_id, n LIMIT 5;
SELECT * FROM (SELECT customer_id, n, row_number() OVER (PARTITION BY customer_id ORDER BY n) AS r FROM orders) AS q WHERE q.r = 1;
SELECT n, row_number() OVER (ORDER BY placed, customer_id, n) FROM orders;
