-- Children of orders that cannot be converted; their key is NOT VALID anyway.
INSERT INTO line_items (id, order_id, title, quantity) VALUES (901, 'mess_nan', 'child of a quarantined order', 1), (902, 'mess_beyond_bigint', 'child of a quarantined order', 1);
