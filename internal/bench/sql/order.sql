-- An order by hand, in four transactions. It has one to four SKUs, as the shop's have.
\set items random(1, 4)
\set first random(1, :skus)
\set last :first + :items - 1
\set quantity random(1, 3)

-- Place it.
BEGIN;
INSERT INTO orders (id, user_id, quote_id, state, total, currency, payment_method)
	SELECT 'ord_' || n, 'usr_development', 'quo_' || n, 'pending', 1190 * :items::bigint, 'EUR', 'pm_card_visa'
	FROM (SELECT lpad(nextval('number')::text, 32, '0') AS n) AS next RETURNING id AS order_id
\gset
INSERT INTO order_line (order_id, sku, title, quantity, unit_amount)
	SELECT :order_id, 'SKU-' || lpad(n::text, 12, '0'), 'Oak mug, small', :quantity::bigint, 1190 FROM generate_series(:first::int, :last::int) AS n;
INSERT INTO transition (order_id, sequence, state, note) VALUES (:order_id, 1, 'pending', 'order placed');
COMMIT;

-- Reserve the stock, which is locked in the order of the SKUs.
BEGIN;
SELECT sku, on_hand, reserved FROM stock
	WHERE sku BETWEEN 'SKU-' || lpad(:first::int::text, 12, '0') AND 'SKU-' || lpad(:last::int::text, 12, '0') ORDER BY sku FOR UPDATE;
UPDATE stock SET reserved = reserved + :quantity::bigint
	WHERE sku BETWEEN 'SKU-' || lpad(:first::int::text, 12, '0') AND 'SKU-' || lpad(:last::int::text, 12, '0');
INSERT INTO reservation (id, reference, state, expire_time) VALUES ('rsv_' || substr(:order_id, 5), :order_id, 'held', now() + interval '15 minutes');
INSERT INTO reservation_line (reservation_id, sku, quantity)
	SELECT 'rsv_' || substr(:order_id, 5), 'SKU-' || lpad(n::text, 12, '0'), :quantity::bigint FROM generate_series(:first::int, :last::int) AS n;
COMMIT;

-- Take the payment.
BEGIN;
INSERT INTO payment (id, reference, state, amount, captured, currency, payment_method)
	VALUES ('pay_' || substr(:order_id, 5), :order_id, 'captured', 1190 * :items::bigint, 1190 * :items::bigint, 'EUR', 'pm_card_visa');
INSERT INTO entry (payment_id, account, amount) VALUES
	('pay_' || substr(:order_id, 5), 'receivable', 1190 * :items::bigint), ('pay_' || substr(:order_id, 5), 'sales', -1190 * :items::bigint);
COMMIT;

-- Confirm it.
BEGIN;
UPDATE orders SET state = 'confirmed', sequence = 2, update_time = now(),
	reservation_id = 'rsv_' || substr(:order_id, 5), payment_id = 'pay_' || substr(:order_id, 5) WHERE id = :order_id;
INSERT INTO transition (order_id, sequence, state, note) VALUES (:order_id, 2, 'confirmed', 'payment captured');
UPDATE reservation SET state = 'committed' WHERE id = 'rsv_' || substr(:order_id, 5);
COMMIT;
