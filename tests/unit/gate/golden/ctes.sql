WITH o AS (SELECT customer_id, count(*) AS n FROM orders GROUP BY customer_id) SELECT c.name, o.n FROM customer AS c JOIN o ON o.customer_id = c.id;
WITH q AS (SELECT city, count(*) AS n FROM customer GROUP BY city) SELECT max(n) FROM q;
WITH q AS (SELECT quantity AS v, count(*) AS n FROM item GROUP BY quantity) SELECT a.v, b.v FROM q AS a, q AS b WHERE a.n = b.n AND a.v < b.v;
WITH big AS (SELECT * FROM item WHERE quantity > 2) SELECT p.title, b.quantity FROM product AS p JOIN big AS b ON b.product = p.code;
WITH big AS (SELECT * FROM item WHERE quantity > 2), c AS (SELECT customer_id, sum(quantity) AS total FROM big GROUP BY customer_id) SELECT p.title, c.total FROM product AS p JOIN big AS b ON b.product = p.code JOIN c ON c.customer_id = b.customer_id;
WITH RECURSIVE r(i) AS (SELECT max(n) FROM orders UNION ALL SELECT i - 1 FROM r WHERE i > 0) SELECT i, (SELECT count(*) FROM orders WHERE n = i) FROM r;
