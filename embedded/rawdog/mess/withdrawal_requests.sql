INSERT INTO withdrawal_requests (id, creator_id, amount_cents) VALUES (901, 'mess_not_available', 100);
