-- Questions about the Chinook store, for test_chinook.py: a title, then one statement. Orders leave no ties.

-- revenue by country
SELECT c.Country, count(DISTINCT c.CustomerId) AS customers, sum(l.Quantity) AS sold, round(sum(l.UnitPrice * l.Quantity), 2) AS revenue
FROM Customer c JOIN Invoice i ON i.CustomerId = c.CustomerId JOIN InvoiceLine l ON l.InvoiceId = i.InvoiceId
GROUP BY c.Country ORDER BY revenue DESC, c.Country;

-- best-selling artists
SELECT ar.Name, sum(l.Quantity) AS sold, round(sum(l.UnitPrice * l.Quantity), 2) AS revenue
FROM InvoiceLine l JOIN Track t USING (TrackId) JOIN Album al USING (AlbumId) JOIN Artist ar USING (ArtistId)
GROUP BY ar.ArtistId, ar.Name ORDER BY sold DESC, ar.Name LIMIT 15;

-- revenue by genre and year
SELECT g.Name, strftime('%Y', i.InvoiceDate) AS year, round(sum(l.UnitPrice * l.Quantity), 2) AS revenue
FROM Genre g JOIN Track t ON t.GenreId = g.GenreId JOIN InvoiceLine l ON l.TrackId = t.TrackId JOIN Invoice i ON i.InvoiceId = l.InvoiceId
GROUP BY g.GenreId, year HAVING revenue > 20 ORDER BY g.Name, year;

-- favourite genre of each customer, by a window
WITH spent AS (
    SELECT c.CustomerId, c.FirstName || ' ' || c.LastName AS customer, g.Name AS genre, sum(l.Quantity) AS n
    FROM Customer c JOIN Invoice i USING (CustomerId) JOIN InvoiceLine l USING (InvoiceId) JOIN Track t USING (TrackId)
         JOIN Genre g ON g.GenreId = t.GenreId
    GROUP BY c.CustomerId, g.GenreId)
SELECT customer, genre, n FROM (
    SELECT *, row_number() OVER (PARTITION BY CustomerId ORDER BY n DESC, genre) AS place FROM spent)
WHERE place = 1 ORDER BY customer;

-- three longest tracks of each genre
SELECT genre, place, track, Milliseconds FROM (
    SELECT g.Name AS genre, t.Name AS track, t.Milliseconds,
           row_number() OVER (PARTITION BY g.GenreId ORDER BY t.Milliseconds DESC, t.TrackId) AS place
    FROM Track t JOIN Genre g USING (GenreId) JOIN MediaType m USING (MediaTypeId) WHERE m.Name LIKE '%audio%')
WHERE place <= 3 ORDER BY genre, place;

-- artists without a sale
SELECT ar.Name FROM Artist ar
WHERE NOT EXISTS (SELECT 1 FROM Album al JOIN Track t USING (AlbumId) JOIN InvoiceLine l USING (TrackId) WHERE al.ArtistId = ar.ArtistId)
ORDER BY ar.Name;

-- artists without an album, as an anti-join
SELECT ar.ArtistId, ar.Name FROM Artist ar LEFT JOIN Album al ON al.ArtistId = ar.ArtistId LEFT JOIN Track t ON t.AlbumId = al.AlbumId
WHERE al.AlbumId IS NULL AND t.TrackId IS NULL ORDER BY ar.ArtistId;

-- tracks never sold, by genre
SELECT g.Name, count(*) AS tracks, count(l.InvoiceLineId) AS lines, sum(l.InvoiceLineId IS NULL) AS unsold
FROM Genre g JOIN Track t ON t.GenreId = g.GenreId LEFT JOIN InvoiceLine l ON l.TrackId = t.TrackId
GROUP BY g.GenreId ORDER BY unsold DESC, g.Name;

-- employees, their customers and revenue
SELECT e.EmployeeId, e.LastName, count(DISTINCT c.CustomerId) AS customers, round(total(i.Total), 2) AS revenue
FROM Employee e LEFT JOIN Customer c ON c.SupportRepId = e.EmployeeId LEFT JOIN Invoice i ON i.CustomerId = c.CustomerId
GROUP BY e.EmployeeId ORDER BY e.EmployeeId;

-- the hierarchy of employees, with the revenue below each
WITH RECURSIVE below(boss, EmployeeId, depth) AS (
    SELECT EmployeeId, EmployeeId, 0 FROM Employee
    UNION ALL SELECT b.boss, e.EmployeeId, b.depth + 1 FROM below b JOIN Employee e ON e.ReportsTo = b.EmployeeId)
