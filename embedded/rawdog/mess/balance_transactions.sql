INSERT INTO balance_transactions (id, creator_id, kind, amount_cents) OVERRIDING SYSTEM VALUE VALUES (901, 'mess_not_available', 'commission', 100), (902, 'mess_version', 'commission', -100);
