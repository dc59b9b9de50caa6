-- correlated by the key
SELECT name FROM customer AS c WHERE EXISTS (SELECT 1 FROM orders AS o WHERE o.customer_id = c.id AND o.n = 2);
SELECT name, (SELECT max(placed) FROM orders AS o WHERE o.customer_id = c.id) AS last FROM customer AS c ORDER BY last DESC, name LIMIT 3;
SELECT name FROM customer WHERE id IN (SELECT customer_id FROM item WHERE quantity > 3);
SELECT name FROM customer AS c WHERE NOT EXISTS (SELECT 1 FROM orders AS o JOIN item AS i ON i.customer_id = o.customer_id WHERE o.customer_id = c.id);
SELECT count(*) FROM orders AS o WHERE (o.customer_id, o.n) IN (SELECT customer_id, n FROM item);
SELECT name FROM customer AS c WHERE 2 < (SELECT count(*) FROM item AS i WHERE i.customer_id = c.id AND i.n IN (SELECT n FROM orders AS o WHERE o.customer_id = c.id));
-- NOT IN has to know of every NULL
SELECT name FROM customer WHERE id NOT IN (SELECT customer_id FROM orders);
-- on their own
SELECT name FROM customer WHERE id > (SELECT avg(customer_id) FROM orders);
SELECT title FROM product WHERE code IN (SELECT product FROM item WHERE quantity > 2);
SELECT title, (SELECT count(*) FROM item) FROM product WHERE EXISTS (SELECT 1 FROM customer WHERE city = 'Oslo');
SELECT title, (SELECT sum(quantity) FROM item WHERE product = code) FROM product;