SELECT m.LastName, m.Title, max(b.depth) AS levels, count(DISTINCT b.EmployeeId) - 1 AS staff, round(total(i.Total), 2) AS revenue
FROM below b JOIN Employee m ON m.EmployeeId = b.boss LEFT JOIN Customer c ON c.SupportRepId = b.EmployeeId
     LEFT JOIN Invoice i ON i.CustomerId = c.CustomerId
GROUP BY b.boss ORDER BY b.boss;

-- path of each employee to the top
WITH RECURSIVE up(EmployeeId, path) AS (
    SELECT EmployeeId, LastName FROM Employee WHERE ReportsTo IS NULL
    UNION ALL SELECT e.EmployeeId, up.path || ' > ' || e.LastName FROM Employee e JOIN up ON e.ReportsTo = up.EmployeeId)
SELECT e.EmployeeId, up.path, count(c.CustomerId) AS customers
FROM up JOIN Employee e USING (EmployeeId) LEFT JOIN Customer c ON c.SupportRepId = e.EmployeeId GROUP BY e.EmployeeId ORDER BY up.path;

-- roll-up of revenue by country and city
WITH sale AS (
    SELECT c.Country, c.City, l.UnitPrice * l.Quantity AS amount
    FROM Customer c JOIN Invoice i USING (CustomerId) JOIN InvoiceLine l USING (InvoiceId) WHERE c.Country IN ('USA', 'Canada', 'Brazil'))
SELECT 0 AS level, Country, City, round(sum(amount), 2) AS revenue FROM sale GROUP BY Country, City
UNION ALL SELECT 1, Country, NULL, round(sum(amount), 2) FROM sale GROUP BY Country
UNION ALL SELECT 2, NULL, NULL, round(sum(amount), 2) FROM sale
ORDER BY Country NULLS LAST, level, City;

-- monthly revenue with a running total and the change to the month before
SELECT month, revenue, round(sum(revenue) OVER (ORDER BY month), 2) AS running,
       round(revenue - lag(revenue) OVER (ORDER BY month), 2) AS change
FROM (SELECT strftime('%Y-%m', i.InvoiceDate) AS month, round(sum(l.UnitPrice * l.Quantity), 2) AS revenue
      FROM Invoice i JOIN InvoiceLine l USING (InvoiceId) JOIN Track t USING (TrackId) GROUP BY month)
ORDER BY month;

-- moving average over the last five invoices of a customer
SELECT c.CustomerId, i.InvoiceId, round(avg(i.Total) OVER last5, 4) AS moving, count(*) OVER last5 AS n
FROM Customer c JOIN Invoice i USING (CustomerId) JOIN Employee e ON e.EmployeeId = c.SupportRepId
WHERE e.LastName = 'Park'
WINDOW last5 AS (PARTITION BY c.CustomerId ORDER BY i.InvoiceDate, i.InvoiceId ROWS 4 PRECEDING)
ORDER BY c.CustomerId, i.InvoiceId;

-- customers who have spent more than the average of their country
WITH spent AS (SELECT c.CustomerId, c.LastName, c.Country, sum(i.Total) AS total FROM Customer c JOIN Invoice i USING (CustomerId) GROUP BY 1)
SELECT s.LastName, s.Country, round(s.total, 2) FROM spent s JOIN Customer c USING (CustomerId) JOIN Employee e ON e.EmployeeId = c.SupportRepId
WHERE s.total > (SELECT avg(total) + 0.001 FROM spent x WHERE x.Country = s.Country) ORDER BY s.CustomerId;

-- customers who have bought every genre that customer 1 has bought
SELECT c.CustomerId, c.LastName FROM Customer c
WHERE NOT EXISTS (
    SELECT t.GenreId FROM Invoice i JOIN InvoiceLine l USING (InvoiceId) JOIN Track t USING (TrackId) WHERE i.CustomerId = 1
    EXCEPT SELECT t.GenreId FROM Invoice i JOIN InvoiceLine l USING (InvoiceId) JOIN Track t USING (TrackId) WHERE i.CustomerId = c.CustomerId)
ORDER BY c.CustomerId;

-- genres that both Brazil and Germany buy, and only one of them
SELECT 'both' AS who, g.Name FROM Genre g WHERE g.GenreId IN (
    SELECT t.GenreId FROM Customer c JOIN Invoice i USING (CustomerId) JOIN InvoiceLine l USING (InvoiceId) JOIN Track t USING (TrackId)
    WHERE c.Country = 'Brazil'
    INTERSECT SELECT t.GenreId FROM Customer c JOIN Invoice i USING (CustomerId) JOIN InvoiceLine l USING (InvoiceId) JOIN Track t USING (TrackId)
    WHERE c.Country = 'Germany')
