SELECT customer_id FROM orders UNION ALL SELECT customer_id FROM item WHERE quantity > 3;
SELECT customer_id, n FROM orders EXCEPT SELECT customer_id, n FROM item;
SELECT id FROM customer INTERSECT SELECT customer_id FROM item;
SELECT n FROM orders UNION SELECT quantity FROM item;
SELECT name FROM customer UNION SELECT title FROM product ORDER BY 1 LIMIT 4;
SELECT 'orders', count(*) FROM orders UNION ALL SELECT 'items', count(*) FROM item;
SELECT customer_id AS c, n FROM orders UNION SELECT customer_id, n FROM item ORDER BY n DESC, c LIMIT 3;
SELECT * FROM (SELECT customer_id, n FROM orders UNION ALL SELECT customer_id, n FROM item ORDER BY 2 LIMIT 5 OFFSET 1) WHERE n > 1;
SELECT customer_id, n FROM orders WHERE customer_id = 3 UNION ALL SELECT customer_id, n FROM item WHERE customer_id = 3 ORDER BY n LIMIT 2;