UNION ALL SELECT 'Brazil only', g.Name FROM Genre g WHERE g.GenreId IN (
    SELECT t.GenreId FROM Customer c JOIN Invoice i USING (CustomerId) JOIN InvoiceLine l USING (InvoiceId) JOIN Track t USING (TrackId)
    WHERE c.Country = 'Brazil'
    EXCEPT SELECT t.GenreId FROM Customer c JOIN Invoice i USING (CustomerId) JOIN InvoiceLine l USING (InvoiceId) JOIN Track t USING (TrackId)
    WHERE c.Country = 'Germany')
ORDER BY who, 2;

-- playlists: tracks, hours, artists, dearest track
SELECT p.Name, p.PlaylistId, count(*) AS tracks, round(sum(t.Milliseconds) / 3600000.0, 3) AS hours, count(DISTINCT al.ArtistId) AS artists,
       max(t.UnitPrice) AS dearest
FROM Playlist p JOIN PlaylistTrack pt USING (PlaylistId) JOIN Track t USING (TrackId) JOIN Album al USING (AlbumId)
GROUP BY p.PlaylistId ORDER BY p.PlaylistId;

-- playlists without tracks
SELECT p.PlaylistId, p.Name FROM Playlist p LEFT JOIN PlaylistTrack pt USING (PlaylistId) LEFT JOIN Track t USING (TrackId)
GROUP BY p.PlaylistId HAVING count(t.TrackId) = 0 ORDER BY p.PlaylistId;

-- albums that a playlist holds whole
SELECT al.Title, p.Name FROM Album al JOIN Track t USING (AlbumId) CROSS JOIN Playlist p
LEFT JOIN PlaylistTrack pt ON pt.PlaylistId = p.PlaylistId AND pt.TrackId = t.TrackId
WHERE p.PlaylistId IN (5, 8, 16, 17) GROUP BY al.AlbumId, p.PlaylistId HAVING count(*) = count(pt.TrackId) AND p.PlaylistId = 5
ORDER BY al.AlbumId LIMIT 30;

-- pairs of artists that are bought on the same invoice most often
SELECT a1.Name, a2.Name, count(DISTINCT l1.InvoiceId) AS together
FROM InvoiceLine l1 JOIN Track t1 ON t1.TrackId = l1.TrackId JOIN Album b1 ON b1.AlbumId = t1.AlbumId JOIN Artist a1 ON a1.ArtistId = b1.ArtistId
     JOIN InvoiceLine l2 ON l2.InvoiceId = l1.InvoiceId JOIN Track t2 ON t2.TrackId = l2.TrackId
     JOIN Album b2 ON b2.AlbumId = t2.AlbumId JOIN Artist a2 ON a2.ArtistId = b2.ArtistId
WHERE a1.ArtistId < a2.ArtistId GROUP BY a1.ArtistId, a2.ArtistId HAVING together >= 3 ORDER BY together DESC, a1.ArtistId, a2.ArtistId;

-- share of each media type within its genre
SELECT g.Name AS genre, m.Name AS media, count(*) AS n, round(100.0 * count(*) / sum(count(*)) OVER (PARTITION BY g.GenreId), 2) AS percent
FROM Track t JOIN Genre g USING (GenreId) JOIN MediaType m USING (MediaTypeId) JOIN Album al USING (AlbumId)
GROUP BY g.GenreId, m.MediaTypeId ORDER BY genre, n DESC, media;

-- quartiles of customers by what they have spent
SELECT quartile, count(*) AS customers, round(min(total), 2), round(max(total), 2) FROM (
    SELECT c.CustomerId, sum(l.UnitPrice * l.Quantity) AS total,
           ntile(4) OVER (ORDER BY round(sum(l.UnitPrice * l.Quantity), 2), c.CustomerId) AS quartile
    FROM Customer c JOIN Invoice i USING (CustomerId) JOIN InvoiceLine l USING (InvoiceId) GROUP BY c.CustomerId)
GROUP BY quartile ORDER BY quartile;

-- rank of countries by customers, with ties
SELECT c.Country, count(DISTINCT c.CustomerId) AS n, rank() OVER (ORDER BY count(DISTINCT c.CustomerId) DESC) AS place,
       dense_rank() OVER (ORDER BY count(DISTINCT c.CustomerId) DESC) AS dense
FROM Customer c JOIN Invoice i USING (CustomerId) JOIN Employee e ON e.EmployeeId = c.SupportRepId GROUP BY c.Country ORDER BY place, c.Country;

-- first and last purchase of each customer from the USA
SELECT DISTINCT c.LastName, first_value(t.Name) OVER w AS first_track, last_value(t.Name) OVER w AS last_track
FROM Customer c JOIN Invoice i USING (CustomerId) JOIN InvoiceLine l USING (InvoiceId) JOIN Track t USING (TrackId)
WHERE c.Country = 'USA'
WINDOW w AS (PARTITION BY c.CustomerId ORDER BY i.InvoiceDate, l.InvoiceLineId ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
ORDER BY c.LastName;

-- days between the purchases of a customer
SELECT CustomerId, max(gap), min(gap), round(avg(gap), 3), count(gap) FROM (
    SELECT c.CustomerId, julianday(i.InvoiceDate) - julianday(lag(i.InvoiceDate) OVER (PARTITION BY c.CustomerId ORDER BY i.InvoiceDate, i.InvoiceId)) AS gap
    FROM Customer c JOIN Invoice i USING (CustomerId) JOIN Employee e ON e.EmployeeId = c.SupportRepId)
GROUP BY CustomerId ORDER BY CustomerId;

-- invoices whose lines do not add up to their total
SELECT i.InvoiceId, i.Total FROM Invoice i JOIN Customer c USING (CustomerId)
WHERE abs(i.Total - (SELECT sum(l.UnitPrice * l.Quantity) FROM InvoiceLine l JOIN Track t USING (TrackId) WHERE l.InvoiceId = i.InvoiceId)) > 0.001
ORDER BY i.InvoiceId;

-- customers and their employees in one city or country
SELECT c.CustomerId, c.City, e.City, c.Country = e.Country AS same FROM Customer c JOIN Employee e ON e.EmployeeId = c.SupportRepId
JOIN Invoice i ON i.CustomerId = c.CustomerId WHERE c.Country = e.Country OR c.City = e.City GROUP BY c.CustomerId ORDER BY c.CustomerId;

-- all tracks of Iron Maiden that customers of three countries have bought
SELECT t.TrackId, t.Name, al.Title, sum(l.Quantity) AS sold
FROM Artist ar JOIN Album al USING (ArtistId) JOIN Track t USING (AlbumId) JOIN InvoiceLine l USING (TrackId) JOIN Invoice i USING (InvoiceId)
WHERE ar.Name = 'Iron Maiden' AND i.BillingCountry IN ('USA', 'France', 'United Kingdom') GROUP BY t.TrackId ORDER BY t.TrackId;

-- most prolific composers over several artists
SELECT t.Composer, count(DISTINCT ar.ArtistId) AS artists, count(*) AS tracks
FROM Track t JOIN Album al USING (AlbumId) JOIN Artist ar USING (ArtistId) WHERE t.Composer IS NOT NULL
GROUP BY t.Composer HAVING artists > 1 ORDER BY artists DESC, tracks DESC, t.Composer;

-- tracks five times as long as the mean of their genre
SELECT t.TrackId, t.Name, g.Name, round(t.Milliseconds / mean.ms, 3) AS times
FROM Track t JOIN Genre g USING (GenreId) JOIN MediaType m USING (MediaTypeId)
     JOIN (SELECT GenreId, avg(Milliseconds) AS ms FROM Track GROUP BY GenreId) mean ON mean.GenreId = t.GenreId
WHERE t.Milliseconds > 5 * mean.ms ORDER BY t.TrackId;

-- genres as JSON, with the first albums of each
SELECT g.Name, (SELECT json_group_array(Title) FROM (
    SELECT DISTINCT al.Title FROM Track t JOIN Album al USING (AlbumId) WHERE t.GenreId = g.GenreId ORDER BY al.Title LIMIT 3)) AS albums
FROM Genre g JOIN Track u ON u.GenreId = g.GenreId JOIN MediaType m ON m.MediaTypeId = u.MediaTypeId
GROUP BY g.GenreId ORDER BY g.GenreId;

-- words in the titles of albums that were sold
WITH RECURSIVE word(AlbumId, word, rest) AS (
    SELECT DISTINCT al.AlbumId, '', al.Title || ' ' FROM Album al JOIN Track t USING (AlbumId) JOIN InvoiceLine l USING (TrackId)
    UNION ALL SELECT AlbumId, substr(rest, 1, instr(rest, ' ') - 1), substr(rest, instr(rest, ' ') + 1) FROM word WHERE rest <> '')
SELECT lower(word) AS w, count(*) AS n FROM word WHERE length(word) > 2 GROUP BY w HAVING n > 4 ORDER BY n DESC, w;

-- invoices by size, against the customers' states
SELECT CASE WHEN i.Total < 2 THEN 'small' WHEN i.Total < 8 THEN 'medium' ELSE 'large' END AS size, coalesce(c.State, '-') AS region,
       count(*) AS n, count(*) FILTER (WHERE e.Title LIKE 'Sales%') AS by_sales
FROM Invoice i JOIN Customer c USING (CustomerId) LEFT JOIN Employee e ON e.EmployeeId = c.SupportRepId
GROUP BY size, region ORDER BY size, region;

-- artists by name, whatever is missing on either side
SELECT coalesce(ar.Name, 'nobody') AS artist, count(al.AlbumId) AS albums, count(t.TrackId) AS tracks
FROM Artist ar FULL JOIN Album al ON al.ArtistId = ar.ArtistId FULL JOIN Track t ON t.AlbumId = al.AlbumId AND t.Milliseconds > 600000
GROUP BY ar.ArtistId HAVING tracks > 0 ORDER BY tracks DESC, artist;

-- every pair of genre and media type, sold or not
SELECT g.Name, m.Name, (SELECT count(*) FROM Track t JOIN InvoiceLine l USING (TrackId) WHERE t.GenreId = g.GenreId AND t.MediaTypeId = m.MediaTypeId) AS sold
FROM Genre g CROSS JOIN MediaType m ORDER BY g.GenreId, m.MediaTypeId;

-- who supports the customers of the best-selling track
WITH best AS (SELECT l.TrackId FROM InvoiceLine l JOIN Track t USING (TrackId) GROUP BY l.TrackId ORDER BY sum(l.Quantity) DESC, l.TrackId LIMIT 1)
SELECT t.Name, c.LastName, e.LastName FROM best JOIN Track t USING (TrackId) JOIN InvoiceLine l USING (TrackId) JOIN Invoice i USING (InvoiceId)
JOIN Customer c USING (CustomerId) JOIN Employee e ON e.EmployeeId = c.SupportRepId ORDER BY c.CustomerId;

-- bytes a second, by media type and decile of length
SELECT media, decile, count(*) AS n, round(avg(rate), 6) AS rate FROM (
    SELECT m.Name AS media, t.Bytes * 1.0 / t.Milliseconds AS rate, ntile(10) OVER (PARTITION BY m.MediaTypeId ORDER BY t.Milliseconds, t.TrackId) AS decile
    FROM Track t JOIN MediaType m USING (MediaTypeId) JOIN Album al USING (AlbumId))
GROUP BY media, decile ORDER BY media, decile;

-- customers with the same first letter who share an album
SELECT substr(c1.LastName, 1, 1) AS letter, c1.CustomerId, c2.CustomerId, count(DISTINCT t1.AlbumId) AS albums
FROM Customer c1 JOIN Invoice i1 ON i1.CustomerId = c1.CustomerId JOIN InvoiceLine l1 ON l1.InvoiceId = i1.InvoiceId JOIN Track t1 ON t1.TrackId = l1.TrackId
     JOIN Track t2 ON t2.AlbumId = t1.AlbumId JOIN InvoiceLine l2 ON l2.TrackId = t2.TrackId JOIN Invoice i2 ON i2.InvoiceId = l2.InvoiceId
     JOIN Customer c2 ON c2.CustomerId = i2.CustomerId
WHERE c1.CustomerId < c2.CustomerId AND substr(c1.LastName, 1, 1) = substr(c2.LastName, 1, 1) GROUP BY c1.CustomerId, c2.CustomerId
ORDER BY letter, c1.CustomerId, c2.CustomerId;

-- one invoice whole
SELECT i.InvoiceId, i.InvoiceDate, c.LastName, t.Name, al.Title, ar.Name, l.UnitPrice, l.Quantity
FROM Invoice i JOIN Customer c USING (CustomerId) JOIN InvoiceLine l USING (InvoiceId) JOIN Track t USING (TrackId)
     JOIN Album al ON al.AlbumId = t.AlbumId JOIN Artist ar ON ar.ArtistId = al.ArtistId
WHERE i.InvoiceId = 100 ORDER BY l.InvoiceLineId;
